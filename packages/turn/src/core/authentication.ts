import { type Endpoint, errorMessage } from '@atoll/base';
import {
  Attribute,
  hasValidIntegrity,
  hasValidIntegritySha256,
  MessageWriter,
  openAccessToken,
  PASSWORD_ALGORITHM_MD5,
  PASSWORD_ALGORITHM_SHA256,
  type StunMessage,
} from '@atoll/stun';
import type { Allocation, Proof } from './allocation.js';
import { finishAnswer, reasonOf } from './answer.js';
import type { ClientListener } from './client.js';
import type { TurnContext, TurnRequest } from './context.js';
import type { MaybePromise, UserKey } from './credentials.js';
import { LIMITS } from './limits.js';

const ALGORITHMS = [PASSWORD_ALGORITHM_SHA256, PASSWORD_ALGORITHM_MD5].map((number) => ({
  number,
  parameters: Buffer.alloc(0),
}));

/** A token may be this much over its time, ms (RFC 7635 section 6.2: Delta). */
const TOKEN_DELTA_MS = 5000;
const COTURN_MAC_KEY_BYTES = 16;

interface Unproved {
  readonly message: StunMessage;
  readonly listener: ClientListener;
  readonly from: Endpoint;
  readonly allocation: Allocation | undefined;
  readonly realm: string;
}

/** Long-term credentials (RFC 8489 section 9.2) and access tokens (RFC 7635). */
export class Authentication {
  private readonly context: TurnContext;
  private lookups = 0;
  /** Said once, not for each request that comes meanwhile. */
  private isStoreSilent = false;

  constructor(context: TurnContext) {
    this.context = context;
  }

  /** Calls `proved` once the sender has proved who he is, else answers him or stays silent. */
  check(of: Unproved, proved: (request: TurnRequest) => void): void {
    const { message, from, allocation } = of;
    const { context } = this;
    if (context.options.isOpen) {
      proved({ ...of, proof: undefined, account: '', validUntilMs: undefined });
      return;
    }
    const hasSha256 = message.has(Attribute.messageIntegritySha256);
    if (!hasSha256 && !message.has(Attribute.messageIntegrity)) return this.challenge(of, 401);
    const nonce = message.get(Attribute.nonce);
    const realm = message.get(Attribute.realm);
    const username = message.get(Attribute.username);
    const userhash = message.get(Attribute.userhash);
    if (nonce === undefined || realm === undefined || (username === undefined && userhash === undefined)) {
      return this.refuse(of, 400);
    }
    if (!context.unauthorized.isOpen(from.ip)) {
      context.counters.challengesDropped++;
      return;
    }
    if (!context.nonces.isFresh(nonce, from.ip)) return this.challenge(of, 438);
    if (realm !== of.realm && realm !== allocation?.proof?.realm) return this.challenge(of, 401);
    if (!algorithmsAgree(message)) return this.refuse(of, 400);
    const hash = hasSha256 ? 'sha256' : 'sha1';
    const token = message.get(Attribute.accessToken);
    if (token !== undefined && context.options.oauthServerName !== undefined && username !== undefined) {
      return this.later(of, context.credentials.oauthKey?.(username), (key) => {
        this.checkToken(of, { username, token, hash, realm }, key, proved);
      });
    }
    // The key of the session serves its later requests: no look-up for each.
    const known = allocation?.proof;
    const isNamed = username !== undefined && (username === known?.user || known?.isToken === true);
    if (known !== undefined && isNamed && realm === known.realm && hash === known.hash) {
      if (isProved(message, hash, known.key)) {
        context.unauthorized.giveBack(from.ip);
        const { account, validUntilMs } = { account: allocation?.facts.place.user ?? '', validUntilMs: undefined };
        proved({ ...of, proof: known, account, realm, validUntilMs });
        return;
      }
    }
    if (username !== undefined) return this.checkUser(of, username, realm, proved);
    this.later(of, context.credentials.userOf?.(userhash as Uint8Array, realm), (user) => {
      if (user === undefined) this.wrong(of);
      else this.checkUser(of, user, realm, proved);
    });
  }

  private checkUser(of: Unproved, user: string, realm: string, proved: (request: TurnRequest) => void): void {
    const { message, from } = of;
    this.later(of, this.context.credentials.find(user, realm), (keys: readonly UserKey[]) => {
      const hash = message.has(Attribute.messageIntegritySha256) ? 'sha256' : 'sha1';
      const usesSha256 = message.get(Attribute.passwordAlgorithm)?.number === PASSWORD_ALGORITHM_SHA256;
      const unixMs = this.context.clock.unixMs();
      for (const candidate of keys) {
        const key = usesSha256 ? candidate.sha256 : candidate.md5;
        if (key === undefined || !isProved(message, hash, key)) continue;
        if (candidate.validUntilMs !== undefined && candidate.validUntilMs <= unixMs) continue;
        this.context.unauthorized.giveBack(from.ip);
        proved({
          message,
          listener: of.listener,
          from,
          allocation: of.allocation,
          realm,
          proof: { user, realm, key, hash },
          account: candidate.account,
          // A time-limited credential ends new sessions, not those that run (as with coturn).
          validUntilMs: undefined,
        });
        return;
      }
      this.wrong(of);
    });
  }

  private checkToken(
    of: Unproved,
    given: { username: string; token: Uint8Array; hash: Proof['hash']; realm: string },
    key: Awaited<ReturnType<NonNullable<TurnContext['credentials']['oauthKey']>>>,
    proved: (request: TurnRequest) => void,
  ): void {
    const { context } = this;
    const unixMs = context.clock.unixMs();
    if (key === undefined || (key.validUntilMs !== undefined && key.validUntilMs <= unixMs)) return this.wrong(of);
    if (key.realm !== undefined && key.realm !== given.realm) return this.wrong(of);
    const serverName = context.options.oauthServerName || given.realm;
    const token = openAccessToken(given.token, { key: key.key, serverName });
    if (token === undefined) return this.wrong(of);
    const validUntilMs = 1000 * (token.timestamp + token.lifetimeSeconds) + TOKEN_DELTA_MS;
    // coturn and its clients take the first sixteen bytes of the key only.
    const keys = [token.macKey, token.macKey.subarray(0, COTURN_MAC_KEY_BYTES)];
    const macKey = keys.find((candidate) => isProved(of.message, given.hash, candidate));
    if (validUntilMs <= unixMs || macKey === undefined) return this.wrong(of);
    context.unauthorized.giveBack(of.from.ip);
    // A session may go on with another key id and token: nobody is named by them.
    const proof: Proof = { user: '', realm: given.realm, key: macKey, hash: given.hash, isToken: true };
    proved({ ...of, realm: given.realm, proof, account: '', validUntilMs });
  }

  /** Goes on when a look-up is through: at once where nothing has to be waited for. */
  private later<T>(of: Unproved, value: MaybePromise<T>, next: (value: T) => void): void {
    if (!(value instanceof Promise)) return next(value);
    if (this.lookups >= LIMITS.pendingLookups) return;
    this.lookups++;
    // The bytes of the message are the socket's again when this call returns.
    value.then(
      (found) => {
        this.lookups--;
        this.isStoreSilent = false;
        next(found);
      },
      (error: unknown) => {
        this.lookups--;
        if (!this.isStoreSilent) {
          this.context.logger.error('The user store does not answer', { reason: errorMessage(error) });
        }
        this.isStoreSilent = true;
        this.refuse(of, 500);
      },
    );
  }

  private wrong(of: Unproved): void {
    const { counters, unauthorized, logger } = this.context;
    counters.wrongCredentials++;
    logger.debug('wrong credentials', { client: of.from.toString() });
    if (unauthorized.takeFailure(of.from.ip)) this.challenge(of, 401);
    else counters.challengesDropped++;
  }

  /** 401 or 438 with what is needed to try again, as often as the limit allows. */
  private challenge(of: Unproved, code: 401 | 438): void {
    const { context } = this;
    if (!context.unauthorized.takeChallenge(of.from.ip)) {
      context.counters.challengesDropped++;
      return;
    }
    context.counters.challenges++;
    this.refuse(of, code, (writer) => {
      writer.add(Attribute.realm, of.realm).add(Attribute.nonce, context.nonces.make(of.from.ip));
      if (context.credentials.knowsSha256) writer.add(Attribute.passwordAlgorithms, ALGORITHMS);
      const { oauthServerName } = context.options;
      if (oauthServerName !== undefined) writer.add(Attribute.thirdPartyAuthorization, oauthServerName || of.realm);
    });
  }

  private refuse({ message, listener, from }: Unproved, code: number, fill?: (writer: MessageWriter) => void): void {
    const writer = MessageWriter.answer(message, 'error');
    writer.add(Attribute.errorCode, { code, reason: reasonOf(code) });
    fill?.(writer);
    const bytes = finishAnswer(this.context, writer, message, undefined);
    if (bytes.length <= LIMITS.unauthenticatedAnswerBytes) listener.send(bytes, from);
  }
}

function isProved(message: StunMessage, hash: Proof['hash'], key: Uint8Array): boolean {
  return hash === 'sha256' ? hasValidIntegritySha256(message, key) : hasValidIntegrity(message, key);
}

/** PASSWORD-ALGORITHM and PASSWORD-ALGORITHMS come together or not at all, and the one is of the others (9.2.4). */
function algorithmsAgree(message: StunMessage): boolean {
  const hasOne = message.has(Attribute.passwordAlgorithm);
  const hasAll = message.has(Attribute.passwordAlgorithms);
  if (!hasOne && !hasAll) return true;
  const chosen = message.get(Attribute.passwordAlgorithm);
  const offered = message.get(Attribute.passwordAlgorithms);
  if (chosen === undefined || offered === undefined) return false;
  return (
    offered.length === ALGORITHMS.length &&
    offered.every(({ number }, index) => number === ALGORITHMS[index]?.number) &&
    ALGORITHMS.some(({ number }) => number === chosen.number)
  );
}
