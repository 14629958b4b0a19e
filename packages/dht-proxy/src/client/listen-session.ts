import { type Clock, errorMessage, type Job, type RandomSource, type Scheduler } from '@atoll/base';
import type { EventQueue, ListenEvent, LookupOptions, SecureLayer, Value } from '@atoll/dht';
import type { InfoHash } from '@atoll/identity';
import { RetryWait } from '../core/retry-wait.js';
import { ValueCache } from '../core/value-cache.js';
import { LineSplitter } from '../wire/line-splitter.js';
import { encodePushRequest, type PutOwner } from '../wire/requests.js';
import { decodeValueJson, parseJson } from '../wire/value-json.js';
import type { ExchangeHandler, ExchangeRequest } from './http-exchange.js';

/** The largest value as a line: 64 kB in base64, key and signature. */
export const MAX_LINE_BYTES = 256 * 1024;
/** A stream that says nothing: only a proxy of ours promises to speak sooner. TCP and the checks of the link watch it. */
const STREAM_IDLE_MS = 0x7fff_ffff;
const REQUEST_IDLE_MS = 60_000;
/** A get that should say what is gone and found nothing is asked again once after this time, ms. */
const DOUBT_MS = 5000;
/** After the last listener left, the stream or subscription is kept so long, ms (protocol/dht-proxy.md 16.3). */
const GRACE_MS = 60_000;
/** A subscription is renewed so often, ms (protocol/dht-proxy.md 16.5). */
export const RENEW_MS = 22 * 3_600_000;

/** What a session needs of the client that it belongs to. */
export interface ListenSessionParts {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: RandomSource;
  readonly secure: SecureLayer;
  /** Sends to the proxy in use; resolves to the status. */
  readonly send: (request: ExchangeRequest, handler: ExchangeHandler) => Promise<number>;
  /** All values under a key, as they are; undefined when it cannot be said. */
  readonly fetch: (key: InfoHash, signal: AbortSignal) => Promise<readonly Value[] | undefined>;
  /** Who is woken by pushes, when the client listens by them instead of by streams. */
  readonly pushOwner: () => PutOwner | undefined;
  /** The stream broke or was refused for a reason that concerns the whole proxy. */
  readonly onBroken: (fault: string, isRefused: boolean) => void;
  /** Nobody has listened for a while. */
  readonly onUnused: (session: ListenSession) => void;
}

interface Listener {
  readonly queue: EventQueue<ListenEvent>;
  readonly options: LookupOptions;
}

/**
 * Everybody of one client who listens to one key, by one stream or one push subscription. Streams come and go under it;
 * the listeners hear each value once, and of each that went away meanwhile that it is gone.
 */
export class ListenSession {
  readonly key: InfoHash;
  private readonly parts: ListenSessionParts;
  private readonly listeners = new Set<Listener>();
  private readonly cache = new ValueCache();
  /** Values as their readers may see them: opened and verified once. */
  private readonly opened = new WeakMap<Value, Value | 'not for us'>();
  private readonly wait: RetryWait;
  private readonly againJob: Job;
  private readonly unusedJob: Job;
  private attempt: AbortController | undefined;
  private isSubscribed = false;

  constructor(key: InfoHash, parts: ListenSessionParts) {
    this.key = key;
    this.parts = parts;
    this.wait = new RetryWait(parts.random);
    this.againJob = parts.scheduler.at(Number.POSITIVE_INFINITY, () => this.start());
    this.unusedJob = parts.scheduler.at(Number.POSITIVE_INFINITY, () => parts.onUnused(this));
  }

  /** Adds a listener; what is known is told at once. */
  add(queue: EventQueue<ListenEvent>, options: LookupOptions): () => void {
    const listener = { queue, options };
    this.listeners.add(listener);
    this.parts.scheduler.move(this.unusedJob, Number.POSITIVE_INFINITY);
    this.tell([listener], this.cache.values, false);
    return () => {
      if (!this.listeners.delete(listener) || this.listeners.size > 0) return;
      this.parts.scheduler.move(this.unusedJob, this.parts.clock.nowMs() + GRACE_MS);
    };
  }

  /** Opens the stream, or subscribes, on the proxy in use; a way that is open is left for it. */
  start(): void {
    this.pause();
    const controller = new AbortController();
    this.attempt = controller;
    const owner = this.parts.pushOwner();
    const run = owner === undefined ? this.stream(controller.signal) : this.subscribe(controller.signal, owner);
    run.catch((error) => this.broke(controller, errorMessage(error), false));
  }

  /** Stops the stream, keeping what is known: the proxy is gone. */
  pause(): void {
    this.parts.scheduler.cancel(this.againJob);
    const { attempt } = this;
    this.attempt = undefined;
    attempt?.abort();
  }

  /** Ends for good; a subscription is cancelled at the proxy. */
  stop(): void {
    this.pause();
    this.parts.scheduler.cancel(this.unusedJob);
    const owner = this.parts.pushOwner();
    if (!this.isSubscribed || owner === undefined) return;
    this.isSubscribed = false;
    const body = encodePushRequest(owner, false);
    const request: ExchangeRequest = { method: 'UNSUBSCRIBE', path: this.path, body, idleMs: REQUEST_IDLE_MS };
    this.parts.send(request, { onData: () => {} }).catch(() => {});
  }

  /** The proxy's push said that something came: look what is there now. */
  refetch(): void {
    const { attempt } = this;
    if (attempt === undefined) return;
    this.cache.doubt();
    void this.settle(attempt.signal);
  }

  /** The proxy's push said that these are gone. */
  expire(ids: readonly bigint[]): void {
    this.tell(this.listeners, ids.map((id) => this.cache.remove(id)).filter(isValue), true);
  }

  private get path(): string {
    return `/key/${this.key}`;
  }

  private async stream(signal: AbortSignal): Promise<void> {
    const controller = this.attempt;
    const splitter = new LineSplitter(MAX_LINE_BYTES);
    let streamStatus = 0;
    this.cache.doubt();
    const request = {
      method: 'GET',
      path: `${this.path}/listen`,
      idleMs: STREAM_IDLE_MS,
      isStream: true,
      signal,
    } as const;
    const status = await this.parts.send(request, {
      onStatus: (now) => {
        streamStatus = now;
        if (now !== 200) return;
        this.wait.reset();
        if (this.cache.isInDoubt) void this.settle(signal);
      },
      onData: (chunk) => {
        if (streamStatus !== 200 || signal.aborted) return;
        const lines = splitter.push(chunk);
        if (lines === undefined) this.broke(controller, 'A line of the stream is too long.', false);
        else this.receive(lines);
      },
    });
    this.broke(controller, `The stream ended (${status}).`, status === 503);
  }

  private async subscribe(signal: AbortSignal, owner: PutOwner): Promise<void> {
    const controller = this.attempt;
    const body = encodePushRequest(owner, this.isSubscribed);
    const request = { method: 'SUBSCRIBE', path: this.path, body, idleMs: REQUEST_IDLE_MS, signal } as const;
    const status = await this.parts.send(request, { onData: () => {} });
    if (status !== 200) {
      this.broke(controller, `The proxy refused the subscription (${status}).`, status === 503);
      return;
    }
    this.isSubscribed = true;
    this.wait.reset();
    if (signal.aborted) return;
    this.parts.scheduler.move(this.againJob, this.parts.clock.nowMs() + RENEW_MS);
    this.cache.doubt();
    await this.settle(signal);
  }

  private broke(controller: AbortController | undefined, fault: string, isRefused: boolean): void {
    if (controller === undefined || this.attempt !== controller) return;
    this.pause();
    this.parts.scheduler.move(this.againJob, this.parts.clock.nowMs() + this.wait.next());
    this.parts.onBroken(fault, isRefused);
  }

  /** Finds out what is gone since the last way broke: a stream tells only what is there, and never that it told all. */
  private async settle(signal: AbortSignal): Promise<void> {
    for (let round = 0; !signal.aborted; round++) {
      const values = await this.parts.fetch(this.key, signal).catch(() => undefined);
      if (signal.aborted) return;
      if (values !== undefined) {
        this.added(values);
        // A failed search looks the same as an empty one (protocol/dht-proxy.md 7): one empty answer proves nothing.
        if (values.length > 0 || round > 0) break;
      }
      if (!this.cache.isInDoubt) return;
      await this.pauseFor(DOUBT_MS, signal);
    }
    if (!signal.aborted) this.tell(this.listeners, this.cache.settle(), true);
  }

  private pauseFor(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const job = this.parts.scheduler.at(this.parts.clock.nowMs() + ms, () => {
        signal.removeEventListener('abort', stop);
        resolve();
      });
      const stop = (): void => {
        this.parts.scheduler.cancel(job);
        resolve();
      };
      signal.addEventListener('abort', stop, { once: true });
    });
  }

  private receive(lines: readonly string[]): void {
    let added: Value[] = [];
    for (const line of lines) {
      const decoded = decodeValueJson(parseJson(line));
      // A line that is no value is left out; what comes after it still counts.
      if (typeof decoded === 'string') continue;
      if (!decoded.isExpired) {
        added.push(decoded.value);
        continue;
      }
      this.added(added);
      added = [];
      this.expire([decoded.value.id]);
    }
    this.added(added);
  }

  private added(values: readonly Value[]): void {
    const fresh = values.filter((value) => this.cache.add(value));
    this.tell(this.listeners, fresh, false);
    this.tell(this.listeners, this.cache.trim(), true);
  }

  private tell(listeners: Iterable<Listener>, values: readonly Value[], isExpired: boolean): void {
    if (values.length === 0) return;
    for (const { queue, options } of [...listeners]) {
      const { query, filter } = options;
      const told = values
        .filter((value) => query === undefined || query.matches(value))
        .map((value) => this.open(value))
        .filter(isValue)
        .filter((value) => filter === undefined || filter(value));
      if (told.length > 0) queue.push({ values: told, isExpired });
    }
  }

  private open(value: Value): Value | undefined {
    let opened = this.opened.get(value);
    if (opened === undefined) {
      opened = this.parts.secure.open(value) ?? 'not for us';
      this.opened.set(value, opened);
    }
    return opened === 'not for us' ? undefined : opened;
  }
}

function isValue(value: Value | undefined): value is Value {
  return value !== undefined;
}
