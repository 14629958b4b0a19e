import type { KeyObject } from 'node:crypto';
import { AtollError, errorCode, errorMessage } from '@atoll/base';
import type { AskDirectory, DirectoryAnswer, DirectoryRequest } from './ask-directory.js';
import { publicJwk, signJws, thumbprint } from './jws.js';

/** What a directory throws away and asks for again is sent so often at most. */
const MAX_NONCE_TRIES = 10;
/** A directory has so long to look at a challenge, or to issue, ms. */
const DECISION_LIMIT_MS = 3 * 60_000;
/** First and longest wait between two looks at what it decided, ms. */
const FIRST_LOOK_MS = 500;
const LONGEST_LOOK_MS = 30_000;
/** Names, and with them authorizations, of one order: as many as Let's Encrypt puts into a certificate. */
export const MAX_ACME_NAMES = 100;
/** A directory's own words in our sentences, characters. */
const MAX_DETAIL_CHARACTERS = 300;
const ERROR = 'urn:ietf:params:acme:error:';

export interface AcmeClientComponents {
  readonly ask: AskDirectory;
  /** Key of the account, on P-256. */
  readonly accountKey: KeyObject;
  /** Lays the answer to a challenge where the directory looks for it; what it returns takes it away again. */
  readonly publish: (token: string, keyAuthorization: string) => () => void;
  /** Waits, or ends early when the signal says so. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly nowMs: () => number;
  readonly unixMs: () => number;
}

export interface AcmeClientOptions {
  /** URL of the directory. */
  readonly directory: string;
  /** Where the directory may write to. */
  readonly email?: string | undefined;
}

/** The cause of a refusal that says when to come back. */
export class RetryAfter extends Error {
  readonly ms: number;

  constructor(ms: number) {
    super(`retry after ${Math.round(ms / 1000)} s`);
    this.ms = ms;
  }
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * Gets certificates from an ACME directory (RFC 8555) by HTTP-01: account, order, challenges, certificate. It fails with
 * `ACME_UNREACHABLE`, `ACME_RATE_LIMITED`, `ACME_REFUSED`, `ACME_CHALLENGE_FAILED`, `ACME_UNDECIDED` or
 * `ACME_ANSWER_WRONG`; the sentence names the directory.
 */
export class AcmeClient {
  private readonly parts: AcmeClientComponents;
  private readonly options: AcmeClientOptions;
  private signal = new AbortController().signal;
  private nonceUrl = '';
  private nonce: string | undefined;

  constructor(parts: AcmeClientComponents, options: AcmeClientOptions) {
    this.parts = parts;
    this.options = options;
  }

  /** A certificate with its chain (PEM) for names; `request` is the PKCS #10 request for them, in DER. */
  async order(names: readonly string[], request: Uint8Array, signal: AbortSignal): Promise<string> {
    this.signal = signal;
    const directory = this.fieldsOf(await this.exchange(this.options.directory, {}));
    this.nonceUrl = this.urlIn(directory, 'newNonce');
    const account = await this.register(this.urlIn(directory, 'newAccount'));
    const identifiers = names.map((value) => ({ type: 'dns', value }));
    const made = await this.post(this.urlIn(directory, 'newOrder'), { kid: account }, { identifiers });
    const url = this.location(made);
    const authorizations = this.fieldsOf(made).authorizations;
    if (!Array.isArray(authorizations) || authorizations.length > MAX_ACME_NAMES) throw this.wrong('authorizations');
    for (const authorization of authorizations) await this.authorize(account, this.url(authorization));
    const ready = await this.decided(account, url, ['pending']);
    if (ready.status === 'ready') {
      const csr = Buffer.from(request).toString('base64url');
      await this.post(this.urlIn(ready, 'finalize'), { kid: account }, { csr });
    }
    const done = await this.decided(account, url, ['ready', 'processing']);
    if (done.status !== 'valid') {
      throw new AtollError(
        'ACME_REFUSED',
        `${this.host} does not issue the certificate: ${detailOf(done.error) ?? String(done.status)}.`,
      );
    }
    return (await this.post(this.urlIn(done, 'certificate'), { kid: account })).body;
  }

  /** URL of the account. A directory that knows the key already answers with the same one (RFC 8555 section 7.3.1). */
  private async register(url: string): Promise<string> {
    const { email } = this.options;
    const contact = email === undefined ? {} : { contact: [`mailto:${email}`] };
    const jwk = publicJwk(this.parts.accountKey);
    return this.location(await this.post(url, { jwk }, { termsOfServiceAgreed: true, ...contact }));
  }

  /** Shows the directory that a name leads here (RFC 8555 section 8.3); nothing to do where it remembers that. */
  private async authorize(account: string, url: string): Promise<void> {
    const authorization = this.fieldsOf(await this.post(url, { kid: account }));
    if (authorization.status === 'valid') return;
    const name = String(asFields(authorization.identifier).value ?? '?');
    const challenge = challengeIn(authorization);
    const { token } = challenge;
    if (typeof token !== 'string' || !/^[\w-]{16,256}$/.test(token)) throw this.wrong('an HTTP-01 challenge');
    const takeBack = this.parts.publish(token, `${token}.${thumbprint(this.parts.accountKey)}`);
    try {
      await this.post(this.url(challenge.url), { kid: account }, {});
      const decided = await this.decided(account, url, ['pending']);
      if (decided.status === 'valid') return;
      throw new AtollError(
        'ACME_CHALLENGE_FAILED',
        `${this.host} did not see that ${name} leads here: ${detailOf(challengeIn(decided).error) ?? String(decided.status)}. ${name} has to lead to this hub from there, and its port 80 to the setting acme-port.`,
      );
    } finally {
      takeBack();
    }
  }

  /** Looks at an order or authorization until it is in none of these states any more. */
  private async decided(account: string, url: string, pending: readonly string[]): Promise<Fields> {
    const endMs = this.parts.nowMs() + DECISION_LIMIT_MS;
    for (let waitMs = FIRST_LOOK_MS; ; waitMs *= 2) {
      const answer = await this.post(url, { kid: account });
      const fields = this.fieldsOf(answer);
      if (!pending.includes(String(fields.status))) return fields;
      if (this.parts.nowMs() >= endMs) {
        throw new AtollError('ACME_UNDECIDED', `${this.host} did not decide within ${DECISION_LIMIT_MS / 60_000} min.`);
      }
      const askedMs = this.retryAfterMs(answer) ?? 0;
      await this.parts.wait(Math.min(Math.max(waitMs, askedMs), LONGEST_LOOK_MS), this.signal);
    }
  }

  /** Sends a signed request, again with a new nonce where the old one is not taken (RFC 8555 section 6.5). */
  private async post(url: string, signer: Fields, payload?: unknown): Promise<DirectoryAnswer> {
    for (let attempt = 1; ; attempt++) {
      const nonce = this.nonce ?? (await this.freshNonce());
      this.nonce = undefined;
      const body = signJws(this.parts.accountKey, { ...signer, nonce, url }, payload);
      const answer = await this.exchange(url, { method: 'POST', body });
      this.nonce = nonceOf(answer);
      if (answer.status >= 200 && answer.status < 300) return answer;
      if (this.typeOf(answer) !== 'badNonce' || attempt === MAX_NONCE_TRIES) throw this.refusal(answer);
    }
  }

  private async freshNonce(): Promise<string> {
    const nonce = nonceOf(await this.exchange(this.nonceUrl, { method: 'HEAD' }));
    if (nonce === undefined) throw this.wrong('a nonce');
    return nonce;
  }

  private async exchange(url: string, request: DirectoryRequest): Promise<DirectoryAnswer> {
    this.signal.throwIfAborted();
    try {
      return await this.parts.ask(url, request, this.signal);
    } catch (cause) {
      // A failed connection to several addresses has its reason in its parts.
      const [first] = cause instanceof AggregateError ? cause.errors : [cause];
      throw new AtollError(
        'ACME_UNREACHABLE',
        `The ACME directory ${this.host} cannot be reached: ${errorMessage(first) || errorCode(first)}. Getting a certificate needs the Internet, a clock that is right, and for a directory of your own the setting acme-authority.`,
        { cause },
      );
    }
  }

  private refusal(answer: DirectoryAnswer): AtollError {
    const retryMs = this.retryAfterMs(answer);
    const said = detailOf(this.problemOf(answer)) ?? `it answers ${answer.status}`;
    const options = retryMs === undefined ? {} : { cause: new RetryAfter(retryMs) };
    if (this.typeOf(answer) === 'rateLimited' || answer.status === 429) {
      return new AtollError(
        'ACME_RATE_LIMITED',
        `${this.host} gives no more certificates for now: ${said}. It counts what a name and an address ask for: let the hub wait.`,
        options,
      );
    }
    return new AtollError('ACME_REFUSED', `${this.host} refuses: ${said}.`, options);
  }

  private problemOf(answer: DirectoryAnswer): unknown {
    try {
      return JSON.parse(answer.body);
    } catch {
      return undefined;
    }
  }

  private typeOf(answer: DirectoryAnswer): string | undefined {
    const { type } = asFields(this.problemOf(answer));
    return typeof type === 'string' && type.startsWith(ERROR) ? type.slice(ERROR.length) : undefined;
  }

  private fieldsOf(answer: DirectoryAnswer): Fields {
    const parsed = this.problemOf(answer);
    if (answer.status !== 200 && answer.status !== 201) throw this.refusal(answer);
    if (typeof parsed !== 'object' || parsed === null) throw this.wrong('a JSON object');
    return asFields(parsed);
  }

  /** Seconds or a date (RFC 9110 section 10.2.3). */
  private retryAfterMs({ headers }: DirectoryAnswer): number | undefined {
    const text = headers['retry-after'];
    if (typeof text !== 'string') return undefined;
    const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - this.parts.unixMs();
    return ms > 0 ? ms : undefined;
  }

  private location({ headers }: DirectoryAnswer): string {
    return this.url(headers.location);
  }

  private urlIn(fields: Fields, name: string): string {
    return this.url(fields[name], name);
  }

  private url(value: unknown, what = 'a URL'): string {
    if (typeof value !== 'string' || !/^https:\/\//.test(value) || !URL.canParse(value)) throw this.wrong(what);
    return value;
  }

  private wrong(what: string): AtollError {
    return new AtollError(
      'ACME_ANSWER_WRONG',
      `${this.host} does not answer as an ACME directory does: ${what} is missing. Is the setting acme-directory right?`,
    );
  }

  private get host(): string {
    return new URL(this.options.directory).host;
  }
}

function asFields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function challengeIn({ challenges }: Fields): Fields {
  const all = Array.isArray(challenges) ? challenges.map(asFields) : [];
  return all.find(({ type }) => type === 'http-01') ?? {};
}

/** What a problem document (RFC 7807) says, in one line without its own full stop. */
function detailOf(problem: unknown): string | undefined {
  const { detail, type } = asFields(problem);
  const text = typeof detail === 'string' && detail !== '' ? detail : type;
  if (typeof text !== 'string') return undefined;
  return text
    .replace(/\p{Cc}+/gu, ' ')
    .slice(0, MAX_DETAIL_CHARACTERS)
    .replace(/\.$/, '');
}

function nonceOf({ headers }: DirectoryAnswer): string | undefined {
  const nonce = headers['replay-nonce'];
  return typeof nonce === 'string' ? nonce : undefined;
}
