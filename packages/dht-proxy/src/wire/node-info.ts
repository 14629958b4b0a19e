import type { PushStats } from '../push/push-sender.js';
import { isJsonObject } from './value-json.js';

/** Nodes of one family as a proxy tells of them. */
export interface FamilyInfo {
  readonly good: number;
  readonly dubious: number;
  readonly incoming: number;
  readonly tableDepth?: number | undefined;
  readonly networkSizeEstimation?: number | undefined;
}

/** What `GET /` answers (protocol/dht-proxy.md 5). */
export interface NodeInfo {
  /** Id of the node's public key, if it has one: 40 hex digits. */
  readonly id?: string | undefined;
  readonly nodeId: string;
  readonly ipv4: FamilyInfo;
  readonly ipv6: FamilyInfo;
  readonly operations: number;
  /** Values and bytes kept, in all and of those put through this node. Newer proxies only. */
  readonly storage?: Readonly<{ values: number; bytes: number; localValues: number; localBytes: number }> | undefined;
  /** UDP ports. Newer proxies only. */
  readonly ports?: { readonly ipv4: number; readonly ipv6: number } | undefined;
  /** Where the request came from, as the proxy saw it; only in the answer to the asker. */
  readonly publicIp?: string | undefined;
}

/** What `GET /node/stats` answers. */
export interface ProxyStats {
  readonly listenCount: number;
  readonly putCount: number;
  readonly totalPermanentPuts: number;
  /** Per second. */
  readonly requestRate: number;
  readonly startedUnixMs: number;
  readonly nowUnixMs: number;
  readonly push: PushStats | undefined;
  readonly node: NodeInfo;
}

/** Members sorted by name, as JSON has it everywhere in this protocol. */
export function encodeNodeInfo(info: NodeInfo): string {
  return JSON.stringify(infoMembers(info));
}

export function encodeStats(stats: ProxyStats): string {
  const { push } = stats;
  const count = ({ high = 0, normal = 0 } = {}): object => ({ highPriorityCount: high, normalPriorityCount: normal });
  return JSON.stringify({
    androidPush: count(push?.android),
    iosPush: count(push?.ios),
    lastUpdated: Math.floor(stats.nowUnixMs / 1000),
    listenCount: stats.listenCount,
    nodeInfo: infoMembers(stats.node),
    pushListenersCount: push?.tokens ?? 0,
    putCount: stats.putCount,
    requestRate: stats.requestRate,
    serverStartTime: Math.floor(stats.startedUnixMs / 1000),
    totalPermanentPuts: stats.totalPermanentPuts,
    unifiedPush: count(push?.unifiedPush),
  });
}

function infoMembers(info: NodeInfo): object {
  const { storage, ports } = info;
  return {
    ...(info.id === undefined ? {} : { id: info.id }),
    ipv4: familyMembers(info.ipv4),
    ipv6: familyMembers(info.ipv6),
    ...(storage === undefined
      ? {}
      : { local_storage_size: storage.localBytes, local_storage_values: storage.localValues }),
    node_id: info.nodeId,
    ops: info.operations,
    ...(ports === undefined ? {} : { port_ipv4: ports.ipv4, port_ipv6: ports.ipv6 }),
    ...(info.publicIp === undefined ? {} : { public_ip: info.publicIp }),
    ...(storage === undefined ? {} : { storage_size: storage.bytes, storage_values: storage.values }),
  };
}

function familyMembers({ good, dubious, incoming, tableDepth, networkSizeEstimation }: FamilyInfo): object {
  return {
    dubious,
    good,
    incoming,
    ...(networkSizeEstimation === undefined ? {} : { network_size_estimation: networkSizeEstimation }),
    ...(tableDepth === undefined ? {} : { table_depth: tableDepth }),
  };
}

/** Reads a proxy's node info; undefined when it is none: the `node_id` is what makes it one. */
export function decodeNodeInfo(json: unknown): NodeInfo | undefined {
  if (!isJsonObject(json) || typeof json.node_id !== 'string' || !/^[0-9a-f]{40}$/i.test(json.node_id))
    return undefined;
  return {
    id: typeof json.id === 'string' ? json.id : undefined,
    nodeId: json.node_id,
    ipv4: decodeFamily(json.ipv4),
    ipv6: decodeFamily(json.ipv6),
    operations: count(json.ops),
    publicIp: typeof json.public_ip === 'string' ? json.public_ip : undefined,
  };
}

function decodeFamily(json: unknown): FamilyInfo {
  if (!isJsonObject(json)) return { good: 0, dubious: 0, incoming: 0 };
  return { good: count(json.good), dubious: count(json.dubious), incoming: count(json.incoming) };
}

function count(json: unknown): number {
  return typeof json === 'number' && Number.isFinite(json) && json > 0 ? json : 0;
}
