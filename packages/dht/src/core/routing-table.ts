import type { Family, RandomSource } from '@atoll/base';
import { compareDistance, InfoHash, lowbit, prefix32 } from '@atoll/identity';
import { isSameAddress } from './address-filter.js';
import type { NodeRecord } from './node-record.js';

/** Nodes per bucket, and nodes per answer. */
export const BUCKET_NODES = 8;
const ID_BITS = 160;
/** Far buckets of a node that serves newcomers split up to this depth (protocol/dht.md 16). */
const MAX_BOOTSTRAP_DEPTH = 6;

/** How sure we are of a node: heard about, heard from, answered us (protocol/dht.md 16). */
export type Confirm = 0 | 1 | 2;

export interface Bucket {
  /** Lowest id that belongs here. */
  readonly first: InfoHash;
  nodes: NodeRecord[];
  /** Last time a node of it answered, ms of the clock. */
  timeMs: number;
  /** A node to try when another leaves. */
  candidate: NodeRecord | undefined;
}

export interface RoutingTableParts {
  readonly family: Family;
  readonly ownId: InfoHash;
  readonly random: RandomSource;
  readonly ping: (node: NodeRecord) => void;
}

/** Buckets of nodes over the key space, finer toward our own id (protocol/dht.md 16). */
export class RoutingTable {
  readonly family: Family;
  readonly buckets: Bucket[] = [newBucket(InfoHash.zero)];
  /** Last time our own bucket was offered somebody new, ms of the clock. */
  growTimeMs = Number.NEGATIVE_INFINITY;
  private readonly parts: RoutingTableParts;

  constructor(parts: RoutingTableParts) {
    this.parts = parts;
    this.family = parts.family;
  }

  /** Index of the bucket that an id belongs to. */
  indexOf(id: InfoHash): number {
    let low = 0;
    let high = this.buckets.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.at(middle).first.binary <= id.binary) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Index of the bucket that our own id belongs to. */
  get ownIndex(): number {
    return this.indexOf(this.parts.ownId);
  }

  at(index: number): Bucket {
    return this.buckets[index] as Bucket;
  }

  /** Number of leading bits that the ids of a bucket share. */
  depth(index: number): number {
    const next = this.buckets[index + 1];
    return Math.max(lowbit(this.at(index).first), next === undefined ? -1 : lowbit(next.first)) + 1;
  }

  /** A random id that belongs to a bucket. */
  randomIdIn(index: number): InfoHash {
    const depth = this.depth(index);
    const first = this.at(index).first.toBytes();
    const random = this.parts.random.bytes(InfoHash.bytes);
    const whole = depth >> 3;
    for (let i = whole; i < InfoHash.bytes; i++) {
      const keep = i === whole ? 0xff00 >> (depth & 7) : 0;
      first[i] = ((first[i] as number) & keep & 0xff) | ((random[i] as number) & ~keep & 0xff);
    }
    return new InfoHash(first.latin1Slice());
  }

  /**
   * Offers a node. Returns true when it is in the table afterwards because of this call.
   * `isBootstrap` lets far buckets split too, for a node that serves many newcomers.
   */
  offer(node: NodeRecord, confirm: Confirm, nowMs: number, isBootstrap = false): boolean {
    for (;;) {
      const index = this.indexOf(node.id);
      const bucket = this.at(index);
      if (confirm === 2) bucket.timeMs = nowMs;
      if (bucket.nodes.includes(node)) return false;
      const isOwn = index === this.ownIndex;
      if (isOwn) this.growTimeMs = nowMs;
      if (bucket.nodes.length < BUCKET_NODES) {
        this.insert(bucket, node);
        return true;
      }
      const expiredAt = bucket.nodes.findIndex((known) => known.isExpired);
      if (expiredAt >= 0) {
        this.release(bucket.nodes[expiredAt] as NodeRecord);
        bucket.nodes.splice(expiredAt, 1);
        this.insert(bucket, node);
        return true;
      }
      const crowdedAt = crowded(bucket.nodes, node);
      if (crowdedAt >= 0) {
        this.release(bucket.nodes[crowdedAt] as NodeRecord);
        bucket.nodes.splice(crowdedAt, 1);
        this.insert(bucket, node);
        return true;
      }
      const isAllGood = bucket.nodes.every((known) => known.isGood(nowMs));
      if (!isAllGood) {
        const toPing = bucket.nodes.find((known) => !known.isGood(nowMs) && !known.hasPendingRequests);
        if (toPing !== undefined) this.parts.ping(toPing);
      }
      const maySplit = (isOwn || isBootstrap) && (isAllGood || this.buckets.length === 1);
      if (maySplit && this.depth(index) < (isOwn ? ID_BITS : MAX_BOOTSTRAP_DEPTH)) {
        this.split(index);
        continue;
      }
      if (confirm > 0 || bucket.candidate === undefined) this.setCandidate(bucket, node);
      return false;
    }
  }

  /** Takes out nodes that are gone. Returns the candidates of the buckets that changed, to be pinged. */
  removeExpired(): NodeRecord[] {
    const candidates: NodeRecord[] = [];
    for (const bucket of this.buckets) {
      const before = bucket.nodes.length;
      if (!bucket.nodes.some((node) => node.isExpired)) continue;
      bucket.nodes = bucket.nodes.filter((node) => {
        if (node.isExpired) this.release(node);
        return !node.isExpired;
      });
      if (bucket.nodes.length < before && bucket.candidate !== undefined) {
        candidates.push(bucket.candidate);
        this.setCandidate(bucket, undefined);
      }
    }
    return candidates;
  }

  /**
   * The `count` good nodes nearest to a target, nearest first. Only good nodes are ever given out, and one of each
   * address while there are enough addresses: a stranger with four must not be all that we can name.
   */
  closestGood(target: InfoHash, count: number, nowMs: number): NodeRecord[] {
    const found: NodeRecord[] = [];
    const crowd: NodeRecord[] = [];
    const center = this.indexOf(target);
    collectGood(this.at(center), nowMs, found, crowd);
    for (let step = 1; found.length < count; step++) {
      const left = center - step;
      const right = center + step;
      if (left < 0 && right >= this.buckets.length) break;
      if (left >= 0) collectGood(this.at(left), nowMs, found, crowd);
      if (right < this.buckets.length) collectGood(this.at(right), nowMs, found, crowd);
    }
    if (found.length < count && crowd.length > 0) {
      sortByDistance(target, crowd);
      found.push(...crowd.slice(0, count - found.length));
    }
    sortByDistance(target, found);
    if (found.length > count) found.length = count;
    return found;
  }

  /** Whether any node of the table answered us since then, ms of the clock. */
  wasAnsweredSince(sinceMs: number): boolean {
    return this.buckets.some((bucket) => bucket.nodes.some((node) => !node.isExpired && node.replyTimeMs >= sinceMs));
  }

  /** Whether any node is good: mostly the first one looked at, while counting would look at all. */
  hasGood(nowMs: number): boolean {
    return this.buckets.some((bucket) => bucket.nodes.some((node) => node.isGood(nowMs)));
  }

  /** Whether any node is not known to be gone. */
  hasAlive(): boolean {
    return this.buckets.some((bucket) => bucket.nodes.some((node) => !node.isExpired));
  }

  /** Numbers of good, dubious (neither good nor gone) and incoming-only nodes. */
  count(nowMs: number): { good: number; dubious: number; incoming: number; cached: number } {
    const counts = { good: 0, dubious: 0, incoming: 0, cached: 0 };
    for (const bucket of this.buckets) {
      if (bucket.candidate !== undefined) counts.cached++;
      for (const node of bucket.nodes) {
        if (node.isGood(nowMs)) {
          counts.good++;
          if (node.timeMs > node.replyTimeMs) counts.incoming++;
        } else if (!node.isExpired) counts.dubious++;
      }
    }
    return counts;
  }

  /** Estimated size of the network, from the depth of our own bucket (protocol/dht.md 26). */
  get sizeEstimate(): number {
    return BUCKET_NODES * 2 ** this.depth(this.ownIndex);
  }

  *nodes(): IterableIterator<NodeRecord> {
    for (const bucket of this.buckets) yield* bucket.nodes;
  }

  private insert(bucket: Bucket, node: NodeRecord): void {
    node.holds++;
    bucket.nodes.unshift(node);
    if (bucket.candidate === node) this.setCandidate(bucket, undefined);
  }

  private release(node: NodeRecord): void {
    node.holds--;
  }

  private setCandidate(bucket: Bucket, node: NodeRecord | undefined): void {
    if (bucket.candidate !== undefined) bucket.candidate.holds--;
    bucket.candidate = node;
    if (node !== undefined) node.holds++;
  }

  private split(index: number): void {
    const bucket = this.at(index);
    if (bucket.candidate !== undefined) {
      this.parts.ping(bucket.candidate);
      this.setCandidate(bucket, undefined);
    }
    const depth = this.depth(index);
    const first = bucket.first.toBytes();
    first[depth >> 3] = (first[depth >> 3] as number) | (0x80 >> (depth & 7));
    const upper = newBucket(new InfoHash(first.latin1Slice()));
    upper.timeMs = bucket.timeMs;
    upper.nodes = bucket.nodes.filter((node) => node.id.binary >= upper.first.binary);
    bucket.nodes = bucket.nodes.filter((node) => node.id.binary < upper.first.binary);
    this.buckets.splice(index + 1, 0, upper);
  }
}

function newBucket(first: InfoHash): Bucket {
  return { first, nodes: [], timeMs: Number.NEGATIVE_INFINITY, candidate: undefined };
}

/** Adds the good nodes of a bucket: the first of each address to the list, the others to the crowd. */
function collectGood(bucket: Bucket, nowMs: number, into: NodeRecord[], crowd: NodeRecord[]): void {
  for (const node of bucket.nodes) {
    if (!node.isGood(nowMs)) continue;
    (countOfAddress(into, into.length, node) === 0 ? into : crowd).push(node);
  }
}

/** How many of the first `length` nodes have the address of another one. */
function countOfAddress(nodes: readonly NodeRecord[], length: number, node: NodeRecord): number {
  let count = 0;
  for (let i = 0; i < length; i++) if (isSameAddress((nodes[i] as NodeRecord).endpoint, node.endpoint)) count++;
  return count;
}

/** Which node of a full bucket is not the only one of its address, and gives way to one of a new address; or -1. */
function crowded(nodes: readonly NodeRecord[], newcomer: NodeRecord): number {
  if (countOfAddress(nodes, nodes.length, newcomer) > 0) return -1;
  return nodes.findIndex((node, index) =>
    nodes.some((other, at) => at !== index && isSameAddress(other.endpoint, node.endpoint)),
  );
}

/** Insertion sort: the lists are short. */
function sortByDistance(target: InfoHash, nodes: NodeRecord[]): void {
  const prefix = prefix32(target);
  for (let i = 1; i < nodes.length; i++) {
    const node = nodes[i] as NodeRecord;
    const distance = (node.prefix ^ prefix) >>> 0;
    let at = i;
    while (at > 0) {
      const before = nodes[at - 1] as NodeRecord;
      const distanceBefore = (before.prefix ^ prefix) >>> 0;
      if (distance > distanceBefore) break;
      if (distance === distanceBefore && compareDistance(target, node.id, before.id) >= 0) break;
      nodes[at] = before;
      at--;
    }
    nodes[at] = node;
  }
}
