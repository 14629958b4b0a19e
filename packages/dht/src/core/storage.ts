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
  /** Bytes of values that others stored; -1 is unlimited. */
  readonly maxRemoteBytes: number;
}

export const DEFAULT_STORAGE_LIMITS: StorageLimits = { maxKeys: 1_048_576, maxRemoteBytes: 64 * 1024 * 1024 };

/** Name of the quota of this node's own values. */
const LOCAL = '';
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
  private readonly keys = new Map<string, Map<bigint, StoredValue>>();
  private readonly quotas = new Map<string, Quota>();
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

  /** Bytes of values put by others. */
  get storedRemoteBytes(): number {
    return this.remoteBytes;
  }

  has(key: InfoHash): boolean {
    return this.keys.has(key.binary);
  }

  get(key: InfoHash, id: bigint): StoredValue | undefined {
    return this.keys.get(key.binary)?.get(id);
  }

  /** Number of values under a key. */
  countOf(key: InfoHash): number {
    return this.keys.get(key.binary)?.size ?? 0;
  }

  /** What is stored under a key. */
  *valuesOf(key: InfoHash): IterableIterator<StoredValue> {
    const values = this.keys.get(key.binary);
    if (values !== undefined) yield* values.values();
  }

  *all(): IterableIterator<StoredValue> {
    for (const values of this.keys.values()) yield* values.values();
  }

  /**
   * Stores without asking any policy. `expiresMs` is the created time plus the type's life when left out. False when
   * it would be expired already or there is no room.
   */
  store(key: InfoHash, value: Value, createdMs: number, from: Endpoint | undefined, expiresMs?: number): boolean {
    const until = expiresMs ?? createdMs + this.parts.types.of(value).expirationMs;
    if (until < this.parts.clock.nowMs()) return false;
    let values = this.keys.get(key.binary);
    if (values === undefined) {
      if (this.keys.size >= this.limits.maxKeys) return false;
      values = new Map();
      this.keys.set(key.binary, values);
    }
    const before = values.get(value.id);
    if (before === undefined && values.size >= MAX_VALUES_PER_KEY) return false;
    if (before !== undefined) this.forget(before);
    const quota = this.quotaOf(from);
    const stored: StoredValue = before ?? { key, value, createdMs, expiresMs: until, from, quota, job: undefined };
    stored.value = value;
    stored.createdMs = createdMs;
    stored.expiresMs = until;
    stored.quota = quota;
    stored.from = from;
    values.set(value.id, stored);
    this.remember(stored);
    if (!quota.isLocal) this.makeRoom();
    if (values.get(value.id) !== stored) return false;
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
    values?.delete(stored.value.id);
    if (values?.size === 0) this.keys.delete(stored.key.binary);
    this.parts.onRemoved(stored);
  }

  private remember(stored: StoredValue): void {
    const { quota } = stored;
    const bytes = stored.value.sizeBytes;
    quota.bytes += bytes;
    this.count++;
    if (quota.isLocal) this.localCount++;
    else this.remoteBytes += bytes;
    if (stored.expiresMs !== Number.POSITIVE_INFINITY) {
      stored.job = quota.expiries.at(stored.expiresMs, () => this.drop(stored));
    }
    this.rearm(quota);
  }

  private forget(stored: StoredValue): void {
    const { quota } = stored;
    const bytes = stored.value.sizeBytes;
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
