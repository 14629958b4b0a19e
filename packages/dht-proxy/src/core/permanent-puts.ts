import type { Clock, Job, Scheduler } from '@atoll/base';
import type { Value } from '@atoll/dht';
import type { InfoHash } from '@atoll/identity';
import type { PutOwner } from '../wire/requests.js';

/** Life of a permanent put after the latest request (protocol/dht-proxy.md 15), ms. */
const PERMANENT_PUT_MS = 24 * 3_600_000;
/** The warning comes so long before the end, ms. */
const WARNING_MS = 2 * 3_600_000;

/** A value that the proxy keeps alive for a client. */
export interface PermanentPut {
  readonly key: InfoHash;
  readonly value: Value;
  readonly owner: PutOwner;
  /** Client address, for the limits. */
  readonly address: string;
  /** UNIX ms. */
  readonly expiresUnixMs: number;
}

/** Where permanent puts are kept over a restart. */
export interface PermanentPutStore {
  all(): Iterable<PermanentPut>;
  save(put: PermanentPut): void;
  remove(key: InfoHash, id: bigint): void;
}

export interface PermanentPutsComponents {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly store: PermanentPutStore;
  /** The put ends in two hours, and its client gave a token to be told by. */
  readonly onWarning: (put: PermanentPut) => void;
  /** It was not renewed: stop announcing it. */
  readonly onEnded: (put: PermanentPut) => void;
}

interface Entry {
  put: PermanentPut;
  readonly job: Job;
  isWarned: boolean;
}

/** The permanent puts of all clients, with their ends and warnings (protocol/dht-proxy.md 9.1). */
export class PermanentPuts {
  private readonly parts: PermanentPutsComponents;
  private readonly keys = new Map<string, Map<bigint, Entry>>();
  private readonly addresses = new Map<string, number>();
  private count = 0;

  constructor(parts: PermanentPutsComponents) {
    this.parts = parts;
  }

  get size(): number {
    return this.count;
  }

  /** Keys with at least one. */
  get keyCount(): number {
    return this.keys.size;
  }

  /** How many an address has. */
  countOf(address: string): number {
    return this.addresses.get(address) ?? 0;
  }

  *all(): IterableIterator<PermanentPut> {
    for (const entries of this.keys.values()) for (const { put } of entries.values()) yield put;
  }

  get(key: InfoHash, id: bigint): PermanentPut | undefined {
    return this.keys.get(key.binary)?.get(id)?.put;
  }

  /** The put of the same client with equal content under whatever id: a request without id renews it. */
  findSame(key: InfoHash, value: Value, owner: PutOwner): PermanentPut | undefined {
    for (const { put } of this.keys.get(key.binary)?.values() ?? []) {
      const isSameClient = put.owner.token === owner.token && put.owner.clientId === owner.clientId;
      if (isSameClient && put.value.sameContent(value)) return put;
    }
    return undefined;
  }

  /** Takes in what the store has kept; what ended meanwhile is dropped. */
  restore(): void {
    const nowUnixMs = this.parts.clock.unixMs();
    const puts = [...this.parts.store.all()];
    for (const put of puts) {
      if (put.expiresUnixMs <= nowUnixMs) this.parts.store.remove(put.key, put.value.id);
      else this.place(put);
    }
  }

  /** A new put, or a renewal with all that it brings; an empty session leaves the one known. */
  keep(key: InfoHash, value: Value, owner: PutOwner, address: string): PermanentPut {
    const before = this.get(key, value.id);
    const sessionId = owner.sessionId === '' ? (before?.owner.sessionId ?? '') : owner.sessionId;
    const put: PermanentPut = {
      key,
      value,
      owner: { ...owner, sessionId },
      address,
      expiresUnixMs: this.parts.clock.unixMs() + PERMANENT_PUT_MS,
    };
    this.parts.store.save(put);
    this.place(put);
    return put;
  }

  private place(put: PermanentPut): void {
    let entries = this.keys.get(put.key.binary);
    if (entries === undefined) {
      entries = new Map();
      this.keys.set(put.key.binary, entries);
    }
    let entry = entries.get(put.value.id);
    if (entry === undefined) {
      const made: Entry = {
        put,
        isWarned: false,
        job: this.parts.scheduler.at(Number.POSITIVE_INFINITY, () => this.due(made)),
      };
      entry = made;
      entries.set(put.value.id, entry);
      this.count++;
    } else this.addressCount(entry.put.address, -1);
    this.addressCount(put.address, 1);
    entry.put = put;
    entry.isWarned = false;
    this.arm(entry);
  }

  private arm(entry: Entry): void {
    const { clock, scheduler } = this.parts;
    const { expiresUnixMs, owner } = entry.put;
    const hasWarning = owner.token !== '' && !entry.isWarned;
    const atUnixMs = hasWarning ? expiresUnixMs - WARNING_MS : expiresUnixMs;
    scheduler.move(entry.job, clock.nowMs() + Math.max(0, atUnixMs - clock.unixMs()));
  }

  private due(entry: Entry): void {
    const { put } = entry;
    if (put.owner.token !== '' && !entry.isWarned) {
      entry.isWarned = true;
      this.parts.onWarning(put);
      this.arm(entry);
      return;
    }
    const entries = this.keys.get(put.key.binary);
    entries?.delete(put.value.id);
    if (entries?.size === 0) this.keys.delete(put.key.binary);
    this.count--;
    this.addressCount(put.address, -1);
    this.parts.store.remove(put.key, put.value.id);
    this.parts.onEnded(put);
  }

  private addressCount(address: string, change: number): void {
    const count = (this.addresses.get(address) ?? 0) + change;
    if (count <= 0) this.addresses.delete(address);
    else this.addresses.set(address, count);
  }
}
