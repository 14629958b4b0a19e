import { errorMessage, UsageError } from '@atoll/base';
import type { PrivateKey } from '@atoll/identity';
import { lowerAscii, toAddress } from '../core/name-rule.js';
import { isBad, keyInAnswer, prove } from '../core/registration.js';
import { BoundedCache } from './bounded-cache.js';
import { askHttp, type HttpAnswer } from './http-request.js';

/** What a look-up found (protocol/name-server.md 3 and 4). */
export type Lookup =
  | {
      readonly state: 'found';
      readonly name: string;
      /** Jami id, 40 lower-case hex digits. */
      readonly address: string;
      /** The owner's key signed the name, so the server need not be trusted. */
      readonly isSigned: boolean;
      /** Base64 as the server gave them, where they are proven. */
      readonly publicKey?: string;
      readonly signature?: string;
    }
  | { readonly state: 'not-found' }
  /** No name or address can be like that, or the answer's signature is wrong. */
  | { readonly state: 'invalid'; readonly reason: string }
  | { readonly state: 'error'; readonly reason: string };

/** What became of a registration (protocol/name-server.md 5). */
export type Registration =
  | { readonly state: 'registered' }
  /** Held until the server's operator approves it. */
  | { readonly state: 'waiting' }
  | { readonly state: 'taken'; readonly reason: string }
  | { readonly state: 'refused'; readonly reason: string }
  | { readonly state: 'error'; readonly reason: string };

export interface NameClientOptions {
  /** Address of the server; `https://` when it has no scheme. */
  readonly server: string;
  /** Longest wait for an answer, ms. */
  readonly limitMs?: number;
  /** PEM of the authorities whose certificates are taken; the system's when left out. */
  readonly authority?: string | undefined;
  /** Further headers of each request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How long found names are good without asking again, ms; 0 always asks. A day when left out. */
  readonly cacheMs?: number;
}

const LIMIT_MS = 15_000;
const CACHE_MS = 24 * 3_600_000;
const MAX_CACHED = 10_000;

type Found = Extract<Lookup, { state: 'found' }>;

/** Asks one name server. */
export class NameClient {
  /** Base URL, without a slash at its end. */
  readonly server: string;
  private readonly options: NameClientOptions;
  private readonly cache: BoundedCache<Found> | undefined;

  /** Throws a usage error when the server's address is none. */
  constructor(options: NameClientOptions) {
    this.server = serverUrl(options.server);
    this.options = options;
    const { cacheMs = CACHE_MS } = options;
    if (cacheMs > 0) {
      const nowMs = (): number => performance.now();
      this.cache = new BoundedCache<Found>({ nowMs }, { maxEntries: MAX_CACHED, lifeMs: cacheMs });
    }
  }

  /** Whom a name leads to. */
  async lookup(name: string, signal?: AbortSignal): Promise<Lookup> {
    const asked = lowerAscii(name);
    const cached = this.cache?.get(`name ${asked}`);
    if (cached !== undefined) return cached;
    const result = await this.ask(`/name/${encodePart(asked)}`, signal, (members) => readFound(asked, members));
    this.remember(asked, result);
    return result;
  }

  /**
   * Which name leads to an address. The answer is not signed, so the name is looked up again and has to lead back to
   * the address (protocol/name-server.md 4).
   */
  async lookupAddress(text: string, signal?: AbortSignal): Promise<Lookup> {
    const address = toAddress(text);
    if (address === undefined) return { state: 'invalid', reason: `“${text}” is no Jami id of 40 hex digits` };
    const cached = this.cache?.get(`address ${address}`);
    if (cached !== undefined) return cached;
    const reverse = await this.ask(`/addr/${address}`, signal, ({ name }) =>
      typeof name === 'string' && name !== ''
        ? { state: 'found', name, address, isSigned: false }
        : { state: 'not-found' },
    );
    if (reverse.state !== 'found') return reverse;
    const forward = await this.lookup(reverse.name, signal);
    if (forward.state !== 'found') return forward.state === 'not-found' ? mismatch(reverse.name) : forward;
    return forward.address === address ? forward : mismatch(reverse.name);
  }

  /** Registers a name for a key, which signs it. */
  async register(name: string, key: PrivateKey, owner?: string, signal?: AbortSignal): Promise<Registration> {
    const asked = lowerAscii(name);
    const address = key.publicKey.id.toString();
    const body = JSON.stringify({
      addr: address,
      owner: owner ?? address,
      signature: key.sign(Buffer.from(asked)).toString('base64'),
      publickey: keyInAnswer(key.publicKey.spki),
    });
    let answer: HttpAnswer;
    try {
      answer = await this.send(`/name/${encodePart(asked)}`, signal, body);
    } catch (error) {
      return { state: 'error', reason: errorMessage(error) };
    }
    const { status } = answer;
    const { success, error } = objectOf(answer.body) ?? {};
    const reason = typeof error === 'string' ? error : `status ${status}`;
    if (status === 202 && success === false) return { state: 'waiting' };
    if (status >= 200 && status < 300) {
      return success === true ? { state: 'registered' } : { state: 'error', reason };
    }
    if (status === 400 || status === 401) return { state: 'refused', reason };
    return status > 400 && status < 500 ? { state: 'taken', reason } : { state: 'error', reason };
  }

  private async ask(
    path: string,
    signal: AbortSignal | undefined,
    read: (members: Record<string, unknown>) => Lookup,
  ): Promise<Lookup> {
    let answer: HttpAnswer;
    try {
      answer = await this.send(path, signal);
    } catch (error) {
      return { state: 'error', reason: errorMessage(error) };
    }
    const { status, body } = answer;
    const members = objectOf(body);
    if (status >= 200 && status < 300) {
      return members === undefined ? { state: 'error', reason: 'the answer is no JSON object' } : read(members);
    }
    const reason = typeof members?.error === 'string' ? members.error : `status ${status}`;
    if (status === 400) return { state: 'invalid', reason };
    return status > 400 && status < 500 ? { state: 'not-found' } : { state: 'error', reason };
  }

  private send(path: string, signal: AbortSignal | undefined, body?: string): Promise<HttpAnswer> {
    const { limitMs = LIMIT_MS, authority, headers } = this.options;
    return askHttp(new URL(`${this.server}${path}`), {
      limitMs,
      authority,
      signal,
      ...(headers === undefined ? {} : { headers }),
      ...(body === undefined ? {} : { method: 'POST' as const, body }),
    });
  }

  private remember(asked: string, result: Lookup): void {
    if (result.state !== 'found') return;
    this.cache?.set(`name ${asked}`, result);
    this.cache?.set(`address ${result.address}`, result);
  }
}

/** `alice@ns.example:8000` is `alice` at another server; a scheme such as `jami:` is dropped (protocol/name-server.md 7). */
export function splitNameUri(text: string): { readonly name: string; readonly server: string | undefined } {
  const plain = text.trim().replace(/^[a-z][a-z0-9+.-]*:(\/\/)?/i, '');
  const at = plain.indexOf('@');
  return at < 0 ? { name: plain, server: undefined } : { name: plain.slice(0, at), server: plain.slice(at + 1) };
}

/** The base URL of a server as a person writes it. Throws a usage error. */
export function serverUrl(text: string): string {
  const withScheme = text.includes('://') ? text : `https://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '') {
    throw new UsageError(`“${text}” is no address of a name server, such as http://10.0.0.1:8000.`);
  }
  return `${url.origin}${url.pathname.replace(/\/$/, '')}`;
}

/** Checks an answer as the Jami daemon does, and besides that the address is one (protocol/name-server.md 3). */
function readFound(asked: string, members: Record<string, unknown>): Lookup {
  const { addr, name = asked, publickey, signature } = members;
  if (addr === undefined || addr === null || addr === '') return { state: 'not-found' };
  const address = typeof addr === 'string' ? toAddress(addr) : undefined;
  if (address === undefined || typeof name !== 'string') {
    return { state: 'invalid', reason: 'the answer leads to no Jami id' };
  }
  if (typeof publickey !== 'string' || typeof signature !== 'string' || publickey === '' || signature === '') {
    return { state: 'found', name, address, isSigned: false };
  }
  const publicKey = Buffer.from(publickey, 'base64');
  const proof = prove({ name, address, owner: '', publicKey, signature: Buffer.from(signature, 'base64') });
  if (lowerAscii(name) !== asked) return { state: 'invalid', reason: `the answer is about another name, “${name}”` };
  return isBad(proof)
    ? { state: 'invalid', reason: proof.reason }
    : { state: 'found', name, address, isSigned: true, publicKey: publickey, signature };
}

function mismatch(name: string): Lookup {
  return { state: 'invalid', reason: `the server calls the address “${name}”, but that name leads elsewhere` };
}

function objectOf(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** As the Jami daemon encodes a part of a path: everything but letters, digits and `-_.~`. */
function encodePart(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}
