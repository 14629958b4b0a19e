import { systemRandom } from '@atoll/base';
import { DhtNode, decodeMessage, Message, MessageEncoder, Value } from '@atoll/dht';
import { InfoHash } from '@atoll/identity';
import type { Check } from '../check.js';
import { type Verdict, verdict } from '../finding.js';
import { askUdp, type UdpOutcome } from '../probes/connected-udp.js';
import { bracketed } from '../target.js';

/** A probe's value is stored for one minute only (protocol/dht.md 12.1). */
const SHORT_LIVED_TYPE = 5;
/** A search takes longer than one answer. */
const SEARCH_LIMITS = 4;

interface DhtFacts {
  readonly host: string;
  readonly port: number;
  readonly ping: UdpOutcome;
  readonly givesBack: boolean;
}

/** Judges the way to a DHT node. */
export function judgeDht({ host, port, ping, givesBack }: DhtFacts): readonly Verdict[] {
  const facts = { host, port, address: `${bracketed(host)}:${port}` };
  if (ping === 'refused') return [verdict('fault', 'dht-closed', facts)];
  if (ping === 'silent') return [verdict('fault', 'dht-silent', facts)];
  return [givesBack ? verdict('good', 'dht-good', facts) : verdict('fault', 'dht-stores-nothing', facts)];
}

/** The hub's DHT node: a ping, then a value that goes in and comes out again. */
export const checkDht: Check = async ({ host, dht }, { limitMs }) => {
  if (dht === undefined) return [];
  const ping = await pingDht(host, dht.port, dht.network, limitMs);
  const givesBack = ping === 'answered' && (await givesValueBack(host, dht, SEARCH_LIMITS * limitMs));
  return judgeDht({ host, port: dht.port, ping, givesBack });
};

/** Pings a DHT node as one that wants to be remembered by nobody. */
export function pingDht(host: string, port: number, networkId: number, limitMs: number): Promise<UdpOutcome> {
  const tid = systemRandom.uint32();
  const id = new InfoHash(systemRandom.bytes(20).toString('latin1'));
  const encoder = new MessageEncoder({ id, networkId, isClient: true, userAgent: '' });
  return askUdp(host, port, {
    bytes: Buffer.from(encoder.ping(tid)),
    isAnswer(bytes) {
      const message = decodeMessage(bytes);
      return message instanceof Message && message.kind === 'reply' && message.tid === tid;
    },
    limitMs,
  });
}

async function givesValueBack(
  host: string,
  { port, network }: { readonly port: number; readonly network: number },
  limitMs: number,
): Promise<boolean> {
  const signal = AbortSignal.timeout(limitMs);
  const bootstrap = [`${bracketed(host)}:${port}`];
  await using node = await DhtNode.open({ port: 0, networkId: network, bootstrap, isClient: true });
  try {
    await node.connected(signal);
    const key = InfoHash.of(systemRandom.bytes(20));
    const value = Value.plain({ id: 1n, type: SHORT_LIVED_TYPE, data: systemRandom.bytes(8) });
    await node.put(key, value, { signal });
    const found = await node.get(key, { signal });
    return found.some((each) => each.equals(value));
  } catch {
    return false;
  }
}
