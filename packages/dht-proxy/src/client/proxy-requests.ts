import { AtollError, errorMessage } from '@atoll/base';
import type { Value } from '@atoll/dht';
import type { InfoHash } from '@atoll/identity';
import type { InfoAnswer, ProxyLink } from '../core/proxy-link.js';
import { LineSplitter } from '../wire/line-splitter.js';
import { decodeNodeInfo } from '../wire/node-info.js';
import { encodePutJson, type PutOwner } from '../wire/requests.js';
import { decodeValueJson, encodeValueJson, isJsonObject, parseJson } from '../wire/value-json.js';
import { type ExchangeRequest, type HttpExchange, noAnswer } from './http-exchange.js';
import { MAX_LINE_BYTES } from './listen-session.js';

/** Node info is a small answer of a machine that does not have to look anything up, ms. */
const INFO_IDLE_MS = 15_000;
/** A search may take long, but its proxy says something in this time, ms. */
const REQUEST_IDLE_MS = 60_000;
/** Longest answer that is no stream of values, bytes. */
const MAX_ANSWER_BYTES = 1_048_576;

export interface ProxyRequestsParts {
  readonly exchange: HttpExchange;
  readonly link: ProxyLink;
  /** How often a request is tried before it fails: once on each proxy, and the first one again. */
  readonly attempts: number;
  readonly pushOwner: () => PutOwner | undefined;
}

/** Asks a proxy for its node info; a sentence when it gives none (protocol/dht-proxy.md 5). */
export async function askInfo(exchange: HttpExchange, proxy: string): Promise<InfoAnswer> {
  try {
    const { status, text } = await whole(exchange, proxy, { method: 'GET', path: '/', idleMs: INFO_IDLE_MS });
    const info = status === 200 ? decodeNodeInfo(parseJson(text)) : undefined;
    return info ?? `The DHT proxy ${proxy} is not of use: ${reasonOf(status, text)}`;
  } catch (error) {
    return errorMessage(error);
  }
}

/** Gets and puts through whichever proxy is in use; one that does not answer is left for the next (16.6). */
export class ProxyRequests {
  private readonly parts: ProxyRequestsParts;

  constructor(parts: ProxyRequestsParts) {
    this.parts = parts;
  }

  /** All values under a key, as they are, each once. Fails with `DHT_UNREACHABLE`, `PROXY_UNREACHABLE`, `PROXY_REFUSED`. */
  async look(key: InfoHash, signal: AbortSignal | undefined, onValue: (value: Value) => void): Promise<void> {
    const { link, exchange } = this.parts;
    const found = new Map<bigint, Value[]>();
    const take = (line: string): void => {
      const decoded = decodeValueJson(parseJson(line));
      if (typeof decoded === 'string' || decoded.isExpired || signal?.aborted) return;
      const { value } = decoded;
      const known = found.get(value.id);
      if (known?.some((other) => other.sameContent(value))) return;
      if (known === undefined) found.set(value.id, [value]);
      else known.push(value);
      onValue(value);
    };
    await this.attempt(signal, async (proxy) => {
      const splitter = new LineSplitter(MAX_LINE_BYTES);
      let status = 0;
      let refusal = '';
      await exchange.send(
        proxy,
        { method: 'GET', path: `/key/${key}`, idleMs: REQUEST_IDLE_MS, signal },
        {
          onStatus: (now) => {
            status = now;
          },
          onData: (chunk) => {
            if (status === 200) for (const line of splitter.push(chunk) ?? []) take(line);
            else if (refusal.length < MAX_LINE_BYTES) refusal += chunk.toString();
          },
        },
      );
      if (status !== 200) throw refused(proxy, status, refusal);
    });
    // A failed search looks the same as an empty one (protocol/dht-proxy.md 7).
    if (found.size === 0 && link.status !== 'connected') throw unreachable(link);
  }

  /** As {@link look}; undefined when the proxy could not say. */
  async fetch(key: InfoHash, signal: AbortSignal): Promise<Value[] | undefined> {
    const values: Value[] = [];
    try {
      await this.look(key, signal, (value) => values.push(value));
      return values;
    } catch {
      return undefined;
    }
  }

  /** Stores a value that has an id. Fails with `DHT_PUT_FAILED`, `PROXY_UNREACHABLE` or `PROXY_REFUSED`. */
  async put(key: InfoHash, value: Value, isPermanent: boolean, signal?: AbortSignal): Promise<void> {
    const permanent = isPermanent ? (this.parts.pushOwner() ?? true) : undefined;
    const body = encodePutJson(encodeValueJson(value), permanent);
    await this.attempt(signal, async (proxy) => {
      const { status, text } = await whole(this.parts.exchange, proxy, {
        method: 'POST',
        path: `/key/${key}`,
        body,
        idleMs: REQUEST_IDLE_MS,
        signal,
      });
      if (status === 502) {
        throw new AtollError('DHT_PUT_FAILED', `The DHT proxy ${proxy} found no node that took the value for ${key}.`);
      }
      if (status !== 200) throw refused(proxy, status, text);
    });
  }

  private async attempt(signal: AbortSignal | undefined, run: (proxy: string) => Promise<void>): Promise<void> {
    const { link, attempts } = this.parts;
    for (let left = attempts - 1; ; left--) {
      signal?.throwIfAborted();
      const { proxy } = link;
      try {
        return await run(proxy);
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        if (!(error instanceof AtollError) || error.code !== 'PROXY_UNREACHABLE') throw error;
        // A connection kept from before may have ended by itself: one more attempt says whether the proxy is gone.
        if (left < attempts - 1 || attempts > 2) link.failed(proxy, error.message);
        if (left <= 0) throw error;
      }
    }
  }
}

/** One request whose answer is read to its end. */
async function whole(
  exchange: HttpExchange,
  proxy: string,
  request: ExchangeRequest,
): Promise<{ status: number; text: string }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const status = await exchange.send(proxy, request, {
    onData: (chunk) => {
      bytes += chunk.length;
      if (bytes <= MAX_ANSWER_BYTES) chunks.push(chunk);
    },
  });
  return { status, text: Buffer.concat(chunks).toString() };
}

/** What the body of a refusal says, or its status. */
function reasonOf(status: number, text: string): string {
  const json = parseJson(text);
  const reason = isJsonObject(json) ? (json.err ?? json['err:']) : undefined;
  return typeof reason === 'string' && reason !== '' ? reason : `it answered with HTTP status ${status}`;
}

function refused(proxy: string, status: number, text: string): AtollError {
  // A proxy whose node is dead is as good as none.
  if (status === 503) return noAnswer(proxy, reasonOf(status, text));
  return new AtollError('PROXY_REFUSED', `The DHT proxy ${proxy} refused: ${reasonOf(status, text)}`);
}

function unreachable(link: ProxyLink): AtollError {
  return new AtollError(
    'DHT_UNREACHABLE',
    `Nothing was found, and the proxy may not see the DHT: ${link.health.reason}`,
  );
}
