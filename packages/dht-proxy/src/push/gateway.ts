import { type Clock, splitHostPort, UsageError } from '@atoll/base';
import { OperatorService } from './operator-service.js';
import { sortedJson } from './push-payload.js';
import {
  PUSH_TTL_SECONDS,
  type PushMessage,
  type PushOutcome,
  type PushRefusal,
  type PushRoute,
  retryAfterMs,
} from './push-route.js';
import type { PushTarget } from './push-sender.js';

/** Sends under way to the gateway. */
const SENDS = 32;
/** Most bytes of a token that is handed on. */
const MOST_TOKEN_BYTES = 4096;

/** Which OpenDHT the bodies are of: `current` since 3.3.0, `2.4` for a gateway that knows the older form only. */
export type GatewayForm = 'current' | '2.4';

export interface GatewayOptions {
  /** `http://host:port` of the gateway, see {@link parseGateway}. */
  readonly url: URL;
  /** APNs topic of clients that bring none (`--bundleid`); empty: none. */
  readonly bundleId: string;
  readonly form: GatewayForm;
}

/**
 * The gateway from what `--pushserver` takes: `host:port`, a port of this machine alone (protocol/dht-proxy.md 1), or a
 * URL. Throws a usage error.
 */
export function parseGateway(text: string): URL {
  if (/^https?:\/\//i.test(text) && URL.canParse(text)) return new URL('/', text);
  const { host, port } = splitHostPort(/^\d+$/.test(text) ? `localhost:${text}` : text);
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  if (host === '' || port === undefined || port === 0 || Number.isNaN(port) || !URL.canParse(url)) {
    throw new UsageError(`“${text}” is no push server; write host:port, or a port of this machine.`);
  }
  return new URL(url);
}

/**
 * One notification as gorush takes it (protocol/dht-proxy.md 14.2), in the order of members of the reference.
 *
 * @param unixMs Now.
 */
export function gatewayBody(message: PushMessage, options: Omit<GatewayOptions, 'url'>, unixMs: number): string {
  const { target, payload, priority } = message;
  const common = { tokens: [target.token], platform: target.platform === 'android' ? 2 : 1, data: payload };
  if (target.platform === 'android') {
    const delivery =
      options.form === 'current'
        ? { android: { priority, ttl: `${PUSH_TTL_SECONDS}s` } }
        : { priority, time_to_live: PUSH_TTL_SECONDS };
    return sortedJson({ notifications: [{ ...common, ...delivery }] });
  }
  // Since 3.0.0 a phone must be woken for a timeout: without renewal it would never be again.
  const isAlert = priority === 'high' || (options.form === 'current' && payload.timeout !== undefined);
  const topic = target.topic === '' ? options.bundleId : target.topic;
  const delivery = isAlert
    ? { push_type: 'alert', alert: { title: 'hello' }, mutable_content: true, priority: 'high' }
    : { push_type: 'background', content_available: true, priority: 'normal' };
  return sortedJson({
    notifications: [
      {
        ...common,
        ...delivery,
        expiration: Math.floor(unixMs / 1000) + PUSH_TTL_SECONDS,
        topic: topic === '' ? undefined : topic,
      },
    ],
  });
}

/** Pushes through a gorush-compatible gateway, as the reference proxy does. */
export class GatewayRoute implements PushRoute {
  readonly sendsPerLane = SENDS;
  private readonly clock: Clock;
  private readonly options: GatewayOptions;
  private readonly service = new OperatorService(SENDS);

  constructor(clock: Clock, options: GatewayOptions) {
    this.clock = clock;
    this.options = options;
  }

  laneOf(): string {
    return 'gateway';
  }

  refusal(target: PushTarget): PushRefusal | undefined {
    const isTooLong = Buffer.byteLength(target.token) > MOST_TOKEN_BYTES;
    return isTooLong ? { status: 400, reason: 'the token is too long' } : undefined;
  }

  async send(message: PushMessage): Promise<PushOutcome> {
    const now = this.clock.unixMs();
    const body = gatewayBody(message, this.options, now);
    const url = new URL('/api/push', this.options.url);
    const answer = await this.service.post(url, { 'Content-Type': 'application/json' }, body);
    if (typeof answer === 'string') return { kind: 'later', reason: answer, scope: 'lane' };
    const { status, headers } = answer;
    if (status >= 200 && status < 300) return { kind: 'sent' };
    const afterMs = retryAfterMs(headers['retry-after'], now);
    if (status === 429 || status >= 500) return { kind: 'later', reason: `status ${status}`, scope: 'lane', afterMs };
    return { kind: 'refused', reason: `status ${status}` };
  }

  close(): void {
    this.service.close();
  }
}
