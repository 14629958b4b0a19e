import { type Family, formatIp } from '@atoll/base';
import type { DhtNode } from '@atoll/dht';
import { commonBits, InfoHash } from '@atoll/identity';

const FAMILIES: readonly Family[] = [4, 6];

/** `93.9 us`, `1.29 ms`, `6.87 s`: three digits, as dhtnode prints durations. */
export function duration(ms: number): string {
  const [value, unit] =
    ms < 1 ? [ms * 1000, 'us'] : ms < 1000 ? [ms, 'ms'] : ms < 60_000 ? [ms / 1000, 's'] : [ms / 60_000, 'min'];
  return `${Number(value.toPrecision(3))} ${unit}`;
}

/** `ll`: the node and its statistics. */
export function nodeInfo(node: DhtNode, ongoing: number): string {
  const { core } = node;
  const nowMs = performance.now();
  const bytes = [...core.storage.all()].reduce((sum, { value }) => sum + value.sizeBytes, 0);
  let text = `${runningOn(node)}\n${ongoing} ongoing operations\n`;
  text += `Storage has ${core.storage.valueCount} values, using ${Math.floor(bytes / 1024)} KB\n`;
  for (const family of FAMILIES) {
    const table = core.table(family);
    const { good, dubious, incoming } = table?.count(nowMs) ?? { good: 0, dubious: 0, incoming: 0 };
    const searches = [...core.searches(family)].length;
    const cached = core.cachedNodes(family);
    text += `IPv${family} stats:\nKnown nodes: ${good} good, ${dubious} dubious, ${incoming} incoming.\n`;
    text += `${searches} searches, ${cached} total cached nodes\n`;
    if (table !== undefined && good > 0) {
      text += `Routing table depth: ${table.depth(table.ownIndex)}\n`;
      text += `Network size estimation: ${table.sizeEstimate} nodes\n`;
    }
    text += '\n';
  }
  return text;
}

/** The first line of a node. */
export function runningOn(node: DhtNode): string {
  const { ipv4, ipv6 } = node.ports;
  return `OpenDHT node ${node.id} running on port ${ipv4 || ipv6}`;
}

/** `lr`: the routing tables. */
export function routingTables(node: DhtNode): string {
  const nowMs = performance.now();
  const ago = (timeMs: number): string => (Number.isFinite(timeMs) ? `${duration(nowMs - timeMs)} ago` : 'never');
  return FAMILIES.map((family) => {
    const buckets = node.core.table(family)?.buckets ?? [];
    const lines = buckets.map(({ first, nodes, timeMs }) => {
      const rows = nodes.map((known) => {
        const state = known.isExpired ? ' [expired]' : known.isGood(nowMs) ? ' [good]' : '';
        return `    Node ${known.id} ${known.endpoint} updated: ${ago(known.timeMs)}, replied: ${ago(known.replyTimeMs)}${state}\n`;
      });
      return `${first} count: ${nodes.length} updated: ${ago(timeMs)}\n${rows.join('')}`;
    });
    return `IPv${family} routing table:\n${lines.join('')}\n`;
  }).join('');
}

/** `ls [key]`: searches. */
export function searches(node: DhtNode, only: InfoHash | undefined): string {
  const nowMs = performance.now();
  const counts: Record<Family, number> = { 4: 0, 6: 0 };
  let text = 's:synched, u:updated, a:announced, c:candidate, f:cur req, x:expired, *:known\n\n';
  for (const family of FAMILIES) {
    for (const search of node.core.searches(family)) {
      counts[family]++;
      if (only !== undefined && !search.key.equals(only)) continue;
      const done = search.isIdle ? ' [done]' : search.isExpired ? ' [expired]' : '';
      const step = Number.isFinite(search.lastStepMs) ? `${duration(nowMs - search.lastStepMs)} ago` : 'never';
      text += `Search IPv${family} ${search.key} gets: ${search.gets.size}, last step: ${step}${done}${search.isSynced(nowMs) ? ' [synced]' : ' [not synced]'}\n`;
      text += ' Common bits    InfoHash                       Conn. Get   Ops  IP\n';
      for (const searchNode of search.nodes) {
        const bits = String(commonBits(search.key, searchNode.node.id)).padStart(3);
        const known = node.core.table(family)?.at(node.core.table(family)?.indexOf(searchNode.node.id) ?? 0);
        const isKnown = known?.nodes.includes(searchNode.node) ? '*' : ' ';
        const state = `${searchNode.isSolicited ? 'f' : ' '}${searchNode.node.isExpired ? 'x' : searchNode.isCandidate ? 'c' : ' '}`;
        const synced = searchNode.isSynced(nowMs) ? 's' : '-';
        text += `${bits} ${searchNode.node.id} ${isKnown} [${state}] [${synced} ] ${searchNode.node.endpoint}\n`;
      }
      text += '\n';
    }
  }
  return `${text}Total: ${counts[4] + counts[6]} searches (${counts[4]} IPv4, ${counts[6]} IPv6).\n`;
}

/** `ld [key]`: what is stored here and who listens. */
export function storage(node: DhtNode, only: InfoHash | undefined): string {
  const { core } = node;
  const keys = new Map<string, { bytes: number; values: string[] }>();
  let total = 0;
  for (const { key, value } of core.storage.all()) {
    total += value.sizeBytes;
    if (only !== undefined && !key.equals(only)) continue;
    const entry = keys.get(key.toString()) ?? { bytes: 0, values: [] };
    entry.bytes += value.sizeBytes;
    entry.values.push(`   ${value}\n`);
    keys.set(key.toString(), entry);
  }
  let text = '';
  for (const [key, { bytes, values }] of keys) {
    const listeners = core.listenerCount(InfoHash.parse(key));
    text += `Storage ${key} ${listeners} list., ${values.length} values (${bytes} bytes)\n`;
    if (only !== undefined) text += values.join('');
  }
  return `${text}\nTotal ${core.storage.keyCount} storages, ${core.storage.valueCount} values (${Math.floor(total / 1024)} KB)\n`;
}

/** `la`: our addresses as others see them. */
export function publicAddresses(node: DhtNode): string {
  const lines = FAMILIES.flatMap((family) => node.core.publicAddresses(family).map((ip) => `${formatIp(ip)}\n`));
  return `Reported public addresses:\n${lines.join('')}`;
}
