import type { Clock, RandomSource } from '@atoll/base';
import type { EndpointGuard } from './endpoint-guard.js';
import { type GuardedAnswer, type PostLimits, postGuarded } from './guarded-post.js';
import { payloadText } from './push-payload.js';
import {
  PUSH_TTL_SECONDS,
  type PushMessage,
  type PushOutcome,
  type PushRefusal,
  type PushRoute,
  retryAfterMs,
} from './push-route.js';
import type { PushTarget } from './push-sender.js';
import type { VapidKey } from './vapid.js';
import { encryptWebPush, parseWebPushKeys, WEB_PUSH_OVERHEAD_BYTES } from './web-push-encryption.js';

/** Longest body (UnifiedPush server specification 4000 bytes; RFC 8030 7.2 4096), so that every distributor takes it. */
const MOST_BODY_BYTES = 4000;
/** Sends under way to one host. */
const SENDS_PER_HOST = 8;

export interface UnifiedPushComponents {
  readonly guard: EndpointGuard;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly vapidKey: VapidKey;
}

export interface UnifiedPushOptions {
  /** Address of the operator for push services, `mailto:` or `https:`; empty: none. */
  readonly contact: string;
  /** Further authorities (PEM) that distributors on the local network may have their certificate from. */
  readonly authorities?: readonly string[] | undefined;
  readonly limits?: PostLimits | undefined;
}

/**
 * Pushes straight to the endpoint that the phone's distributor gave it (protocol/dht-proxy.md 14.4): encrypted and
 * signed as Web Push where the client offers keys, the bare object where it does not.
 */
export class UnifiedPushRoute implements PushRoute {
  readonly sendsPerLane = SENDS_PER_HOST;
  private readonly components: UnifiedPushComponents;
  private readonly options: UnifiedPushOptions;

  constructor(components: UnifiedPushComponents, options: UnifiedPushOptions) {
    this.components = components;
    this.options = options;
  }

  laneOf(target: PushTarget): string {
    const endpoint = this.components.guard.read(target.token);
    return typeof endpoint === 'string' ? 'unifiedpush' : `unifiedpush ${endpoint.host}:${endpoint.port}`;
  }

  refusal(target: PushTarget): PushRefusal | undefined {
    const endpoint = this.components.guard.read(target.token);
    if (typeof endpoint === 'string') return { status: 403, reason: endpoint };
    const keys = parseWebPushKeys(target.topic);
    return typeof keys === 'string' ? { status: 400, reason: `the topic has unusable keys: ${keys}` } : undefined;
  }

  async send(message: PushMessage): Promise<PushOutcome> {
    const { guard, random } = this.components;
    const endpoint = guard.read(message.target.token);
    if (typeof endpoint === 'string') return { kind: 'gone', reason: endpoint };
    const keys = parseWebPushKeys(message.target.topic);
    if (typeof keys === 'string') return { kind: 'gone', reason: keys };
    const text = payloadText(message.payload, MOST_BODY_BYTES - (keys === undefined ? 0 : WEB_PUSH_OVERHEAD_BYTES));
    if (text === undefined) return { kind: 'refused', reason: 'too large' };
    const headers: Record<string, string> = {
      Accept: '*/*',
      'Content-Type': 'application/json',
      TTL: String(PUSH_TTL_SECONDS),
      Urgency: message.priority,
      'User-Agent': 'Atoll',
    };
    let body: Buffer = Buffer.from(text);
    if (keys !== undefined) {
      body = encryptWebPush(body, keys, random);
      headers['Content-Encoding'] = 'aes128gcm';
      const { vapidKey, clock } = this.components;
      headers.Authorization = vapidKey.authorization(endpoint.url.origin, this.options.contact, clock);
    }
    const answer = await postGuarded(guard, endpoint, headers, body, {
      ...this.options.limits,
      authorities: this.options.authorities,
    });
    return this.outcomeOf(answer);
  }

  close(): void {}

  /** Statuses as the UnifiedPush server specification and RFC 8030 5, 7.2, 7.3 and 8.4 have them. */
  private outcomeOf(answer: GuardedAnswer): PushOutcome {
    // Names change: what was a good endpoint yesterday can be refused today, and be good again tomorrow.
    if (answer.kind === 'refused') return { kind: 'refused', reason: answer.reason };
    if (answer.kind === 'failed') return { kind: 'later', reason: answer.reason, scope: 'lane' };
    const { status, headers } = answer.answer;
    if (status >= 200 && status < 300) return { kind: 'sent' };
    if (status === 404 || status === 410) return { kind: 'gone', reason: `status ${status}` };
    if (status === 429 || status >= 500) {
      const afterMs = retryAfterMs(headers['retry-after'], this.components.clock.unixMs());
      return { kind: 'later', reason: `status ${status}`, scope: 'token', afterMs };
    }
    return { kind: 'refused', reason: `status ${status}` };
  }
}
