import type { Message } from '../wire/message.js';
import { Field, type FieldValues, Query } from '../wire/query.js';
import type { Value } from '../wire/value.js';
import { NODE_EXPIRE_MS } from './node-record.js';
import type { Search } from './search.js';
import { TARGET_NODES } from './search.js';
import type { GetStatus, SearchNode } from './search-node.js';

/** Values fetched one by one from one node at a time. */
const PAGE_CONCURRENCY = 4;
/** Values fetched one by one from one node in all; the rest is on the seven other nodes, or beyond reason. */
const MAX_PAGES = 4096;

/** A get as one search carries it out. */
export interface SearchGet {
  readonly query: Query;
  /** `query` as text: gets with the same one share their requests. */
  readonly queryKey: string;
  /** ms of the clock. Answers from before do not count. */
  readonly startMs: number;
  onValues(values: readonly Value[]): void;
  onFields(fields: readonly FieldValues[]): void;
  onDone(ok: boolean): void;
}

/** The gets of one search (protocol/dht.md 18.1, 18.4). */
export class SearchGets {
  private readonly gets = new Set<SearchGet>();

  get isEmpty(): boolean {
    return this.gets.size === 0;
  }

  get size(): number {
    return this.gets.size;
  }

  add(get: SearchGet): void {
    this.gets.add(get);
  }

  /** Ends a get without telling it. */
  remove(get: SearchGet): void {
    this.gets.delete(get);
  }

  /** Ends every get that the nearest nodes have answered. */
  complete(search: Search, nowMs: number): void {
    const targets = search.targets(TARGET_NODES);
    for (const get of [...this.gets]) {
      if (targets.every((searchNode) => isDone(searchNode, get, nowMs))) {
        this.gets.delete(get);
        get.onDone(true);
      }
    }
  }

  fail(): void {
    for (const get of [...this.gets]) {
      this.gets.delete(get);
      get.onDone(false);
    }
  }

  /** Asks a node for the first get that it has not answered. False when there is none. */
  ask(search: Search, searchNode: SearchNode, nowMs: number): boolean {
    for (const get of this.gets) {
      if (isDone(searchNode, get, nowMs)) continue;
      const status: GetStatus = { query: get.query, pending: new Set(), doneMs: Number.NEGATIVE_INFINITY };
      searchNode.gets.set(get.queryKey, status);
      this.send(search, searchNode, get.queryKey, status, get.query);
      return true;
    }
    return false;
  }

  private send(search: Search, searchNode: SearchNode, queryKey: string, status: GetStatus, query: Query): void {
    const { engine, encoder, clock } = search.parts;
    const { node } = searchNode;
    const tid = node.nextTid();
    const packet = Buffer.from(encoder.get(tid, search.key, query.isAll ? undefined : query, false));
    const request = engine.send(node, tid, 'get', [packet], {
      onFirstTimeout: () => {
        searchNode.isCandidate = true;
        search.step();
      },
      onReply: (message) => {
        status.pending.delete(request);
        status.doneMs = clock.nowMs();
        search.answered(searchNode, message, status.doneMs);
        this.deliver(queryKey, message);
        search.step();
      },
      onIncomplete: () => {
        status.pending.delete(request);
        this.fetchOneByOne(search, searchNode, queryKey, status, query);
      },
      onError: () => {
        status.pending.delete(request);
        searchNode.isCandidate = true;
        search.step();
      },
      onExpired: () => {
        status.pending.delete(request);
        searchNode.isCandidate = false;
        search.step();
      },
    });
    if (request.isPending) status.pending.add(request);
  }

  private deliver(queryKey: string, message: Message): void {
    const { values, fields } = message;
    if (values === undefined && fields === undefined) return;
    for (const get of [...this.gets]) {
      if (get.queryKey !== queryKey) continue;
      if (values !== undefined) get.onValues(values);
      if (fields !== undefined) get.onFields(fields);
    }
  }

  /**
   * The node has more under the key than came through at once: ask for the ids, then for one value after the other
   * (protocol/dht.md 18.1, pagination).
   */
  private fetchOneByOne(
    search: Search,
    searchNode: SearchNode,
    queryKey: string,
    status: GetStatus,
    query: Query,
  ): void {
    const { engine, encoder, clock } = search.parts;
    const { node } = searchNode;
    const ids: bigint[] = [];
    const request = (page: Query, onReply: (message: Message) => void): void => {
      const tid = node.nextTid();
      const sent = engine.send(node, tid, 'get', [Buffer.from(encoder.get(tid, search.key, page, false))], {
        onReply: (message) => {
          status.pending.delete(sent);
          search.answered(searchNode, message, clock.nowMs());
          this.deliver(queryKey, message);
          onReply(message);
        },
        onError: () => {
          status.pending.delete(sent);
          searchNode.isCandidate = true;
          search.step();
        },
        onIncomplete: () => {
          status.pending.delete(sent);
          more();
        },
        onExpired: () => {
          status.pending.delete(sent);
          search.step();
        },
      });
      if (sent.isPending) status.pending.add(sent);
    };
    const more = (): void => {
      while (status.pending.size < PAGE_CONCURRENCY) {
        const id = ids.pop();
        if (id === undefined) break;
        request(new Query([], [{ field: Field.id, value: id }]), more);
      }
      if (status.pending.size > 0) return;
      status.doneMs = clock.nowMs();
      search.step();
    };
    request(new Query([Field.id], query.where), (message) => {
      for (const { id } of message.fields ?? []) if (id !== undefined && ids.length < MAX_PAGES) ids.push(id);
      more();
    });
  }
}

/** Whether a node has answered, or is being asked, what this get wants. */
function isDone(searchNode: SearchNode, get: SearchGet, nowMs: number): boolean {
  let isStale = true;
  for (const status of searchNode.gets.values()) {
    if (!get.query.isSatisfiedBy(status.query)) continue;
    if (status.pending.size > 0) return false;
    if (status.doneMs >= get.startMs) isStale = searchNode.lastReplyMs < nowMs - NODE_EXPIRE_MS;
  }
  return !isStale;
}
