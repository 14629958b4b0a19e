import type { Endpoint, Family, RandomSource } from '@atoll/base';
import { type InfoHash, prefix32 } from '@atoll/identity';
import type { Message } from '../wire/message.js';
import type { Request } from './requests.js';
import type { Search } from './search.js';

/** A node that answered within this time may be good, in ms. */
const NODE_GOOD_MS = 120 * 60_000;
/** A node not heard of for this time is old, in ms. */
export const NODE_EXPIRE_MS = 10 * 60_000;
/** A token is good for fifteen minutes at least (protocol/dht.md 8); so old it is still used, in ms. */
const TOKEN_MS = 10 * 60_000;
/** A node that did not answer is asked again when others still know it as good, after this time, in ms. */
const SECOND_CHANCE_MS = 60_000;
/** More refused tokens in a row than this and the node counts as expired. */
const MAX_AUTH_ERRORS = 3;

/** What hears of messages that a remote node sends to an open listen socket. */
export interface ListenSocket {
  readonly id: number;
  receive(message: Message): void;
}

/**
 * All that is known of one remote node in one family (protocol/dht.md 5).
 *
 * There is never a second record for the same id at the same address, so holding a record is holding the node. Ids are
 * not proven by anything: the same id at another address is another node until it shows that it is the same.
 */
export class NodeRecord {
  readonly id: InfoHash;
  readonly family: Family;
  /** The first 32 bits of the id, which nearly always tell who is nearer. */
  readonly prefix: number;
  endpoint: Endpoint;
  /** As it said last. */
  isClient = false;
  /** Last time it was heard, ms of the clock. */
  timeMs = Number.NEGATIVE_INFINITY;
  /** Last time it answered us, ms of the clock. */
  replyTimeMs = Number.NEGATIVE_INFINITY;
  isExpired = false;
  /** Another node that uses the same id, at another address. */
  sibling: NodeRecord | undefined = undefined;
  /** How many tables, searches and listeners hold on to it; only unheld records may be forgotten. */
  holds = 0;
  private token = '';
  /** When it last gave us a write token, ms of the clock. */
  tokenMs = Number.NEGATIVE_INFINITY;
  private expiredMs = Number.NEGATIVE_INFINITY;
  /** When it was last asked whether it is still where it was, ms of the clock. */
  challengedMs = Number.NEGATIVE_INFINITY;
  private authErrors = 0;
  private lastTid: number;
  /** Requests under way, by transaction id. Made on first use: most nodes only ever ask. */
  requests: Map<number, Request> | undefined = undefined;
  /** Searches that have it among their nodes. */
  searches: Set<Search> | undefined = undefined;
  /** Open listen sockets, by socket id. */
  sockets: Map<number, ListenSocket> | undefined = undefined;

  constructor(id: InfoHash, endpoint: Endpoint, random: RandomSource) {
    this.id = id;
    this.prefix = prefix32(id);
    this.family = endpoint.family;
    this.endpoint = endpoint;
    this.lastTid = random.uint32();
  }

  isGood(nowMs: number): boolean {
    return !this.isExpired && this.replyTimeMs >= nowMs - NODE_GOOD_MS && this.timeMs >= nowMs - NODE_EXPIRE_MS;
  }

  isOld(nowMs: number): boolean {
    return this.timeMs + NODE_EXPIRE_MS < nowMs;
  }

  isRemovable(nowMs: number): boolean {
    return this.isExpired && this.isOld(nowMs);
  }

  get hasPendingRequests(): boolean {
    return this.requests !== undefined && this.requests.size > 0;
  }

  /** The next transaction or socket id; never 0, unique per node only. */
  nextTid(): number {
    do this.lastTid = (this.lastTid + 1) >>> 0;
    while (this.lastTid === 0);
    return this.lastTid;
  }

  /** It sent something, from this address. */
  heard(nowMs: number, endpoint: Endpoint): void {
    this.timeMs = nowMs;
    this.isExpired = false;
    this.endpoint = endpoint;
  }

  /** It answered a request of ours. */
  answered(nowMs: number): void {
    this.replyTimeMs = nowMs;
  }

  /** It gave us a write token, which is good for any key there (protocol/dht.md 8). */
  gaveToken(token: string, nowMs: number): void {
    this.token = token;
    this.tokenMs = nowMs;
  }

  /** A token of it that is probably still good; empty when there is none. */
  tokenAt(nowMs: number): string {
    return this.tokenMs >= nowMs - TOKEN_MS ? this.token : '';
  }

  /** It did not answer. */
  expire(nowMs: number): void {
    this.isExpired = true;
    this.expiredMs = nowMs;
  }

  /** Whether others may know better where it is: it does not answer there any more, or was long silent. */
  mayBeElsewhere(nowMs: number): boolean {
    return this.isExpired || (this.timeMs !== Number.NEGATIVE_INFINITY && this.isOld(nowMs));
  }

  /** Others say that it is somewhere else than where it does not answer: to be asked there at once. */
  moved(endpoint: Endpoint): void {
    this.endpoint = endpoint;
    this.expiredMs = Number.NEGATIVE_INFINITY;
    this.replyTimeMs = Number.NEGATIVE_INFINITY;
    this.token = '';
  }

  /**
   * Others say that it lives: on a network that loses packets silence proves little. True when it is to be asked anew;
   * it counts as good, and is given out, only once it answers.
   */
  revive(nowMs: number): boolean {
    if (!this.isExpired || this.expiredMs > nowMs - SECOND_CHANCE_MS) return false;
    this.isExpired = false;
    this.replyTimeMs = Number.NEGATIVE_INFINITY;
    return true;
  }

  /** It refused a token. True when that happened too often. */
  refusedToken(): boolean {
    this.authErrors++;
    this.token = '';
    return this.authErrors > MAX_AUTH_ERRORS;
  }

  acceptedToken(): void {
    this.authErrors = 0;
  }

  /** After a change of connectivity: to be asked anew. */
  reset(): void {
    this.isExpired = false;
    this.token = '';
    this.replyTimeMs = Number.NEGATIVE_INFINITY;
    this.timeMs = Number.NEGATIVE_INFINITY;
  }
}
