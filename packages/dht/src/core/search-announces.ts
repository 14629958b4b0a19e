import type { Message } from '../wire/message.js';
import { Field, Query } from '../wire/query.js';
import type { Value } from '../wire/value.js';
import type { Search } from './search.js';
import { TARGET_NODES } from './search.js';
import type { AnnounceStatus, SearchNode } from './search-node.js';
import type { ValueTypes } from './value-types.js';

/** A permanent value is announced again so long before it would expire, in ms (protocol/dht.md 18.3). */
const REANNOUNCE_MARGIN_MS = 10_000;
const ERROR_NOT_FOUND = 404;
const ERROR_UNAUTHORIZED = 401;

/** A put as one search carries it out. */
export interface SearchAnnounce {
  readonly value: Value;
  readonly isPermanent: boolean;
  /** UNIX seconds, for a value made in the past. */
  readonly createdSeconds: number | undefined;
  onDone(ok: boolean): void;
}

interface Entry {
  readonly announce: SearchAnnounce;
  isReported: boolean;
}

/** The values that one search keeps on the nodes nearest to its key (protocol/dht.md 18.3). */
export class SearchAnnounces {
  private readonly types: ValueTypes;
  private readonly entries = new Map<bigint, Entry>();

  constructor(types: ValueTypes) {
    this.types = types;
  }

  get isEmpty(): boolean {
    return this.entries.size === 0;
  }

  get size(): number {
    return this.entries.size;
  }

  /** What is announced. */
  *all(): IterableIterator<SearchAnnounce> {
    for (const entry of this.entries.values()) yield entry.announce;
  }

  /** The value announced under an id, if any. */
  get(id: bigint): SearchAnnounce | undefined {
    return this.entries.get(id)?.announce;
  }

  /** Announces a value. Another content under the same id takes its place, and its put fails. */
  add(search: Search, announce: SearchAnnounce): void {
    const before = this.entries.get(announce.value.id);
    if (before !== undefined && !before.announce.value.equals(announce.value)) this.forget(search, announce.value.id);
    if (before !== undefined && !before.isReported) before.announce.onDone(false);
    this.entries.set(announce.value.id, { announce, isReported: false });
  }

  /** Stops announcing; copies elsewhere simply expire. */
  cancel(search: Search, id: bigint): boolean {
    const entry = this.entries.get(id);
    if (entry === undefined) return false;
    this.entries.delete(id);
    this.forget(search, id);
    if (!entry.isReported) entry.announce.onDone(false);
    return true;
  }

  /** Every node is gone: temporary puts fail, permanent ones wait. */
  fail(): void {
    for (const [id, entry] of this.entries) {
      if (!entry.isReported) {
        entry.isReported = true;
        entry.announce.onDone(false);
      }
      if (!entry.announce.isPermanent) this.entries.delete(id);
    }
  }

  step(search: Search, nowMs: number, isSynced: boolean): void {
    if (this.entries.size === 0) return;
    const ready = search.ready(TARGET_NODES, nowMs);
    for (const entry of [...this.entries.values()]) {
      for (const searchNode of ready) this.announceTo(search, searchNode, entry.announce, nowMs);
      if (isSynced) this.report(search, entry);
    }
  }

  /** When a permanent value is next due anywhere, ms of the clock. */
  nextMs(search: Search): number {
    let next = Number.POSITIVE_INFINITY;
    if (this.entries.size === 0) return next;
    for (const searchNode of search.targets(TARGET_NODES)) {
      for (const [id, status] of searchNode.announces) {
        if (status.request === undefined && this.entries.get(id)?.announce.isPermanent) {
          next = Math.min(next, status.nextMs);
        }
      }
    }
    return next;
  }

  private report(search: Search, entry: Entry): void {
    const { id } = entry.announce.value;
    if (!isEverywhere(search, id)) return;
    if (!entry.announce.isPermanent) {
      this.entries.delete(id);
      for (const searchNode of search.nodes) searchNode.announces.delete(id);
    }
    if (entry.isReported) return;
    entry.isReported = true;
    entry.announce.onDone(true);
  }

  private forget(search: Search, id: bigint): void {
    for (const searchNode of search.nodes) {
      search.parts.engine.cancel(searchNode.announces.get(id)?.request);
      searchNode.announces.delete(id);
    }
  }

  private announceTo(search: Search, searchNode: SearchNode, announce: SearchAnnounce, nowMs: number): void {
    const { id } = announce.value;
    let status = searchNode.announces.get(id);
    if (status === undefined) {
      status = { request: undefined, isAcknowledged: false, nextMs: Number.NEGATIVE_INFINITY };
      searchNode.announces.set(id, status);
    }
    if (status.request?.isPending || status.nextMs > nowMs) return;
    if (announce.isPermanent) this.probe(search, searchNode, announce, status);
    else this.put(search, searchNode, announce, status);
  }

  /** Asks whether the value is there already: refreshing costs less than putting. */
  private probe(search: Search, searchNode: SearchNode, announce: SearchAnnounce, status: AnnounceStatus): void {
    const { value } = announce;
    const query = new Query([Field.id, Field.seq], [{ field: Field.id, value: value.id }]);
    const tid = searchNode.node.nextTid();
    const packet = Buffer.from(search.parts.encoder.get(tid, search.key, query, false));
    const { engine } = search.parts;
    status.request = engine.send(searchNode.node, tid, 'get', [packet], {
      onReply: (message) => {
        status.request = undefined;
        search.answered(searchNode, message, search.parts.clock.nowMs());
        const there = message.fields?.find((entry) => entry.id === value.id);
        if (this.get(value.id) !== announce) return;
        if (there === undefined || (there.seq ?? 0) < value.seq) this.put(search, searchNode, announce, status);
        else this.refresh(search, searchNode, announce, status);
      },
      onFirstTimeout: () => doubt(search, searchNode),
      onError: (message) => refused(search, searchNode, status, message),
      onExpired: () => lost(search, searchNode, status),
    });
  }

  private put(search: Search, searchNode: SearchNode, announce: SearchAnnounce, status: AnnounceStatus): void {
    const { encoder, engine } = search.parts;
    const { node } = searchNode;
    const tid = node.nextTid();
    const created = announce.isPermanent ? undefined : announce.createdSeconds;
    const packets = encoder.put(tid, search.key, announce.value, created, searchNode.token);
    status.request = engine.send(node, tid, 'put', packets, {
      onReply: () => this.acknowledged(search, searchNode, announce, status),
      onFirstTimeout: () => doubt(search, searchNode),
      onError: (message) => refused(search, searchNode, status, message),
      onExpired: () => lost(search, searchNode, status),
    });
  }

  private refresh(search: Search, searchNode: SearchNode, announce: SearchAnnounce, status: AnnounceStatus): void {
    const { encoder, engine } = search.parts;
    const { node } = searchNode;
    const tid = node.nextTid();
    const packet = Buffer.from(encoder.refresh(tid, search.key, announce.value.id, searchNode.token));
    status.request = engine.send(node, tid, 'refresh', [packet], {
      onReply: () => this.acknowledged(search, searchNode, announce, status),
      onFirstTimeout: () => doubt(search, searchNode),
      onError: (message) => {
        if (message.errorCode !== ERROR_NOT_FOUND) return refused(search, searchNode, status, message);
        status.request = undefined;
        if (this.get(announce.value.id) === announce) this.put(search, searchNode, announce, status);
        search.stepSoon();
      },
      onExpired: () => lost(search, searchNode, status),
    });
  }

  private acknowledged(search: Search, searchNode: SearchNode, announce: SearchAnnounce, status: AnnounceStatus): void {
    status.request = undefined;
    status.isAcknowledged = true;
    const wasCandidate = searchNode.isCandidate;
    searchNode.isCandidate = false;
    searchNode.node.acceptedToken();
    status.nextMs = announce.isPermanent
      ? search.parts.clock.nowMs() + this.types.of(announce.value).expirationMs - REANNOUNCE_MARGIN_MS
      : Number.POSITIVE_INFINITY;
    // One acknowledgment of several changes nothing for a value that is put once: only the last one does.
    if (announce.isPermanent || wasCandidate || isEverywhere(search, announce.value.id)) search.step();
  }
}

/** Whether all nodes that should have a value have acknowledged it. */
function isEverywhere(search: Search, id: bigint): boolean {
  return search.targets(TARGET_NODES).every((searchNode) => searchNode.announces.get(id)?.isAcknowledged ?? false);
}

/** The first transmission found no answer. */
function doubt(search: Search, searchNode: SearchNode): void {
  searchNode.isCandidate = true;
  search.step();
}

/** No transmission found an answer. */
function lost(search: Search, searchNode: SearchNode, status: AnnounceStatus): void {
  status.request = undefined;
  searchNode.isCandidate = false;
  search.step();
}

/** The node answered with an error. */
function refused(search: Search, searchNode: SearchNode, status: AnnounceStatus, { errorCode }: Message): void {
  status.request = undefined;
  if (errorCode === ERROR_UNAUTHORIZED) {
    // Another token first; the core has flushed this one.
    if (searchNode.node.refusedToken()) search.parts.engine.expireNode(searchNode.node);
    else search.flushToken(searchNode.node);
  } else searchNode.isCandidate = true;
  search.stepSoon();
}
