import type { Clock, Endpoint, Job } from '@atoll/base';
import { Scheduler } from '@atoll/base';
import type { InfoHash } from '@atoll/identity';
import type { Value } from '../wire/value.js';
import { addressBucket } from './rate-limiter.js';
import type { ValueTypes } from './value-types.js';

/** A value kept for others or for ourselves. */
export interface StoredValue {
  readonly key: InfoHash;
  value: Value;
  /** ms of the clock. */
  createdMs: number;
  /** ms of the clock; Infinity for our own permanent values. */
  expiresMs: number;
  /** Who put it here; undefined for ourselves. */
  from: Endpoint | undefined;
  quota: Quota;
  job: Job | undefined;
}

/** What one address, or we ourselves, have stored here. */
interface Quota {
  readonly address: string;
  bytes: number;
  readonly isLocal: boolean;
  /** Expiries of its values. */
  readonly expiries: Scheduler;
  readonly job: Job;
}

export interface StorageLimits {
  /** Keys with values or listeners. */
  readonly maxKeys: number;
  /** Bytes of values that others stored, {@link VALUE_OVERHEAD_BYTES} more for each; -1 is unlimited. */
  readonly maxRemoteBytes: number;
}

export const DEFAULT_STORAGE_LIMITS: StorageLimits = { maxKeys: 1_048_576, maxRemoteBytes: 64 * 1024 * 1024 };

/** Name of the quota of this node's own values. */
const LOCAL = '';
/** The values under a key by their ids; most keys have one value, which needs no map. */
type ValuesOfKey = StoredValue | Map<bigint, StoredValue>;
/** What a value of others takes from the quota beside its own bytes: empty values fill the memory too. */
export const VALUE_OVERHEAD_BYTES = 256;

/** Values under one key (protocol/dht.md 12.3). */
const MAX_VALUES_PER_KEY = 65_536;

export interface StorageParts {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly types: ValueTypes;
  /** A value is new, has new content, or was stored again. */
  readonly onStored: (stored: StoredValue, isNew: boolean) => void;
  /** A value is no longer here: it expired, was cancelled, or made room for others. */
  readonly onRemoved: (stored: StoredValue) => void;
}

/** The values of this node, with their expiry and the quotas of those who put them (protocol/dht.md 12). */
export class Storage {
  private readonly parts: StorageParts;
  private readonly limits: StorageLimits;
  private readonly keys = new Map<string, ValuesOfKey>();
  private readonly quotas = new Map<string, Quota>();
  private readonly expire = (stored: StoredValue): void => this.drop(stored);
  private remoteBytes = 0;
  private count = 0;
  private localCount = 0;

  constructor(parts: StorageParts, limits: StorageLimits = DEFAULT_STORAGE_LIMITS) {
    this.parts = parts;
    this.limits = limits;
  }

  /** Numbers of values and their bytes, in all and of those that this node put itself. */
  get totals(): Readonly<{ values: number; bytes: number; localValues: number; localBytes: number }> {
    const own = this.quotas.get(LOCAL);
    const localBytes = own?.bytes ?? 0;
    return {
      values: this.count,
      bytes: this.remoteBytes + localBytes,
      localValues: this.localCount,
      localBytes,
    };
  }

  get keyCount(): number {
    return this.keys.size;
  }

  get valueCount(): number {
    return this.count;
  }

  /** Bytes that others may store; -1 is unlimited. */
  get maxRemoteBytes(): number {
    return this.limits.maxRemoteBytes;
  }

  /** Bytes of values put by others, with what each takes beside its content. */
  get storedRemoteBytes(): number {
    return this.remoteBytes;
  }

  has(key: InfoHash): boolean {
    return this.keys.has(key.binary);
  }

  get(key: InfoHash, id: bigint): StoredValue | undefined {
    const values = this.keys.get(key.binary);
    return values === undefined ? undefined : find(values, id);
  }

  /** Number of values under a key. */
  countOf(key: InfoHash): number {
    const values = this.keys.get(key.binary);
    return values === undefined ? 0 : values instanceof Map ? values.size : 1;
  }

  /** What is stored under a key. */
  valuesOf(key: InfoHash): Iterable<StoredValue> {
    const values = this.keys.get(key.binary);
    return values === undefined ? [] : values instanceof Map ? values.values() : [values];
  }

  *all(): IterableIterator<StoredValue> {
    for (const values of this.keys.values()) {
      if (values instanceof Map) yield* values.values();
      else yield values;
    }
  }

  /**
   * Stores without asking any policy. `expiresMs` is the created time plus the type's life when left out. False when
   * it would be expired already or there is no room.
   */
  store(key: InfoHash, value: Value, createdMs: number, from: Endpoint | undefined, expiresMs?: number): boolean {
    const until = expiresMs ?? createdMs + this.parts.types.of(value).expirationMs;
    if (until < this.parts.clock.nowMs()) return false;
    const values = this.keys.get(key.binary);
    if (values === undefined && this.keys.size >= this.limits.maxKeys) return false;
    const before = values === undefined ? undefined : find(values, value.id);
    if (before === undefined && values instanceof Map && values.size >= MAX_VALUES_PER_KEY) return false;
    if (before !== undefined) this.forget(before);
    const quota = this.quotaOf(from);
    const stored: StoredValue = before ?? { key, value, createdMs, expiresMs: until, from, quota, job: undefined };
    stored.value = value;
    stored.createdMs = createdMs;
    stored.expiresMs = until;
    stored.quota = quota;
    stored.from = from;
    if (before === undefined) this.add(stored, values);
    this.remember(stored);
    if (!quota.isLocal) this.makeRoom();
    if (this.get(key, value.id) !== stored) return false;
    this.parts.onStored(stored, before === undefined);
    return true;
  }

  /** The same value was announced again: it lives on (protocol/dht.md 12.5). False when it is not here. */
  refresh(key: InfoHash, id: bigint): boolean {
    const stored = this.get(key, id);
    if (stored === undefined) return false;
    const nowMs = this.parts.clock.nowMs();
    stored.createdMs = nowMs;
    stored.expiresMs = Math.max(stored.expiresMs, nowMs + this.parts.types.of(stored.value).expirationMs);
    if (stored.job !== undefined) stored.quota.expiries.move(stored.job, stored.expiresMs);
    this.rearm(stored.quota);
    return true;
  }

  /** Takes a value out and says so. */
  remove(key: InfoHash, id: bigint): boolean {
    const stored = this.get(key, id);
    if (stored === undefined) return false;
    this.drop(stored);
    return true;
  }

  private drop(stored: StoredValue): void {
    this.forget(stored);
    const values = this.keys.get(stored.key.binary);
    if (values instanceof Map) values.delete(stored.value.id);
    if (values === stored || (values instanceof Map && values.size === 0)) this.keys.delete(stored.key.binary);
    this.parts.onRemoved(stored);
  }

  private add(stored: StoredValue, values: ValuesOfKey | undefined): void {
    if (values instanceof Map) values.set(stored.value.id, stored);
    else if (values === undefined) this.keys.set(stored.key.binary, stored);
    else {
      const both = [values, stored].map((one) => [one.value.id, one] as const);
      this.keys.set(stored.key.binary, new Map(both));
    }
  }

  private remember(stored: StoredValue): void {
    const { quota } = stored;
    const bytes = chargedBytes(stored);
    quota.bytes += bytes;
    this.count++;
    if (quota.isLocal) this.localCount++;
    else this.remoteBytes += bytes;
    if (stored.expiresMs !== Number.POSITIVE_INFINITY) {
      stored.job = quota.expiries.at(stored.expiresMs, this.expire, stored);
    }
    this.rearm(quota);
  }

  private forget(stored: StoredValue): void {
    const { quota } = stored;
    const bytes = chargedBytes(stored);
    quota.bytes -= bytes;
    this.count--;
    if (quota.isLocal) this.localCount--;
    else this.remoteBytes -= bytes;
    quota.expiries.cancel(stored.job);
    stored.job = undefined;
    if (quota.expiries.size === 0 && !quota.isLocal) {
      this.parts.scheduler.cancel(quota.job);
      this.quotas.delete(quota.address);
    } else this.rearm(quota);
  }

  private quotaOf(from: Endpoint | undefined): Quota {
    const address = from === undefined ? LOCAL : addressBucket(from);
    let quota = this.quotas.get(address);
    if (quota === undefined) {
      const expiries = new Scheduler();
      const job = this.parts.scheduler.at(Number.POSITIVE_INFINITY, () => {
        expiries.runDue(this.parts.clock.nowMs());
        const current = this.quotas.get(address);
        if (current !== undefined) this.rearm(current);
      });
      quota = { address, bytes: 0, isLocal: from === undefined, expiries, job };
      this.quotas.set(address, quota);
    }
    return quota;
  }

  private rearm(quota: Quota): void {
    this.parts.scheduler.move(quota.job, quota.expiries.nextDueMs);
  }

  /** Over the limit: whoever uses most gives up what would expire first (protocol/dht.md 12.4). */
  private makeRoom(): void {
    const limit = this.limits.maxRemoteBytes;
    while (limit >= 0 && this.remoteBytes > limit) {
      let largest: Quota | undefined;
      for (const quota of this.quotas.values()) {
        if (!quota.isLocal && (largest === undefined || quota.bytes > largest.bytes)) largest = quota;
      }
      if (largest === undefined || !largest.expiries.runFirst()) return;
    }
  }
}

function find(values: ValuesOfKey, id: bigint): StoredValue | undefined {
  if (values instanceof Map) return values.get(id);
  return values.value.id === id ? values : undefined;
}

function chargedBytes({ value, quota }: StoredValue): number {
  return quota.isLocal ? value.sizeBytes : value.sizeBytes + VALUE_OVERHEAD_BYTES;
}
