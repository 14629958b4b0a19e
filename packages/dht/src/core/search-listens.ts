import type { Message } from '../wire/message.js';
import type { ListenGroup } from './listen-group.js';
import type { Search } from './search.js';
import type { ListenStatus, SearchNode } from './search-node.js';

/** Nodes that a listen is kept on. */
const LISTEN_NODES = 4;
/** Renewed so long before the 30 s that peers expect, or for stable public nodes the 5 min (protocol/dht.md 14). */
const RENEW_MS = 20_000;
const RENEW_STABLE_MS = 290_000;
const ERROR_UNAUTHORIZED = 401;

/** The listens of one search: each kept on the four nearest nodes that are synced (protocol/dht.md 14). */
export class SearchListens {
  private readonly groups = new Map<string, ListenGroup>();
  private readonly renewMs: number;

  constructor(isPublicStable: boolean) {
    this.renewMs = isPublicStable ? RENEW_STABLE_MS : RENEW_MS;
  }

  get isEmpty(): boolean {
    return this.groups.size === 0;
  }

  get size(): number {
    return this.groups.size;
  }

  /** What is listened to. */
  all(): Iterable<ListenGroup> {
    return this.groups.values();
  }

  add(group: ListenGroup): void {
    this.groups.set(group.queryKey, group);
  }

  /** Stops listening; there is no message for that, pushes are answered and ignored (protocol/dht.md 13). */
  remove(search: Search, group: ListenGroup): void {
    this.groups.delete(group.queryKey);
    for (const searchNode of search.nodes) this.close(search, searchNode, group.queryKey);
  }

  step(search: Search, nowMs: number): void {
    if (this.groups.size === 0) return;
    const ready = search.ready(LISTEN_NODES, nowMs);
    for (const group of this.groups.values()) {
      for (const searchNode of ready) this.listenOn(search, searchNode, group, nowMs);
      this.leaveFarther(search, group, ready);
    }
  }

  /** When a listen is next due for renewal, ms of the clock. */
  nextMs(search: Search): number {
    let next = Number.POSITIVE_INFINITY;
    if (this.groups.size === 0) return next;
    for (const searchNode of search.nodes) {
      for (const status of searchNode.listens.values()) {
        if (!status.request?.isPending) next = Math.min(next, status.nextMs);
      }
    }
    return next;
  }

  /** The node is gone or forgot us: what it told us counts as expired. */
  drop(search: Search, searchNode: SearchNode): void {
    for (const queryKey of [...searchNode.listens.keys()]) this.close(search, searchNode, queryKey);
  }

  /** Once four nearer nodes confirmed, farther ones need not be heard any more. */
  private leaveFarther(search: Search, group: ListenGroup, ready: readonly SearchNode[]): void {
    if (ready.length < LISTEN_NODES) return;
    if (!ready.every((searchNode) => searchNode.listens.get(group.queryKey)?.isConfirmed)) return;
    for (const searchNode of search.nodes) {
      if (searchNode.listens.has(group.queryKey) && !ready.includes(searchNode)) {
        this.close(search, searchNode, group.queryKey);
      }
    }
  }

  private close(search: Search, searchNode: SearchNode, queryKey: string): void {
    const status = searchNode.listens.get(queryKey);
    if (status === undefined) return;
    searchNode.listens.delete(queryKey);
    search.parts.engine.cancel(status.request);
    const { node } = searchNode;
    node.sockets?.delete(status.socketId);
    if (node.sockets?.size === 0) node.sockets = undefined;
    this.groups.get(queryKey)?.drop(status);
  }

  private listenOn(search: Search, searchNode: SearchNode, group: ListenGroup, nowMs: number): void {
    let status = searchNode.listens.get(group.queryKey);
    if (status === undefined) {
      status = this.open(search, searchNode, group);
    } else if (status.request?.isPending || status.nextMs > nowMs) return;
    const { node } = searchNode;
    const { engine, encoder, clock } = search.parts;
    const tid = node.nextTid();
    const query = group.query.isAll ? undefined : group.query;
    const packet = Buffer.from(encoder.listen(tid, search.key, searchNode.token, status.socketId, query));
    const own = status;
    own.request = engine.send(node, tid, 'listen', [packet], {
      onFirstTimeout: () => {
        searchNode.isCandidate = true;
        search.step();
      },
      onReply: (message) => {
        own.request = undefined;
        own.isConfirmed = true;
        own.nextMs = clock.nowMs() + this.renewMs;
        node.acceptedToken();
        searchNode.isCandidate = false;
        if (message.token !== '') searchNode.token = message.token;
        search.step();
      },
      onError: (message) => {
        own.request = undefined;
        if (message.errorCode === ERROR_UNAUTHORIZED) {
          if (node.refusedToken()) engine.expireNode(node);
          else search.flushToken(node);
        } else searchNode.isCandidate = true;
        search.stepSoon();
      },
      onExpired: () => {
        own.request = undefined;
        searchNode.isCandidate = false;
        this.close(search, searchNode, group.queryKey);
        search.stepSoon();
      },
    });
  }

  private open(search: Search, searchNode: SearchNode, group: ListenGroup): ListenStatus {
    const { node } = searchNode;
    const socketId = node.nextTid();
    const status: ListenStatus = { request: undefined, socketId, nextMs: Number.NEGATIVE_INFINITY, isConfirmed: false };
    searchNode.listens.set(group.queryKey, status);
    node.sockets ??= new Map();
    node.sockets.set(socketId, {
      id: socketId,
      receive: (message: Message) => {
        // A push brings a fresh token, which saves a get, but says nothing about neighbors.
        if (message.token !== '') searchNode.token = message.token;
        if (message.values !== undefined) group.added(status, message.values);
        if (message.refreshed !== undefined) group.refreshed(status, message.refreshed);
        if (message.expired !== undefined) group.expired(status, message.expired);
        search.stepSoon();
      },
    });
    return status;
  }
}
