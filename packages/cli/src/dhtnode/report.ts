import { type Family, formatIp } from '@atoll/base';
import type { DhtNode, Search, SearchNode, Value } from '@atoll/dht';
import { commonBits, type InfoHash } from '@atoll/identity';

const FAMILIES: readonly Family[] = [4, 6];

/** `93.9 us`, `1.29 ms`, `6.87 s`: three digits, as dhtnode prints durations. */
export function duration(ms: number): string {
  const [value, unit] =
    ms < 1 ? [ms * 1000, 'us'] : ms < 1000 ? [ms, 'ms'] : ms < 60_000 ? [ms / 1000, 's'] : [ms / 60_000, 'min'];
  return `${Number(value.toPrecision(3))} ${unit}`;
}

/** `ll`: the node and its statistics. */
export function nodeInfo(node: DhtNode, publicKeyId: InfoHash | undefined, ongoing: number): string {
  const { core } = node;
  const nowMs = performance.now();
  const bytes = [...core.storage.all()].reduce((sum, { value }) => sum + value.sizeBytes, 0);
  let text = `${runningOn(node)}\n`;
  if (publicKeyId !== undefined) text += `Public key ID ${publicKeyId}\n`;
  text += `${ongoing} ongoing operations\n`;
  text += `Storage has ${core.storage.valueCount} values, using ${Math.floor(bytes / 1024)} KB\n`;
  for (const family of FAMILIES) {
    const table = core.table(family);
    const { good, dubious, incoming } = table?.count(nowMs) ?? { good: 0, dubious: 0, incoming: 0 };
    const searches = [...core.searches(family)].length;
    const cached = core.cachedNodes(family);
    text += `IPv${family} stats:\nKnown nodes: ${good} good, ${dubious} dubious, ${incoming} incoming.\n`;
    text += `${searches} searches, ${cached} total cached nodes\n`;
    if (table !== undefined && table.depth(table.ownIndex) > 1) {
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
        const replied = known.replyTimeMs === known.timeMs ? '' : `, replied: ${ago(known.replyTimeMs)}`;
        return `    Node ${known.id} ${known.endpoint} updated: ${ago(known.timeMs)}${replied}${state}\n`;
      });
      return `${first} count: ${nodes.length} updated: ${ago(timeMs)}\n${rows.join('')}`;
    });
    return `IPv${family} routing table:\n${lines.join('')}\n`;
  }).join('');
}

/** `ls [key]`: searches; with a key only those toward it. */
export function searches(node: DhtNode, only: InfoHash | undefined): string {
  const all = FAMILIES.map((family) => [...node.core.searches(family)].map((search) => ({ family, search })));
  const [ipv4 = 0, ipv6 = 0] = all.map((list) => list.length);
  const wanted = all.flat().filter(({ search }) => only === undefined || search.key.equals(only));
  const text = wanted.map(({ family, search }) => describeSearch(node, family, search)).join('');
  if (only !== undefined) return `${text}\n`;
  const legend = 's:synched, u:updated, a:announced, c:candidate, f:cur req, x:expired, *:known\n';
  return `${legend}${text}Total: ${ipv4 + ipv6} searches (${ipv4} IPv4, ${ipv6} IPv6).\n\n`;
}

function describeSearch(node: DhtNode, family: Family, search: Search): string {
  const nowMs = performance.now();
  const step = Number.isFinite(search.lastStepMs) ? `${duration(nowMs - search.lastStepMs)} ago` : 'never';
  const marks = [
    search.isIdle ? ' [done]' : '',
    search.isExpired ? ' [expired]' : '',
    search.isSynced(nowMs) ? ' [synced]' : ' [not synced]',
    search.nodes.some(isListenedTo) ? ' [listening]' : '',
  ];
  let text = `\nSearch IPv${family} ${search.key} gets: ${search.gets.size}, last step: ${step}${marks.join('')}\n`;
  const listens = [...search.listens.all()];
  if (listens.length > 0) text += `Queries:\n${listens.map(({ query }) => `${query}\n`).join('')}`;
  const announces = [...search.announces.all()];
  for (const { value } of announces) {
    const isAnnounced = search.nodes.some(({ announces: here }) => here.get(value.id)?.isAcknowledged);
    text += `Announcement: ${value}${isAnnounced ? ' [announced]' : ''}\n`;
  }
  text += ' Common bits    InfoHash                       Conn. Get   Ops  IP\n';
  const table = node.core.table(family);
  for (const searchNode of search.nodes) {
    const { node: known } = searchNode;
    const bucket = table?.at(table.indexOf(known.id));
    const operations = [
      listens.length > 0 ? `[${isListenedTo(searchNode) ? 'l' : searchNode.listens.size > 0 ? 'f' : ' '}] ` : '',
      announces.length > 0 ? `[${announces.map(({ value }) => announceMark(searchNode, value.id)).join('')}] ` : '',
    ];
    text += [
      `${String(commonBits(search.key, known.id)).padStart(3)} ${known.id}`,
      bucket?.nodes.includes(known) ? '*' : ' ',
      `[${known.requests?.size || ' '}${known.isExpired ? 'x' : ' '}]`,
      `[${searchNode.isSynced(nowMs) ? 'u' : '-'}${searchNode.isSolicited ? (searchNode.isCandidate ? 'c' : 'f') : ' '}]`,
      `${operations.join('')}${known.endpoint}\n`,
    ].join(' ');
  }
  return text;
}

function isListenedTo(searchNode: SearchNode): boolean {
  return [...searchNode.listens.values()].some((status) => status.isConfirmed);
}

function announceMark(searchNode: SearchNode, id: bigint): string {
  const status = searchNode.announces.get(id);
  if (status?.isAcknowledged) return 'a';
  return status?.request === undefined ? ' ' : 'f';
}

/** `ld [key]`: what is stored here, by whom, and who listens; with a key also the values. */
export function storage(node: DhtNode, only: InfoHash | undefined): string {
  const { core } = node;
  const listeners = new Map([...core.remoteListenersByKey()].map(([key, nodes]) => [key.toString(), nodes]));
  const listens = new Map([...core.localListeners()].map(([key, count]) => [key.toString(), count]));
  const stored = new Map<string, Value[]>([...listeners.keys(), ...listens.keys()].map((key) => [key, []]));
  const perAddress = new Map<string, number>();
  let bytes = 0;
  for (const { key, value, from } of core.storage.all()) {
    bytes += value.sizeBytes;
    if (from !== undefined) perAddress.set(`${from}`, (perAddress.get(`${from}`) ?? 0) + value.sizeBytes);
    const values = stored.get(key.toString());
    if (values === undefined) stored.set(key.toString(), [value]);
    else values.push(value);
  }
  const describe = (key: string, values: readonly Value[]): string => {
    const size = values.reduce((sum, value) => sum + value.sizeBytes, 0);
    const remote = listeners.get(key) ?? [];
    const local = listens.get(key) ?? 0;
    let text = `Storage ${key} ${remote.length} list., ${values.length} values (${size} bytes)\n`;
    if (local > 0) text += `   ${local} local listeners\n`;
    for (const listener of new Set(remote)) {
      const entries = remote.filter((other) => other === listener).length;
      text += `   Listener ${listener.id} ${listener.endpoint} : ${entries} entries\n`;
    }
    return text;
  };
  if (only !== undefined) {
    const values = stored.get(only.toString());
    if (values === undefined) return `Storage ${only} empty\n\n`;
    return `${describe(only.toString(), values)}${values.map((value) => `   ${value}\n`).join('')}\n`;
  }
  const keys = [...stored].map(([key, values]) => describe(key, values)).join('');
  const addresses = [...perAddress].map(([address, used]) => `IP ${address} uses ${used} bytes\n`).join('');
  const most = core.storage.maxRemoteBytes;
  const used = `${Math.floor(bytes / 1024)}${most < 0 ? '' : ` / ${Math.floor(most / 1024)}`} KB`;
  return `${keys}\n\n${addresses}\nTotal ${stored.size} storages, ${core.storage.valueCount} values (${used})\n\n`;
}

/** `la`: our addresses as others see them. */
export function publicAddresses(node: DhtNode): string {
  const lines = FAMILIES.flatMap((family) =>
    node.core.publicAddresses(family).map((ip) => `${family === 4 ? formatIp(ip) : `[${formatIp(ip)}]`}\n`),
  );
  return `Reported public addresses:\n${lines.join('')}`;
}
