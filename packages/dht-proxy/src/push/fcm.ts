import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { AtollError, type Clock, errorMessage } from '@atoll/base';
import type { HttpAnswer } from './http-post.js';
import { signJsonWebToken } from './json-web-token.js';
import { OperatorService } from './operator-service.js';
import { payloadStrings } from './push-payload.js';
import {
  PUSH_TTL_SECONDS,
  type PushMessage,
  type PushOutcome,
  type PushRefusal,
  type PushRoute,
  retryAfterMs,
} from './push-route.js';
import type { PushTarget } from './push-sender.js';

const FCM_URL = 'https://fcm.googleapis.com';
const SCOPE = 'https://www.googleapis.com/auth/firebase.messaging';
/** Life that is asked for an access token, s; Google allows an hour. */
const GRANT_SECONDS = 3600;
/** An access token is used until so much of its life is left, ms. */
const RENEW_MS = 5 * 60_000;
/** After a refusal to give one, ms. */
const TOKEN_RETRY_MS = 60_000;
/** Most bytes of `data`: FCM takes 4096 with everything. */
const MOST_DATA_BYTES = 3900;
/** Sends under way. */
const SENDS = 32;

/** What is needed of a service account file of the Google cloud console. */
export interface ServiceAccount {
  readonly projectId: string;
  readonly clientEmail: string;
  readonly keyId: string;
  readonly key: KeyObject;
  /** Where access tokens are given out. */
  readonly tokenUrl: string;
}

/** Reads the JSON file of a service account. Throws `PUSH_CREDENTIALS_UNUSABLE`. */
export function readServiceAccount(path: string): ServiceAccount {
  try {
    const file = JSON.parse(readFileSync(path, 'utf8')) as Readonly<Record<string, unknown>>;
    const member = (name: string): string => {
      const value = file[name];
      if (typeof value !== 'string' || value === '') throw new Error(`it has no “${name}”`);
      return value;
    };
    const tokenUrl = member('token_uri');
    if (!URL.canParse(tokenUrl)) throw new Error('its “token_uri” is no URL');
    return {
      projectId: member('project_id'),
      clientEmail: member('client_email'),
      keyId: member('private_key_id'),
      key: createPrivateKey(member('private_key')),
      tokenUrl,
    };
  } catch (cause) {
    throw new AtollError(
      'PUSH_CREDENTIALS_UNUSABLE',
      `The service account file ${path} cannot be used: ${errorMessage(cause)}.`,
      { cause },
    );
  }
}

export interface FcmOptions {
  readonly account: ServiceAccount;
  /** Another place than Google's, for tests. */
  readonly url?: string | undefined;
}

/** Pushes to Android phones through Firebase Cloud Messaging, HTTP v1. */
export class FcmRoute implements PushRoute {
  readonly sendsPerLane = SENDS;
  private readonly clock: Clock;
  private readonly account: ServiceAccount;
  private readonly url: URL;
  private readonly service = new OperatorService(SENDS);
  private token: { readonly text: string; readonly untilUnixMs: number } | undefined;
  private asking: Promise<string | undefined> | undefined;

  constructor(clock: Clock, options: FcmOptions) {
    this.clock = clock;
    this.account = options.account;
    const project = encodeURIComponent(options.account.projectId);
    this.url = new URL(`/v1/projects/${project}/messages:send`, options.url ?? FCM_URL);
  }

  laneOf(): string {
    return 'fcm';
  }

  refusal(target: PushTarget): PushRefusal | undefined {
    if (/^[\w:.-]{1,4096}$/.test(target.token)) return undefined;
    return { status: 400, reason: 'the token is none of Firebase Cloud Messaging' };
  }

  async send(message: PushMessage): Promise<PushOutcome> {
    const data = payloadStrings(message.payload, MOST_DATA_BYTES);
    if (data === undefined) return { kind: 'refused', reason: 'too large' };
    const bearer = await this.bearer();
    if (bearer === undefined) {
      return { kind: 'later', reason: 'no access token', scope: 'lane', afterMs: TOKEN_RETRY_MS };
    }
    const body = JSON.stringify({
      message: {
        token: message.target.token,
        data,
        android: { priority: message.priority === 'high' ? 'HIGH' : 'NORMAL', ttl: `${PUSH_TTL_SECONDS}s` },
      },
    });
    const headers = { Authorization: `Bearer ${bearer}`, 'Content-Type': 'application/json' };
    const answer = await this.service.post(this.url, headers, body);
    if (typeof answer === 'string') return { kind: 'later', reason: answer, scope: 'lane' };
    if (answer.status === 401 && this.token?.text === bearer) this.token = undefined;
    return fcmOutcome(answer, this.clock.unixMs());
  }

  close(): void {
    this.service.close();
  }

  /** The access token, asked for once however many sends wait for it; undefined when there is none to be had. */
  private bearer(): Promise<string | undefined> {
    if (this.token !== undefined && this.token.untilUnixMs - this.clock.unixMs() > RENEW_MS) {
      return Promise.resolve(this.token.text);
    }
    this.asking ??= this.askBearer().finally(() => {
      this.asking = undefined;
    });
    return this.asking;
  }

  /** OAuth 2 with a signed assertion (RFC 7523 2.1), as Google takes it of service accounts. */
  private async askBearer(): Promise<string | undefined> {
    const { account } = this;
    const now = this.clock.unixMs();
    const issued = Math.floor(now / 1000);
    const claims = {
      iss: account.clientEmail,
      scope: SCOPE,
      aud: account.tokenUrl,
      iat: issued,
      exp: issued + GRANT_SECONDS,
    };
    const assertion = signJsonWebToken('RS256', { typ: 'JWT', kid: account.keyId }, claims, account.key);
    const form = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion });
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
    const answer = await this.service.post(new URL(account.tokenUrl), headers, form.toString());
    if (typeof answer === 'string' || answer.status !== 200) return undefined;
    const { access_token: text, expires_in: seconds } = parseObject(answer.body);
    if (typeof text !== 'string' || text === '' || typeof seconds !== 'number') return undefined;
    this.token = { text, untilUnixMs: now + seconds * 1000 };
    return text;
  }
}

/** What an answer of `messages:send` means, by the error codes of the FCM v1 reference. */
function fcmOutcome(answer: HttpAnswer, unixMs: number): PushOutcome {
  const { status, headers } = answer;
  if (status === 200) return { kind: 'sent' };
  const code = errorCodeOf(answer.body);
  const reason = `status ${status}${code === undefined ? '' : ` ${code}`}`;
  const afterMs = retryAfterMs(headers['retry-after'], unixMs);
  // A 404 without the code is a project that does not exist, which says nothing about the phone.
  if (code === 'UNREGISTERED' || code === 'SENDER_ID_MISMATCH') return { kind: 'gone', reason };
  if (code === 'INVALID_ARGUMENT') return { kind: isTokenInvalid(answer.body) ? 'gone' : 'refused', reason };
  if (status === 429) return { kind: 'later', reason, scope: 'lane', afterMs: Math.max(afterMs ?? 0, 60_000) };
  if (status >= 500 || status === 401 || status === 403 || status === 404) {
    return { kind: 'later', reason, scope: 'lane', afterMs };
  }
  return { kind: 'refused', reason };
}

function errorCodeOf(body: Buffer): string | undefined {
  const { error } = parseObject(body);
  const { details, status } = asObject(error);
  const codes = (Array.isArray(details) ? details : []).map((detail: unknown) => asObject(detail).errorCode);
  const code = codes.find((found) => typeof found === 'string') ?? status;
  return typeof code === 'string' && /^[A-Z_]{1,40}$/.test(code) ? code : undefined;
}

/** Whether an invalid argument is the token: FCM names the field, or says so in its sentence. */
function isTokenInvalid(body: Buffer): boolean {
  const { error } = parseObject(body);
  const { details, message } = asObject(error);
  const violations = (Array.isArray(details) ? details : []).flatMap((detail: unknown) => {
    const { fieldViolations } = asObject(detail);
    return Array.isArray(fieldViolations) ? fieldViolations : [];
  });
  return (
    violations.some((violation: unknown) => asObject(violation).field === 'message.token') ||
    (typeof message === 'string' && /registration token is not a valid/i.test(message))
  );
}

function parseObject(body: Buffer): Readonly<Record<string, unknown>> {
  try {
    return asObject(JSON.parse(body.toString('utf8')));
  } catch {
    return {};
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
