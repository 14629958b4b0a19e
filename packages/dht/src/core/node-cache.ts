import type { Endpoint, Family, RandomSource } from '@atoll/base';
import { compareDistance, type InfoHash } from '@atoll/identity';
import { isSameAddress } from './address-filter.js';
import { NODE_EXPIRE_MS, NodeRecord } from './node-record.js';

/** Nodes remembered per family. Held ones (in a table, a search, a listener) do not count as room to make. */
const MAX_NODES = 8192;

/** Addresses that one id is remembered at: as many as could be the keepers of a key, and as many again. */
const MAX_SAME_ID = 16;
/** Of them at one address: where a node is and where it moved to. */
const MAX_SAME_ID_AND_ADDRESS = 2;

/** Every node known in one family: one record for one id at one address (protocol/dht.md 16, node cache). */
export class NodeCache {
  readonly family: Family;
  private readonly random: RandomSource;
  /** By id; nodes that use the same id hang on each other. */
  private readonly nodes = new Map<string, NodeRecord>();
  private count = 0;

  constructor(family: Family, random: RandomSource) {
    this.family = family;
    this.random = random;
  }

  get size(): number {
    return this.count;
  }

  *[Symbol.iterator](): IterableIterator<NodeRecord> {
    for (const first of this.nodes.values()) yield* chain(first);
  }

  /** The record of a node at an address. */
  find(id: InfoHash, endpoint: Endpoint): NodeRecord | undefined {
    let node = this.nodes.get(id.binary);
    while (node !== undefined && node.endpoint.key !== endpoint.key) node = node.sibling;
    return node;
  }

  /** All nodes that use an id. */
  withId(id: InfoHash): Iterable<NodeRecord> {
    return chain(this.nodes.get(id.binary));
  }

  /**
   * The record of a node that another told us of; undefined when too many use its id. One that was silent for ten
   * minutes (protocol/dht.md 4), or does not answer, is taken to have moved there; one that answers where it is stays,
   * and the other is remembered beside it.
   */
  get(id: InfoHash, endpoint: Endpoint, nowMs: number): NodeRecord | undefined {
    const known = this.find(id, endpoint);
    if (known !== undefined) return known;
    for (const node of this.withId(id)) {
      if (!node.mayBeElsewhere(nowMs)) continue;
      node.moved(endpoint);
      return node;
    }
    return this.add(id, endpoint, nowMs);
  }

  /** A record for a node at an address where it was not known; undefined when too many use its id. */
  add(id: InfoHash, endpoint: Endpoint, nowMs: number): NodeRecord | undefined {
    let sameId = 0;
    let sameAddress = 0;
    for (const node of this.withId(id)) {
      if (node.isExpired) continue;
      sameId++;
      if (isSameAddress(node.endpoint, endpoint)) sameAddress++;
    }
    if (sameId >= MAX_SAME_ID || sameAddress >= MAX_SAME_ID_AND_ADDRESS) return undefined;
    if (this.count >= MAX_NODES) this.makeRoom(nowMs);
    const node = new NodeRecord(id, endpoint, this.random);
    const first = this.nodes.get(id.binary);
    if (first === undefined) this.nodes.set(id.binary, node);
    else {
      node.sibling = first.sibling;
      first.sibling = node;
    }
    this.count++;
    return node;
  }

  /**
   * The `count` nearest nodes that are worth asking: neither expired nor clients, one of each address while there are
   * enough addresses.
   */
  nearest(target: InfoHash, count: number): NodeRecord[] {
    const best: NodeRecord[] = [];
    const crowd: NodeRecord[] = [];
    for (const node of this) {
      if (node.isExpired || node.isClient) continue;
      const farthest = best[count - 1];
      if (farthest !== undefined && compareDistance(target, node.id, farthest.id) >= 0) continue;
      const sameAt = best.findIndex((other) => isSameAddress(other.endpoint, node.endpoint));
      const same = best[sameAt];
      if (same === undefined) {
        insertByDistance(target, best, node, count);
      } else if (compareDistance(target, node.id, same.id) < 0) {
        best.splice(sameAt, 1);
        insertByDistance(target, best, node, count);
        insertByDistance(target, crowd, same, count);
      } else insertByDistance(target, crowd, node, count);
    }
    for (const node of crowd) if (best.length < count) best.push(node);
    return best;
  }

  /** Forgets nodes that nothing holds and that were silent for long, or never spoke. */
  sweep(nowMs: number): void {
    for (const node of this) {
      if (isHeld(node)) continue;
      if (node.isRemovable(nowMs) || node.timeMs < nowMs - 6 * NODE_EXPIRE_MS) this.remove(node);
    }
  }

  /** After a change of connectivity every node may be reachable again (protocol/dht.md 17). */
  resetAll(): void {
    for (const node of this) node.reset();
  }

  private remove(node: NodeRecord): void {
    const first = this.nodes.get(node.id.binary);
    if (first === node) {
      if (node.sibling === undefined) this.nodes.delete(node.id.binary);
      else this.nodes.set(node.id.binary, node.sibling);
    } else {
      let before = first;
      while (before !== undefined && before.sibling !== node) before = before.sibling;
      if (before === undefined) return;
      before.sibling = node.sibling;
    }
    this.count--;
  }

  /**
   * Lets a node go that nothing holds, looking at a few only: the one longest known of those that are not good. Whoever
   * floods us with ids pushes out his own.
   */
  private makeRoom(nowMs: number): void {
    let looked = 0;
    let spare: NodeRecord | undefined;
    for (const [key, first] of this.nodes) {
      for (const node of chain(first)) {
        if (isHeld(node)) continue;
        if (!node.isGood(nowMs)) {
          this.remove(node);
          return;
        }
        spare ??= node;
      }
      this.nodes.delete(key);
      this.nodes.set(key, first);
      if (++looked >= 32) break;
    }
    if (spare !== undefined) this.remove(spare);
  }
}

/** A node and the others that use its id. */
function* chain(first: NodeRecord | undefined): IterableIterator<NodeRecord> {
  for (let node = first; node !== undefined; node = node.sibling) yield node;
}

function isHeld(node: NodeRecord): boolean {
  return node.holds > 0 || node.hasPendingRequests || node.sockets !== undefined;
}

function insertByDistance(target: InfoHash, nodes: NodeRecord[], node: NodeRecord, count: number): void {
  let at = nodes.length;
  while (at > 0 && compareDistance(target, node.id, (nodes[at - 1] as NodeRecord).id) < 0) at--;
  nodes.splice(at, 0, node);
  if (nodes.length > count) nodes.pop();
}
