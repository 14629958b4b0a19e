import type { Clock, Job, RandomSource, Scheduler } from '@atoll/base';
import { compareDistance, type InfoHash } from '@atoll/identity';
import type { Message } from '../wire/message.js';
import type { MessageEncoder } from '../wire/message-encoder.js';
import { isLoopback } from './address-filter.js';
import type { NodeCache } from './node-cache.js';
import { NODE_EXPIRE_MS, type NodeRecord } from './node-record.js';
import { addressBucket } from './rate-limiter.js';
import type { RequestEngine } from './requests.js';
import type { SearchAnnounces } from './search-announces.js';
import type { SearchGets } from './search-gets.js';
import type { SearchListens } from './search-listens.js';
import { SearchNode } from './search-node.js';

/** Nodes a value lives on. */
export const TARGET_NODES = 8;
/** Nodes a search keeps. */
export const SEARCH_NODES = 14;
/** Nodes asked at once while the way to the key is not known yet. */
const CONCURRENCY = 4;
/** Nodes that do not answer kept in a search, beyond those of {@link SEARCH_NODES}. */
const MAX_BAD_NODES = 25;
/** Nodes of one address in one search where addresses are few: a stranger with one address cannot surround a key. */
const MAX_PER_ADDRESS = 2;
/** What is due but has to wait for something is looked at again after this time at the earliest, in ms. */
const RESTEP_MS = 1000;

export interface SearchParts {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: RandomSource;
  readonly engine: RequestEngine;
  readonly encoder: MessageEncoder;
  readonly cache: NodeCache;
  /** So few nodes that all of them are known: the first ones found are those that are nearest. */
  readonly isSmallNetwork: () => boolean;
  /** A reply without token, which only broken nodes send. */
  readonly onNoToken: (node: NodeRecord) => void;
  /** Every node of a search is gone. */
  readonly onAllExpired: () => void;
}

/** The walk toward one key in one family, kept while something is to be done there (protocol/dht.md 18). */
export class Search {
  readonly key: InfoHash;
  readonly parts: SearchParts;
  nodes: SearchNode[] = [];
  readonly gets: SearchGets;
  readonly announces: SearchAnnounces;
  readonly listens: SearchListens;
  /** All nodes are gone; a new one revives the search. */
  isExpired = false;
  /** Last step, ms of the clock: idle searches are let go. */
  lastStepMs = Number.NEGATIVE_INFINITY;
  private refillMs = Number.NEGATIVE_INFINITY;
  private readonly job: Job;
  private isStepping = false;

  constructor(
    key: InfoHash,
    parts: SearchParts,
    activities: { gets: SearchGets; announces: SearchAnnounces; listens: SearchListens },
  ) {
    this.key = key;
    this.parts = parts;
    this.gets = activities.gets;
    this.announces = activities.announces;
    this.listens = activities.listens;
    this.job = parts.scheduler.at(Number.POSITIVE_INFINITY, () => this.step());
  }

  /** Nothing is to be done here any more. */
  get isIdle(): boolean {
    return this.gets.isEmpty && this.announces.isEmpty && this.listens.isEmpty;
  }

  /** Whether the nearest nodes answered lately and gave tokens. */
  isSynced(nowMs: number): boolean {
    let seen = 0;
    for (const searchNode of this.nodes) {
      if (searchNode.isBad) continue;
      if (!searchNode.isSynced(nowMs)) return false;
      if (++seen === TARGET_NODES) break;
    }
    return seen > 0;
  }

  /** The first `count` nodes that are not bad, nearest first. */
  targets(count: number): SearchNode[] {
    const found: SearchNode[] = [];
    for (const searchNode of this.nodes) {
      if (searchNode.isBad) continue;
      found.push(searchNode);
      if (found.length === count) break;
    }
    return found;
  }

  /**
   * Nodes that values may be announced to and listened to on already: the first `count` when synced; before that all
   * but the last of the synced ones at the head, so that the nearest start at once (protocol/dht.md 18.1).
   */
  ready(count: number, nowMs: number): SearchNode[] {
    const head: SearchNode[] = [];
    let isWhole = true;
    for (const searchNode of this.targets(TARGET_NODES)) {
      if (!searchNode.isSynced(nowMs)) {
        isWhole = false;
        break;
      }
      head.push(searchNode);
    }
    if (!isWhole) head.pop();
    if (head.length > count) head.length = count;
    return head;
  }

  find(node: NodeRecord): SearchNode | undefined {
    return this.nodes.find((searchNode) => searchNode.node === node);
  }

  /** Does what is due and asks whom to ask next. Safe to call at any event. */
  step(): void {
    if (this.isStepping) return;
    if (this.isExpired) {
      // Nobody to ask: what can fail fails now instead of waiting for somebody to appear.
      this.gets.fail();
      this.announces.fail();
    }
    if (this.isExpired || this.isIdle) {
      this.parts.scheduler.cancel(this.job);
      return;
    }
    this.isStepping = true;
    const nowMs = this.parts.clock.nowMs();
    this.lastStepMs = nowMs;
    if (this.refillMs < nowMs - NODE_EXPIRE_MS && this.targets(SEARCH_NODES).length < SEARCH_NODES) this.refill(nowMs);
    const isSynced = this.isSynced(nowMs);
    if (isSynced) this.gets.complete(this, nowMs);
    this.listens.step(this, nowMs);
    this.announces.step(this, nowMs, isSynced);
    this.ask(nowMs);
    this.isStepping = false;
    if (this.isDead()) this.expire();
    else this.parts.scheduler.move(this.job, this.nextStepMs(nowMs));
  }

  /** Steps at the next turn of the scheduler: for events that come in the middle of something. */
  stepSoon(): void {
    this.parts.scheduler.move(this.job, this.parts.clock.nowMs());
  }

  /** Adds the nearest nodes known. */
  refill(nowMs: number): void {
    this.refillMs = nowMs;
    for (const node of this.parts.cache.nearest(this.key, SEARCH_NODES)) this.insert(node, nowMs);
  }

  /** Takes in a node that was heard of. False when it is known already or not near enough: farther searches need not ask. */
  offer(node: NodeRecord, nowMs: number): boolean {
    return this.find(node) === undefined && this.insert(node, nowMs);
  }

  /** Takes a node in if it is near enough; with a token it counts as having answered. False when refused. */
  insert(node: NodeRecord, nowMs: number, token?: string): boolean {
    let searchNode = this.find(node);
    if (searchNode === undefined) {
      if (node.isClient || (token === undefined && !this.hasRoom(node, nowMs))) return false;
      searchNode = new SearchNode(node);
      // Where asking would bring no nearer nodes, a token from another search saves it (protocol/dht.md 8).
      if (token === undefined && this.parts.isSmallNetwork()) searchNode.takeTokenOf(node, nowMs);
      let at = this.nodes.length;
      while (at > 0 && compareDistance(this.key, node.id, (this.nodes[at - 1] as SearchNode).node.id) < 0) at--;
      this.nodes.splice(at, 0, searchNode);
      node.holds++;
      node.searches ??= new Set();
      node.searches.add(this);
      this.trim(nowMs);
      if (!this.nodes.includes(searchNode)) return false;
      if (this.isExpired) this.isExpired = false;
      this.stepSoon();
    }
    if (token !== undefined && token !== '') {
      searchNode.token = token;
      searchNode.lastReplyMs = nowMs;
      searchNode.isCandidate = false;
    }
    return true;
  }

  /** Its token was refused: ask for another one (protocol/dht.md 7). */
  flushToken(node: NodeRecord): void {
    const searchNode = this.find(node);
    if (searchNode === undefined) return;
    searchNode.token = '';
    searchNode.lastReplyMs = Number.NEGATIVE_INFINITY;
    this.listens.drop(this, searchNode);
    this.stepSoon();
  }

  /** A node stopped answering. */
  nodeExpired(node: NodeRecord): void {
    const searchNode = this.find(node);
    if (searchNode === undefined) return;
    // When it comes back, it starts with a clean slate.
    searchNode.isCandidate = false;
    this.listens.drop(this, searchNode);
    this.stepSoon();
  }

  /** A node that had stopped answering speaks again: whatever was not answered before says nothing any more. */
  nodeReturned(node: NodeRecord): void {
    const searchNode = this.find(node);
    if (searchNode === undefined) return;
    searchNode.isCandidate = false;
    this.stepSoon();
  }

  /** An answer to a get or find of this search. */
  answered(searchNode: SearchNode, message: Message, nowMs: number): void {
    searchNode.isCandidate = false;
    if (message.token === '') {
      this.parts.onNoToken(searchNode.node);
      this.parts.engine.expireNode(searchNode.node);
      return;
    }
    searchNode.node.gaveToken(message.token, nowMs);
    this.insert(searchNode.node, nowMs, message.token);
  }

  /** Forgets everything; operations hear nothing more. */
  close(): void {
    this.parts.scheduler.cancel(this.job);
    for (const searchNode of this.nodes) this.release(searchNode);
    this.nodes = [];
    this.isExpired = true;
  }

  private ask(nowMs: number): void {
    const concurrency = this.parts.isSmallNetwork() ? TARGET_NODES : CONCURRENCY;
    let solicited = 0;
    const targets = this.targets(TARGET_NODES);
    for (const searchNode of targets) if (searchNode.isSolicited) solicited++;
    for (const searchNode of targets) {
      if (solicited >= concurrency) return;
      if (searchNode.isSolicited) continue;
      if (this.gets.ask(this, searchNode, nowMs) || this.askForToken(searchNode, nowMs)) solicited++;
    }
  }

  private askForToken(searchNode: SearchNode, nowMs: number): boolean {
    if (searchNode.isSynced(nowMs)) return false;
    const { node } = searchNode;
    const { engine, encoder } = this.parts;
    const tid = node.nextTid();
    const packet = Buffer.from(encoder.find(tid, this.key, false));
    searchNode.find = engine.send(node, tid, 'find', [packet], {
      onFirstTimeout: () => {
        searchNode.isCandidate = true;
        this.step();
      },
      onReply: (message) => {
        this.answered(searchNode, message, this.parts.clock.nowMs());
        this.step();
      },
      onError: () => {
        searchNode.isCandidate = true;
        this.step();
      },
      onExpired: () => {
        searchNode.isCandidate = false;
        this.step();
      },
    });
    return true;
  }

  /**
   * Nobody is left, not only nobody among the nearest (protocol/dht.md 18.1 has 25): ids near a key can be invented in
   * any number, and must not end what other nodes can still answer.
   */
  private isDead(): boolean {
    return this.nodes.every((searchNode) => searchNode.node.isExpired);
  }

  private expire(): void {
    const hadNodes = this.nodes.length > 0;
    this.isExpired = true;
    this.parts.scheduler.cancel(this.job);
    this.gets.fail();
    this.announces.fail();
    if (hadNodes && !this.isIdle) {
      // What stays (listens, permanent puts) starts over with whoever appears next.
      for (const searchNode of this.nodes) this.release(searchNode);
      this.nodes = [];
    }
    if (hadNodes) this.parts.onAllExpired();
  }

  private nextStepMs(nowMs: number): number {
    let next = Math.min(this.announces.nextMs(this), this.listens.nextMs(this));
    if (!this.announces.isEmpty || !this.listens.isEmpty) {
      for (const searchNode of this.targets(TARGET_NODES)) {
        if (searchNode.isSynced(nowMs)) next = Math.min(next, searchNode.lastReplyMs + NODE_EXPIRE_MS + 1);
      }
      next = Math.min(next, this.refillMs + NODE_EXPIRE_MS + 1);
    }
    // What is due and was not done waits for an answer, which steps; asking again at once would never end.
    return Math.max(next, nowMs + RESTEP_MS);
  }

  private hasRoom(node: NodeRecord, nowMs: number): boolean {
    let answered = 0;
    let unanswered = 0;
    let farthest: SearchNode | undefined;
    for (const searchNode of this.nodes) {
      if (searchNode.isBad) continue;
      if (searchNode.isSynced(nowMs)) answered++;
      else unanswered++;
      farthest = searchNode;
    }
    if (farthest === undefined || Math.max(answered, unanswered) < SEARCH_NODES) return true;
    return compareDistance(this.key, node.id, farthest.node.id) < 0;
  }

  /**
   * Keeps the nearest {@link SEARCH_NODES} that answered and as many that did not yet: invented neighbors in a reply
   * cannot push out nodes that are known to live. And not more than two of one address, or one where there are enough
   * addresses: then whoever wants to be all the nodes around a key needs as many addresses as nodes.
   */
  private trim(nowMs: number): void {
    const maxPerAddress = this.countAddresses() >= SEARCH_NODES ? 1 : MAX_PER_ADDRESS;
    let answered = 0;
    let unanswered = 0;
    let bad = 0;
    const perAddress = new Map<string, number>();
    this.nodes = this.nodes.filter((searchNode) => {
      const { endpoint } = searchNode.node;
      let keep: boolean;
      if (searchNode.isBad) keep = ++bad <= MAX_BAD_NODES;
      else if (searchNode.isSynced(nowMs)) keep = ++answered <= SEARCH_NODES;
      else keep = ++unanswered <= SEARCH_NODES;
      if (keep && !searchNode.isBad && !isLoopback(endpoint)) {
        const address = addressBucket(endpoint);
        const count = (perAddress.get(address) ?? 0) + 1;
        perAddress.set(address, count);
        keep = count <= maxPerAddress;
      }
      if (!keep) this.release(searchNode);
      return keep;
    });
  }

  private countAddresses(): number {
    const addresses = new Set<string>();
    for (const { node, isBad } of this.nodes) if (!isBad) addresses.add(addressBucket(node.endpoint));
    return addresses.size;
  }

  private release(searchNode: SearchNode): void {
    const { node } = searchNode;
    node.holds--;
    node.searches?.delete(this);
    if (node.searches?.size === 0) node.searches = undefined;
    this.parts.engine.cancel(searchNode.find);
    for (const status of searchNode.gets.values()) {
      for (const request of status.pending) this.parts.engine.cancel(request);
      status.pending.clear();
    }
    for (const status of searchNode.announces.values()) this.parts.engine.cancel(status.request);
    this.listens.drop(this, searchNode);
  }
}
