import type { Query } from '../wire/query.js';
import { NODE_EXPIRE_MS, type NodeRecord } from './node-record.js';
import type { Request } from './requests.js';

/** How far a get with one query has come on one node. */
export interface GetStatus {
  readonly query: Query;
  /** Requests under way: one, or several while values are fetched one by one. */
  readonly pending: Set<Request>;
  /** When the last answer to the whole get came, ms of the clock; -Infinity before. */
  doneMs: number;
}

/** How far an announced value has come on one node. */
export interface AnnounceStatus {
  request: Request | undefined;
  /** Acknowledged at least once under the present content. */
  isAcknowledged: boolean;
  /** When to announce again, ms of the clock. */
  nextMs: number;
}

/** How far a listen with one query has come on one node. */
export interface ListenStatus {
  request: Request | undefined;
  readonly socketId: number;
  /** When to renew, ms of the clock. */
  nextMs: number;
  isConfirmed: boolean;
}

/** A node as one search sees it (protocol/dht.md 18). */
export class SearchNode {
  readonly node: NodeRecord;
  token = '';
  /** Last answer to a get or find of this search that brought a token, ms of the clock. */
  lastReplyMs = Number.NEGATIVE_INFINITY;
  /** The first transmission of a request found no answer; the node may still answer a later one. */
  isCandidate = false;
  find: Request | undefined = undefined;
  readonly gets = new Map<string, GetStatus>();
  readonly announces = new Map<bigint, AnnounceStatus>();
  readonly listens = new Map<string, ListenStatus>();

  constructor(node: NodeRecord) {
    this.node = node;
  }

  /** Counts the node as having answered this search when it gave another one a token lately. */
  takeTokenOf(node: NodeRecord, nowMs: number): void {
    const token = node.tokenAt(nowMs);
    if (token === '') return;
    this.token = token;
    this.lastReplyMs = node.tokenMs;
  }

  isSynced(nowMs: number): boolean {
    return !this.node.isExpired && this.token !== '' && this.lastReplyMs >= nowMs - NODE_EXPIRE_MS;
  }

  /** Not counted among the nodes of the search for now. */
  get isBad(): boolean {
    return this.node.isExpired || this.isCandidate;
  }

  /** Whether a get or find of this search is under way. */
  get isSolicited(): boolean {
    if (this.find?.isPending) return true;
    for (const status of this.gets.values()) if (status.pending.size > 0) return true;
    return false;
  }
}
