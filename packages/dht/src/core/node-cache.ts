import type { Endpoint, Family, RandomSource } from '@atoll/base';
import { compareDistance, type InfoHash } from '@atoll/identity';
import { isSameAddress } from './address-filter.js';
import { NODE_EXPIRE_MS, NodeRecord } from './node-record.js';

/** Nodes remembered per family. Held ones (in a table, a search, a listener) do not count as room to make. */
const MAX_NODES = 8192;

/** Every node known in one family: one record for one id (protocol/dht.md 16, node cache). */
export class NodeCache {
  readonly family: Family;
  private readonly random: RandomSource;
  private readonly nodes = new Map<string, NodeRecord>();

  constructor(family: Family, random: RandomSource) {
    this.family = family;
    this.random = random;
  }

  get size(): number {
    return this.nodes.size;
  }

  [Symbol.iterator](): IterableIterator<NodeRecord> {
    return this.nodes.values();
  }

  find(id: InfoHash): NodeRecord | undefined {
    return this.nodes.get(id.binary);
  }

  /**
   * The record of a node that sent us something, or that another told us of. An address heard from others replaces
   * the known one only when the node was silent for ten minutes (protocol/dht.md 4), or did not answer there.
   */
  get(id: InfoHash, endpoint: Endpoint, nowMs: number): NodeRecord {
    let node = this.nodes.get(id.binary);
    if (node === undefined) {
      if (this.nodes.size >= MAX_NODES) this.makeRoom(nowMs);
      node = new NodeRecord(id, endpoint, this.random);
      this.nodes.set(id.binary, node);
    } else if (node.endpoint.key !== endpoint.key && node.mayBeElsewhere(nowMs)) node.moved(endpoint);
    return node;
  }

  /**
   * The `count` nearest nodes that are worth asking: neither expired nor clients, one of each address while there are
   * enough addresses.
   */
  nearest(target: InfoHash, count: number): NodeRecord[] {
    const best: NodeRecord[] = [];
    const crowd: NodeRecord[] = [];
    for (const node of this.nodes.values()) {
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
    for (const [key, node] of this.nodes) {
      if (node.holds > 0 || node.hasPendingRequests || node.sockets !== undefined) continue;
      if (node.isRemovable(nowMs) || node.timeMs < nowMs - 6 * NODE_EXPIRE_MS) this.nodes.delete(key);
    }
  }

  /** After a change of connectivity every node may be reachable again (protocol/dht.md 17). */
  resetAll(): void {
    for (const node of this.nodes.values()) node.reset();
  }

  /**
   * Lets a node go that nothing holds, looking at a few only: the one longest known of those that are not good. Whoever
   * floods us with ids pushes out his own.
   */
  private makeRoom(nowMs: number): void {
    let looked = 0;
    let spare: string | undefined;
    for (const [key, node] of this.nodes) {
      const isHeld = node.holds > 0 || node.hasPendingRequests || node.sockets !== undefined;
      if (!isHeld && !node.isGood(nowMs)) {
        this.nodes.delete(key);
        return;
      }
      if (!isHeld) spare ??= key;
      this.nodes.delete(key);
      this.nodes.set(key, node);
      if (++looked >= 32) break;
    }
    if (spare !== undefined) this.nodes.delete(spare);
  }
}

function insertByDistance(target: InfoHash, nodes: NodeRecord[], node: NodeRecord, count: number): void {
  let at = nodes.length;
  while (at > 0 && compareDistance(target, node.id, (nodes[at - 1] as NodeRecord).id) < 0) at--;
  nodes.splice(at, 0, node);
  if (nodes.length > count) nodes.pop();
}
