import type { Clock, Job, Scheduler } from '@atoll/base';
import type { InfoHash } from '@atoll/identity';
import type { Query } from '../wire/query.js';
import type { Value } from '../wire/value.js';
import type { ValueTypes } from './value-types.js';

/** Values remembered of one source (protocol/dht.md 14). */
const MAX_CACHED = 4096;
/** And bytes of values: a node that we listen on may push what it likes. */
const MAX_CACHED_BYTES = 8 * 1024 * 1024;
/** A group whose last listener left is kept this long, in ms: people look away and back. */
const GRACE_MS = 60_000;

/** Hears of values that appear and of values that are gone. Returning false ends the listen. */
export type ListenCallback = (values: readonly Value[], isExpired: boolean) => boolean | undefined;

interface CachedValue {
  value: Value;
  /** ms of the clock. */
  expiresMs: number;
}

/** What one source told us. */
class SourceCache extends Map<bigint, CachedValue> {
  bytes = 0;
}

interface MergedValue {
  value: Value;
  /** How many sources have it. */
  sources: number;
}

/** Who told us of values: a node we listen on, or our own storage. */
export type ListenSource = object;

export interface ListenGroupParts {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly types: ValueTypes;
  /** The last listener left long enough ago: the searches may stop listening. */
  readonly onUnused: (group: ListenGroup) => void;
}

/**
 * Everybody on this node who listens to one query under one key, and what all sources together know of it: a value is
 * there while at least one source has it, and is told once (protocol/dht.md 14).
 */
export class ListenGroup {
  readonly key: InfoHash;
  readonly query: Query;
  /** `query` as text. */
  readonly queryKey: string;
  private readonly parts: ListenGroupParts;
  private readonly listeners = new Set<ListenCallback>();
  private readonly sources = new Map<ListenSource, SourceCache>();
  private readonly merged = new Map<bigint, MergedValue>();
  private readonly expiryJob: Job;
  private readonly unusedJob: Job;

  constructor(key: InfoHash, query: Query, parts: ListenGroupParts) {
    this.key = key;
    this.query = query;
    this.queryKey = query.toString();
    this.parts = parts;
    this.expiryJob = parts.scheduler.at(Number.POSITIVE_INFINITY, () => this.expire());
    this.unusedJob = parts.scheduler.at(Number.POSITIVE_INFINITY, () => parts.onUnused(this));
  }

  get listenerCount(): number {
    return this.listeners.size;
  }

  /** Starts to listen; what is known already is told at once. Returns a function that ends it. */
  add(callback: ListenCallback): () => void {
    this.listeners.add(callback);
    this.parts.scheduler.move(this.unusedJob, Number.POSITIVE_INFINITY);
    if (this.merged.size > 0) {
      const known = [...this.merged.values()].map((entry) => entry.value);
      if (callback(known, false) === false) this.remove(callback);
    }
    return () => this.remove(callback);
  }

  /** A source has these values. */
  added(source: ListenSource, values: readonly Value[]): void {
    let cache = this.sources.get(source);
    if (cache === undefined) {
      cache = new SourceCache();
      this.sources.set(source, cache);
    }
    const fresh: Value[] = [];
    const gone: Value[] = [];
    const nowMs = this.parts.clock.nowMs();
    let soonestMs = Number.POSITIVE_INFINITY;
    for (const value of values) {
      if (!this.query.matches(value)) continue;
      const expiresMs = nowMs + this.parts.types.of(value).expirationMs;
      soonestMs = Math.min(soonestMs, expiresMs);
      const cached = cache.get(value.id);
      if (cached === undefined) {
        if (cache.size >= MAX_CACHED) this.dropOldest(cache, gone);
        cache.set(value.id, { value, expiresMs });
        cache.bytes += value.sizeBytes;
        if (this.merge(value, true)) fresh.push(value);
      } else {
        cached.expiresMs = expiresMs;
        cache.bytes += value.sizeBytes - cached.value.sizeBytes;
        cached.value = value;
        if (this.merge(value, false)) fresh.push(value);
      }
      while (cache.bytes > MAX_CACHED_BYTES && cache.size > 1) this.dropOldest(cache, gone);
    }
    if (soonestMs < this.expiryJob.dueMs) this.parts.scheduler.move(this.expiryJob, soonestMs);
    this.tell(gone, true);
    this.tell(fresh, false);
  }

  /** A source says that values were refreshed. */
  refreshed(source: ListenSource, ids: readonly bigint[]): void {
    const cache = this.sources.get(source);
    const nowMs = this.parts.clock.nowMs();
    for (const id of ids) {
      const cached = cache?.get(id);
      if (cached !== undefined) cached.expiresMs = nowMs + this.parts.types.of(cached.value).expirationMs;
    }
  }

  /** A source no longer has these values. */
  expired(source: ListenSource, ids: readonly bigint[]): void {
    const cache = this.sources.get(source);
    if (cache === undefined) return;
    const gone: Value[] = [];
    for (const id of ids) this.dropFrom(cache, id, gone);
    this.tell(gone, true);
  }

  /** A source is no longer listened to. */
  drop(source: ListenSource): void {
    const cache = this.sources.get(source);
    if (cache === undefined) return;
    this.sources.delete(source);
    const gone: Value[] = [];
    for (const id of [...cache.keys()]) this.dropFrom(cache, id, gone);
    this.tell(gone, true);
  }

  close(): void {
    this.parts.scheduler.cancel(this.expiryJob);
    this.parts.scheduler.cancel(this.unusedJob);
    this.listeners.clear();
    this.sources.clear();
    this.merged.clear();
  }

  private remove(callback: ListenCallback): void {
    if (!this.listeners.delete(callback) || this.listeners.size > 0) return;
    this.parts.scheduler.move(this.unusedJob, this.parts.clock.nowMs() + GRACE_MS);
  }

  /** True when listeners have to hear of it: a new id, or a newer version of a known one. */
  private merge(value: Value, isNewToSource: boolean): boolean {
    const known = this.merged.get(value.id);
    if (known === undefined) {
      this.merged.set(value.id, { value, sources: 1 });
      return true;
    }
    if (isNewToSource) known.sources++;
    if (value.seq <= known.value.seq || value.sameContent(known.value)) return false;
    known.value = value;
    return true;
  }

  private dropFrom(cache: SourceCache, id: bigint, gone: Value[]): void {
    const cached = cache.get(id);
    if (cached === undefined) return;
    cache.delete(id);
    cache.bytes -= cached.value.sizeBytes;
    const known = this.merged.get(id);
    if (known === undefined) return;
    known.sources--;
    if (known.sources > 0) return;
    this.merged.delete(id);
    gone.push(known.value);
  }

  private dropOldest(cache: SourceCache, gone: Value[]): void {
    const [oldest] = cache.keys();
    if (oldest !== undefined) this.dropFrom(cache, oldest, gone);
  }

  private expire(): void {
    const nowMs = this.parts.clock.nowMs();
    const gone: Value[] = [];
    for (const cache of this.sources.values()) {
      for (const [id, cached] of cache) if (cached.expiresMs <= nowMs) this.dropFrom(cache, id, gone);
    }
    this.arm();
    this.tell(gone, true);
  }

  private arm(): void {
    let next = Number.POSITIVE_INFINITY;
    for (const cache of this.sources.values()) {
      for (const cached of cache.values()) next = Math.min(next, cached.expiresMs);
    }
    this.parts.scheduler.move(this.expiryJob, next);
  }

  private tell(values: readonly Value[], isExpired: boolean): void {
    if (values.length === 0) return;
    for (const callback of [...this.listeners]) {
      if (callback(values, isExpired) === false) this.remove(callback);
    }
  }
}
