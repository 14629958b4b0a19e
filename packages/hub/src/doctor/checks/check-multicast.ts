import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { decodeDiscovery } from '@atoll/dht';
import type { Check } from '../check.js';
import { type Verdict, verdict } from '../finding.js';

/** Jami's discovery (protocol/peer-discovery.md 1). */
export const DISCOVERY_GROUP = '239.192.0.1';
const DISCOVERY_PORT = 8888;
/** msgpack `"q"`: the question that every publisher answers to its sender. */
const QUESTION = Buffer.from([0xa1, 0x71]);
const ASK_EVERY_MS = 200;

/** Who answered the question of local discovery. */
export interface MulticastFacts {
  readonly host: string;
  readonly isLocal: boolean;
  /** Addresses that answered when the group was asked; this machine's own among them. */
  readonly fromGroup: readonly string[];
  /** Addresses that answered when asked directly. */
  readonly direct: readonly string[];
  readonly own: readonly string[];
}

/** Judges whether multicast passes. */
export function judgeMulticast({ host, isLocal, fromGroup, direct, own }: MulticastFacts): readonly Verdict[] {
  const others = fromGroup.filter((address) => !own.includes(address));
  const facts = { group: DISCOVERY_GROUP, host };
  if (others.length > 0) return [verdict('good', 'multicast-good', { ...facts, hosts: others.join(', ') })];
  const isSelfHeard = isLocal && fromGroup.length > 0;
  if (isSelfHeard) return [verdict('unknown', 'multicast-alone', facts)];
  if (direct.length > 0) return [verdict('fault', 'multicast-blocked', facts)];
  return [verdict('warning', 'discovery-silent', facts)];
}

/** Multicast of local discovery: the group is asked, and the hub directly, and both should answer. */
export const checkMulticast: Check = async ({ host, local }, { limitMs }) => {
  if (isIPv6(host)) return [];
  const [fromGroup, direct] = await Promise.all([
    askDiscovery(DISCOVERY_GROUP, limitMs, (found) => found.has(host)),
    askDiscovery(host, limitMs, (found) => found.size > 0),
  ]);
  const own = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
  return judgeMulticast({
    host,
    isLocal: local !== undefined,
    fromGroup: [...fromGroup.keys()],
    direct: [...direct.keys()],
    own,
  });
};

/** Asks a group or one host who publishes what; the answers by address. Ends early when `isEnough`. */
export function askDiscovery(
  to: string,
  limitMs: number,
  isEnough: (found: ReadonlyMap<string, ReadonlyMap<string, Buffer>>) => boolean,
): Promise<ReadonlyMap<string, ReadonlyMap<string, Buffer>>> {
  const found = new Map<string, ReadonlyMap<string, Buffer>>();
  return new Promise((resolve) => {
    // Not port 8888: unicast answers to it reach only one of the programs that share it (protocol/peer-discovery.md 5).
    const socket: Socket = createSocket('udp4');
    const end = (): void => {
      clearInterval(again);
      clearTimeout(late);
      socket.close();
      resolve(found);
    };
    const ask = (): void => socket.send(QUESTION, DISCOVERY_PORT, to, () => {});
    const again = setInterval(ask, ASK_EVERY_MS);
    const late = setTimeout(end, limitMs);
    socket.on('error', () => {});
    socket.on('message', (bytes, { address }) => {
      const packet = decodeDiscovery(bytes);
      if (typeof packet === 'string' || packet.kind !== 'announcement') return;
      found.set(address, packet.services);
      if (isEnough(found)) end();
    });
    socket.bind(0, ask);
  });
}
