import type { Clock, Scheduler } from '@atoll/base';
import { compareDistance, InfoHash } from '@atoll/identity';
import { type FieldValues, fieldsOf, Query } from '../wire/query.js';
import type { Value } from '../wire/value.js';
import type { Families } from './families.js';
import { type ListenCallback, ListenGroup } from './listen-group.js';
import { type Search, TARGET_NODES } from './search.js';
import type { SearchAnnounce } from './search-announces.js';
import type { SearchGet } from './search-gets.js';
import type { Storage, StoredValue } from './storage.js';
import type { ValueTypes } from './value-types.js';

/** Stored values are looked through so often, whether others keep them better. */
export const MAINTAIN_STORAGE_MS = 10 * 60_000;

/** What became of a get. */
export interface GetHandler {
  /** Values as they come, each once. Returning false ends the get. */
  onValues?(values: readonly Value[]): boolean | undefined;
  /** Fields, for a query with a selection. */
  onFields?(fields: readonly FieldValues[]): void;
  onDone?(ok: boolean): void;
}

/** How a value is put. */
export interface AnnounceOptions {
  /** Kept alive until it is canceled. */
  readonly isPermanent?: boolean;
  /** When it was made, for a value from the past. */
  readonly createdUnixMs?: number;
}

interface OperationsComponents {
  readonly ownId: InfoHash;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly families: Families;
  readonly storage: Storage;
  readonly types: ValueTypes;
}

/** What this node itself asks of the network: gets, announced values and listens, in all families together. */
export class Operations {
  private readonly parts: OperationsComponents;
  private readonly groups = new Map<string, Map<string, ListenGroup>>();
  /** Stands for our own storage among the sources of a listen. */
  private readonly localSource = {};

  constructor(components: OperationsComponents) {
    this.parts = components;
  }

  /** Keys with listens of our own. */
  get listenedKeys(): number {
    return this.groups.size;
  }

  /** Looks for values under a key. Returns a function that ends it. */
  get(key: InfoHash, query: Query, handler: GetHandler): () => void {
    const delivered = new Map<bigint, Value[]>();
    const gets: { search: Search; get: SearchGet }[] = [];
    let open = 0;
    let anyOk = false;
    let isOver = false;
    const finish = (ok: boolean): void => {
      if (isOver) return;
      isOver = true;
      for (const { search, get } of gets) search.gets.remove(get);
      handler.onDone?.(ok);
    };
    const deliver = (values: readonly Value[]): void => {
      if (isOver) return;
      const fresh = values.filter((value) => {
        if (!query.matches(value)) return false;
        const known = delivered.get(value.id);
        if (known?.some((other) => other.sameContent(value))) return false;
        if (known === undefined) delivered.set(value.id, [value]);
        else known.push(value);
        return true;
      });
      if (fresh.length > 0 && handler.onValues?.(fresh) === false) finish(true);
    };
    const here = [...this.parts.storage.valuesOf(key)].map((stored) => stored.value);
    if (query.select.length === 0) deliver(here);
    else {
      const fields = here.filter((value) => query.matches(value)).map((value) => fieldsOf(value, query.select));
      if (fields.length > 0) handler.onFields?.(fields);
    }
    if (isOver) return () => {};
    const startMs = this.parts.clock.nowMs();
    const queryKey = query.toString();
    for (const state of this.parts.families) {
      const search =
        key.isZero || this.parts.families.isDeserted(state) ? undefined : this.parts.families.searchFor(state, key);
      if (search === undefined) continue;
      const get: SearchGet = {
        query,
        queryKey,
        startMs,
        onValues: deliver,
        onFields: (fields) => {
          if (!isOver) handler.onFields?.(fields);
        },
        onDone: (ok) => {
          anyOk ||= ok;
          if (--open === 0) finish(anyOk);
        },
      };
      open++;
      search.gets.add(get);
      gets.push({ search, get });
    }
    if (open === 0) finish(false);
    for (const { search } of gets) search.stepSoon();
    return () => {
      isOver = true;
      for (const { search, get } of gets) search.gets.remove(get);
    };
  }

  /**
   * Stores a value here and on the nodes nearest to its key. `createdUnixMs`: when it was made, for a value from the
   * past. The callback hears once whether any family took it.
   */
  put(key: InfoHash, value: Value, options: AnnounceOptions, onDone: (ok: boolean) => void): void {
    if (key.isZero || value.id === 0n) {
      onDone(false);
      return;
    }
    const { clock } = this.parts;
    const nowMs = clock.nowMs();
    const ageMs = options.createdUnixMs === undefined ? 0 : Math.max(0, clock.unixMs() - options.createdUnixMs);
    const isPermanent = options.isPermanent ?? false;
    const expiresMs = isPermanent ? Number.POSITIVE_INFINITY : undefined;
    this.parts.storage.store(key, value, nowMs - ageMs, undefined, expiresMs);
    const createdSeconds = ageMs >= 1000 ? Math.floor((clock.unixMs() - ageMs) / 1000) : undefined;
    this.announce(key, { value, isPermanent, createdSeconds }, onDone);
  }

  /** Stops announcing a value and forgets it here; copies elsewhere expire. False when it was not announced. */
  cancelPut(key: InfoHash, id: bigint): boolean {
    let was = false;
    for (const { searches } of this.parts.families) {
      const search = searches.get(key);
      if (search?.announces.cancel(search, id)) was = true;
    }
    if (was) this.parts.storage.remove(key, id);
    return was;
  }

  /** The value that is being announced under an id. */
  announced(key: InfoHash, id: bigint): Value | undefined {
    for (const { searches } of this.parts.families) {
      const announce = searches.get(key)?.announces.get(id);
      if (announce !== undefined) return announce.value;
    }
    return undefined;
  }

  /** Hears of values under a key, now and later. Returns a function that ends it, or undefined when there is no room. */
  listen(key: InfoHash, query: Query, callback: ListenCallback): (() => void) | undefined {
    if (key.isZero) return undefined;
    const where = new Query([], query.where);
    const group = this.groupFor(key, where);
    return group?.add(callback);
  }

  /** Keys that this node itself listens to, with how many do. */
  *localListeners(): IterableIterator<readonly [InfoHash, number]> {
    for (const [key, groups] of this.groups) {
      let count = 0;
      for (const group of groups.values()) count += group.listenerCount;
      if (count > 0) yield [new InfoHash(key), count];
    }
  }

  /** A value came into the storage: those who listen here hear of it. */
  stored(stored: StoredValue): void {
    const groups = this.groups.get(stored.key.binary);
    if (groups !== undefined) for (const group of groups.values()) group.added(this.localSource, [stored.value]);
  }

  /** A value left the storage. */
  removed(stored: StoredValue): void {
    const ids = [stored.value.id];
    const groups = this.groups.get(stored.key.binary);
    if (groups !== undefined) for (const group of groups.values()) group.expired(this.localSource, ids);
  }

  /**
   * Announces stored values to the nodes nearest to their keys: all of them when forced, else those that others keep
   * better, and those whose keepers we lead (protocol/dht.md 12.7). `onEach` is called once for each that was handed on,
   * whose number is returned.
   */
  handOnStorage(isForced: boolean, onEach: () => void = () => {}): number {
    const nowMs = this.parts.clock.nowMs();
    let handedOn = 0;
    for (const stored of [...this.parts.storage.all()]) {
      const { key, value, createdMs } = stored;
      let isOurs = false;
      let hasNearer = false;
      let isLeading = false;
      for (const { table } of this.parts.families) {
        const closest = table.closestGood(key, TARGET_NODES, nowMs);
        const farthest = closest.at(-1);
        if (farthest === undefined) continue;
        const second = closest[1];
        if (second === undefined || compareDistance(key, second.id, this.parts.ownId) > 0) isLeading = true;
        if (closest.length < TARGET_NODES || compareDistance(key, farthest.id, this.parts.ownId) >= 0) isOurs = true;
        else hasNearer = true;
      }
      // The nearest two also make up for keepers that left, which the handing on alone does not (protocol/dht.md 12.7).
      if (!isForced && !hasNearer && !isLeading) continue;
      if (createdMs + this.parts.types.of(value).expirationMs <= nowMs + MAINTAIN_STORAGE_MS && !isForced) continue;
      handedOn++;
      const createdSeconds = Math.floor((this.parts.clock.unixMs() - (nowMs - createdMs)) / 1000);
      this.announce(key, { value, isPermanent: false, createdSeconds }, (ok) => {
        if (ok && !isOurs && !isForced) this.parts.storage.remove(key, value.id);
        onEach();
      });
    }
    return handedOn;
  }

  /** Ends everything; gets and announcements fail. */
  close(): void {
    for (const { searches } of this.parts.families) {
      for (const search of [...searches]) {
        search.gets.fail();
        search.announces.fail();
        search.close();
      }
    }
    for (const groups of this.groups.values()) for (const group of groups.values()) group.close();
    this.groups.clear();
  }

  private groupFor(key: InfoHash, query: Query): ListenGroup | undefined {
    let groups = this.groups.get(key.binary);
    const queryKey = query.toString();
    const known = groups?.get(queryKey);
    if (known !== undefined) return known;
    const searches: Search[] = [];
    for (const state of this.parts.families) {
      const search = this.parts.families.searchFor(state, key);
      if (search !== undefined) searches.push(search);
    }
    if (searches.length === 0) return undefined;
    const group = new ListenGroup(key, query, {
      clock: this.parts.clock,
      scheduler: this.parts.scheduler,
      types: this.parts.types,
      onUnused: () => this.closeGroup(group),
    });
    if (groups === undefined) {
      groups = new Map();
      this.groups.set(key.binary, groups);
    }
    groups.set(queryKey, group);
    group.added(
      this.localSource,
      [...this.parts.storage.valuesOf(key)].map((stored) => stored.value),
    );
    for (const search of searches) {
      search.listens.add(group);
      search.stepSoon();
    }
    return group;
  }

  private closeGroup(group: ListenGroup): void {
    const groups = this.groups.get(group.key.binary);
    groups?.delete(group.queryKey);
    if (groups?.size === 0) this.groups.delete(group.key.binary);
    for (const { searches } of this.parts.families) {
      const search = searches.get(group.key);
      search?.listens.remove(search, group);
    }
    group.close();
  }

  private announce(key: InfoHash, announce: Omit<SearchAnnounce, 'onDone'>, onDone: (ok: boolean) => void): void {
    let open = 0;
    let anyOk = false;
    const searches: Search[] = [];
    for (const state of this.parts.families) {
      // What is kept announced also goes to a family that others appear in later.
      if (!announce.isPermanent && this.parts.families.isDeserted(state)) continue;
      const search = this.parts.families.searchFor(state, key);
      if (search === undefined) continue;
      searches.push(search);
    }
    if (searches.length === 0) {
      onDone(false);
      return;
    }
    open = searches.length;
    for (const search of searches) {
      search.announces.add(search, {
        ...announce,
        onDone: (ok) => {
          anyOk ||= ok;
          if (--open === 0) onDone(anyOk);
        },
      });
      search.stepSoon();
    }
  }
}
