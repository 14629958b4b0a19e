import type { DhtNode } from '@atoll/dht';
import { encodeNodeInfo, encodeStats, type FamilyInfo, type NodeInfo } from '../wire/node-info.js';
import { answer, answerRefusal } from './answer.js';
import { type DhtProxy, isRefusal } from './dht-proxy.js';
import type { RequestContext } from './request-context.js';

const NO_NODES: FamilyInfo = { good: 0, dubious: 0, incoming: 0 };

/** `GET /`: the node's state at this moment (protocol/dht-proxy.md 5, trap 12). */
export function handleInfo({ proxy, exchange }: RequestContext): void {
  const node = proxy.usableNode();
  if (isRefusal(node)) answerRefusal(exchange, node);
  else {
    const publicIp = mappedIp(exchange.client);
    answer(exchange, 200, `${encodeNodeInfo({ ...infoOf(proxy, node), publicIp })}\n`);
  }
}

/** `GET /node/stats`. */
export function handleStats({ proxy, exchange }: RequestContext): void {
  const node = proxy.usableNode();
  if (isRefusal(node)) {
    answerRefusal(exchange, node);
    return;
  }
  const { puts, keeper, push, clock } = proxy;
  const stats = {
    listenCount: keeper.listens.total,
    putCount: puts.keyCount,
    totalPermanentPuts: puts.size,
    requestRate: proxy.requestRate,
    startedUnixMs: proxy.startedUnixMs,
    nowUnixMs: clock.unixMs(),
    push: push?.stats,
    node: infoOf(proxy, node),
  };
  answer(exchange, 200, `${encodeStats(stats)}\n`);
}

function infoOf(proxy: DhtProxy, node: DhtNode): NodeInfo {
  const nowMs = proxy.clock.nowMs();
  const families = { 4: familyOf(node, 4, nowMs), 6: familyOf(node, 6, nowMs) };
  if (families[4].good + families[6].good === 0) {
    // Reference clients that hear of dubious nodes only wait without ever asking again (protocol/dht-proxy.md 16.2).
    // That this proxy answers at all means that it serves: on a network of its own, its node is the good one.
    families[4] = { ...families[4], good: 1, dubious: 0 };
    families[6] = { ...families[6], dubious: 0 };
  }
  return {
    id: node.identity?.certificate.publicKey.id.toString(),
    nodeId: node.id.toString(),
    ipv4: families[4],
    ipv6: families[6],
    operations: proxy.keeper.operations.total + proxy.watches.size,
    storage: node.core.storage.totals,
    ports: node.ports,
  };
}

function familyOf(node: DhtNode, family: 4 | 6, nowMs: number): FamilyInfo {
  const table = node.core.table(family);
  if (table === undefined) return NO_NODES;
  const { good, dubious, incoming } = table.count(nowMs);
  const depth = table.depth(table.ownIndex);
  return {
    good,
    dubious,
    incoming,
    ...(depth > 1 ? { tableDepth: depth, networkSizeEstimation: 8 * 2 ** depth } : {}),
  };
}

/** An IPv4 address in the mapped form, as clients have always seen it. */
function mappedIp(client: string): string {
  return client.includes(':') ? client : `::ffff:${client}`;
}
