import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { AtollError, type Clock, errorMessage } from '@atoll/base';
import { ApnsConnection } from './apns-connection.js';
import type { HttpAnswer } from './http-post.js';
import { signJsonWebToken } from './json-web-token.js';
import { payloadText, sortedJson } from './push-payload.js';
import {
  PUSH_TTL_SECONDS,
  type PushMessage,
  type PushOutcome,
  type PushRefusal,
  type PushRoute,
} from './push-route.js';
import type { PushTarget } from './push-sender.js';

const PRODUCTION_URL = 'https://api.push.apple.com';
const SANDBOX_URL = 'https://api.sandbox.push.apple.com';
/** A provider token is made anew after, s: Apple takes none older than an hour, and no new one within 20 minutes. */
const TOKEN_SECONDS = 50 * 60;
const LEAST_TOKEN_SECONDS = 20 * 60;
/** Bytes for the data of a payload: APNs takes 4096 with everything. */
const MOST_DATA_BYTES = 3900;
/** Sends under way on the one connection. */
const SENDS = 200;
/** Waits so long after a fault of the credentials, ms: it lasts until the operator has seen to it. */
const CREDENTIALS_RETRY_MS = 10 * 60_000;

/** A signing key of Apple's developer portal. */
export interface ApnsKey {
  readonly key: KeyObject;
  /** 10 characters, as in the name of the file. */
  readonly keyId: string;
  /** 10 characters. */
  readonly teamId: string;
}

/** Reads a `.p8` file. Throws `PUSH_CREDENTIALS_UNUSABLE`. */
export function readApnsKey(path: string, keyId: string, teamId: string): ApnsKey {
  try {
    const key = createPrivateKey(readFileSync(path));
    if (createPublicKey(key).export({ format: 'jwk' }).crv !== 'P-256') throw new Error('it is no key on P-256');
    return { key, keyId, teamId };
  } catch (cause) {
    throw new AtollError('PUSH_CREDENTIALS_UNUSABLE', `The APNs key ${path} cannot be used: ${errorMessage(cause)}.`, {
      cause,
    });
  }
}

export interface ApnsOptions {
  readonly key: ApnsKey;
  /** Topic of clients that bring none; empty: those are refused. */
  readonly bundleId: string;
  /** Apple's service for apps under development. */
  readonly isSandbox: boolean;
  /** Another place than Apple's, and the authority (PEM) of its certificate, for tests. */
  readonly url?: string | undefined;
  readonly authorities?: readonly string[] | undefined;
}

/** Pushes to iPhones through Apple's push service, HTTP/2 with a provider token. */
export class ApnsRoute implements PushRoute {
  readonly sendsPerLane = SENDS;
  private readonly clock: Clock;
  private readonly options: ApnsOptions;
  private readonly connection: ApnsConnection;
  private token: { readonly text: string; readonly issued: number } | undefined;

  constructor(clock: Clock, options: ApnsOptions) {
    this.clock = clock;
    this.options = options;
    this.connection = new ApnsConnection(
      options.url ?? (options.isSandbox ? SANDBOX_URL : PRODUCTION_URL),
      options.authorities,
    );
  }

  laneOf(): string {
    return 'apns';
  }

  refusal(target: PushTarget): PushRefusal | undefined {
    const isToken = /^([0-9a-f]{2}){16,100}$/i.test(target.token);
    if (!isToken) return { status: 400, reason: 'the token is none of the Apple push service' };
    const isTopic = /^[A-Za-z0-9.-]{1,255}$/.test(this.topicOf(target));
    return isTopic ? undefined : { status: 400, reason: 'the topic is missing or no bundle id' };
  }

  async send(message: PushMessage): Promise<PushOutcome> {
    const body = apnsPayload(message);
    if (body === undefined) return { kind: 'refused', reason: 'too large' };
    const topic = this.topicOf(message.target);
    const headers = {
      ...apnsHeaders(message, topic, this.clock.unixMs()),
      ':path': `/3/device/${message.target.token.toLowerCase()}`,
    };
    const bearer = this.bearer();
    const answer = await this.connection.post({ ...headers, authorization: `bearer ${bearer}` }, body);
    if (typeof answer === 'string') return { kind: 'later', reason: answer, scope: 'lane' };
    const outcome = apnsOutcome(answer);
    if (outcome.kind === 'later' && outcome.reason.endsWith('ExpiredProviderToken')) this.forget(bearer);
    return outcome;
  }

  close(): void {
    this.connection.close();
  }

  private topicOf(target: PushTarget): string {
    return target.topic === '' ? this.options.bundleId : target.topic;
  }

  private bearer(): string {
    const now = Math.floor(this.clock.unixMs() / 1000);
    const age = this.token === undefined ? Number.POSITIVE_INFINITY : now - this.token.issued;
    // A negative age is a clock that was set back: Apple refuses a token of the future.
    if (this.token !== undefined && age >= 0 && age < TOKEN_SECONDS) return this.token.text;
    const { key, keyId, teamId } = this.options.key;
    const text = signJsonWebToken('ES256', { kid: keyId }, { iss: teamId, iat: now }, key);
    this.token = { text, issued: now };
    return text;
  }

  private forget(bearer: string): void {
    if (this.token?.text !== bearer) return;
    const age = Math.floor(this.clock.unixMs() / 1000) - this.token.issued;
    if (age >= LEAST_TOKEN_SECONDS) this.token = undefined;
  }
}

/** An alert wakes the phone's extension, which reads the DHT; `.voip` topics are those of apps before iOS 14.5. */
function isAlert({ payload, priority }: PushMessage): boolean {
  return priority === 'high' || payload.timeout !== undefined;
}

/**
 * Headers of a push: what the gateway makes of the reference's notification (protocol/dht-proxy.md 14.2), but that a
 * `.voip` topic gets the push type `voip`, without which Apple refuses it.
 */
function apnsHeaders(message: PushMessage, topic: string, unixMs: number): Record<string, string> {
  const isVoip = topic.endsWith('.voip');
  return {
    'apns-topic': topic,
    'apns-push-type': isVoip ? 'voip' : isAlert(message) ? 'alert' : 'background',
    'apns-priority': isVoip || isAlert(message) ? '10' : '5',
    'apns-expiration': String(Math.floor(unixMs / 1000) + PUSH_TTL_SECONDS),
  };
}

/** Payload of a push: Apple's dictionary, and the data beside it, where the app finds what a gateway puts there. */
function apnsPayload(message: PushMessage): string | undefined {
  const text = payloadText(message.payload, MOST_DATA_BYTES);
  if (text === undefined) return undefined;
  const aps = isAlert(message) ? { alert: { title: 'hello' }, 'mutable-content': 1 } : { 'content-available': 1 };
  return sortedJson({ ...(JSON.parse(text) as object), aps });
}

/** What an answer means, by Apple's table of reasons. */
function apnsOutcome(answer: HttpAnswer): PushOutcome {
  const { status } = answer;
  if (status === 200) return { kind: 'sent' };
  const code = reasonOf(answer.body);
  const reason = `status ${status}${code === undefined ? '' : ` ${code}`}`;
  if (status === 410 || code === 'BadDeviceToken' || code === 'DeviceTokenNotForTopic') return { kind: 'gone', reason };
  if (code === 'ExpiredProviderToken') return { kind: 'later', reason, scope: 'lane' };
  if (code === 'TooManyProviderTokenUpdates' || status === 403) {
    return { kind: 'later', reason, scope: 'lane', afterMs: CREDENTIALS_RETRY_MS };
  }
  if (status === 429) return { kind: 'later', reason, scope: 'token' };
  if (status >= 500) return { kind: 'later', reason, scope: 'lane' };
  return { kind: 'refused', reason };
}

function reasonOf(body: Buffer): string | undefined {
  try {
    const { reason } = JSON.parse(body.toString('utf8')) as { reason?: unknown };
    return typeof reason === 'string' && /^\w{1,40}$/.test(reason) ? reason : undefined;
  } catch {
    return undefined;
  }
}
