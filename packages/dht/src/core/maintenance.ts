import type { Clock, RandomSource } from '@atoll/base';
import { InfoHash } from '@atoll/identity';
import { NODE_EXPIRE_MS, type NodeRecord } from './node-record.js';
import { BUCKET_NODES, type RoutingTable } from './routing-table.js';

/** Our own neighborhood is looked after while it grew within this time, in ms (protocol/dht.md 17). */
const NEIGHBORHOOD_MS = 150_000;
/** Chance to ask a neighboring bucket, and to ask for both families although we know enough. */
const NEIGHBOR_CHANCE = 1 / 8;
const BOTH_FAMILIES_CHANCE = 1 / 38;

export interface MaintenanceParts {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly ownId: InfoHash;
  /** Asks a node for nodes near a target. */
  readonly find: (node: NodeRecord, target: InfoHash, wantsBoth: boolean) => void;
}

/**
 * Keeps the routing table fresh: buckets that nobody answered from lately are asked for a random id of theirs
 * (protocol/dht.md 17). Returns whether anything was sent.
 */
export function maintainBuckets(
  table: RoutingTable,
  other: RoutingTable | undefined,
  parts: MaintenanceParts,
): boolean {
  const nowMs = parts.clock.nowMs();
  let sent = false;
  for (let index = 0; index < table.buckets.length; index++) {
    const bucket = table.at(index);
    if (bucket.timeMs >= nowMs - NODE_EXPIRE_MS && bucket.nodes.length > 0) continue;
    const target = table.randomIdIn(index);
    let askIndex = index;
    if (bucket.nodes.length === 0 || parts.random.uniform(0, 1) < NEIGHBOR_CHANCE) {
      askIndex = neighborWithNodes(table, index) ?? index;
    }
    const node = pickNode(table.at(askIndex).nodes, parts.random);
    if (node === undefined || node.hasPendingRequests) continue;
    const wantsBoth =
      other !== undefined &&
      (other.at(other.indexOf(target)).nodes.length < BUCKET_NODES ||
        parts.random.uniform(0, 1) < BOTH_FAMILIES_CHANCE);
    parts.find(node, target, wantsBoth);
    sent = true;
  }
  return sent;
}

/** Looks for newcomers near our own id, while our bucket still grows (protocol/dht.md 17). */
export function maintainNeighborhood(
  table: RoutingTable,
  other: RoutingTable | undefined,
  parts: MaintenanceParts,
): boolean {
  if (table.growTimeMs < parts.clock.nowMs() - NEIGHBORHOOD_MS) return false;
  const bytes = parts.ownId.toBytes();
  bytes[InfoHash.bytes - 1] = parts.random.uint32() & 0xff;
  const target = new InfoHash(bytes.latin1Slice());
  const own = table.ownIndex;
  const index = table.at(own).nodes.length > 0 ? own : neighborWithNodes(table, own);
  if (index === undefined) return false;
  const node = pickNode(table.at(index).nodes, parts.random);
  if (node === undefined) return false;
  parts.find(node, target, other !== undefined && other.at(other.indexOf(target)).nodes.length < BUCKET_NODES);
  return true;
}

function neighborWithNodes(table: RoutingTable, index: number): number | undefined {
  for (const neighbor of [index + 1, index - 1]) {
    if ((table.buckets[neighbor]?.nodes.length ?? 0) > 0) return neighbor;
  }
  return undefined;
}

/** A random node, one that is not known to be gone if there is one. */
function pickNode(nodes: readonly NodeRecord[], random: RandomSource): NodeRecord | undefined {
  const alive = nodes.filter((node) => !node.isExpired);
  const from = alive.length > 0 ? alive : nodes;
  return from[Math.floor(random.uniform(0, from.length))];
}
