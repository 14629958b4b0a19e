import { setTimeout as wait } from 'node:timers/promises';
import type { TurnClient, TurnTransportKind } from '@atoll/testkit';
import type { GroupSocket } from '@atoll/udp';
import type { TurnTarget } from './turn-target.js';

const CHANNEL = 0x4000;
const BUFFER_BYTES = 1_000_000;
/** Until what is under way has arrived, ms. */
const SETTLE_MS = 300;

/** A client with a channel to a peer, which is a socket here. */
export interface Pair {
  readonly client: TurnClient;
  readonly peer: GroupSocket;
  /** Packets that came to the peer. */
  arrived: number;
}

/** Allocations with a bound channel each. */
export async function pairs(target: TurnTarget, count: number, kind: TurnTransportKind = 'udp'): Promise<Pair[]> {
  const made: Pair[] = [];
  for (const client of await target.allocate(count, kind)) {
    const options = { family: 4, address: '127.0.0.1', port: 0, bufferBytes: BUFFER_BYTES } as const;
    const peer = await target.group.open(options, { receiveRange() {} });
    const pair: Pair = { client, peer, arrived: 0 };
    peer.handler = { receiveRange: () => void pair.arrived++ };
    await client.bind(CHANNEL, peer.local);
    made.push(pair);
  }
  return made;
}

export interface RelayLoad {
  /** Of the data of a packet. */
  readonly bytes: number;
  /** Packets that a client and its peer send each other at once. */
  readonly burst: number;
  /** From one burst of a pair to its next, ms. */
  readonly everyMs: number;
  /** The pairs do not send all at once but in so many groups, spread over the time. */
  readonly groups: number;
}

/** Sends for a while both ways; gives packets that came through for each CPU second of the server, and the part lost. */
export async function relay(
  target: TurnTarget,
  all: readonly Pair[],
  { bytes, burst, everyMs, groups }: RelayLoad,
  seconds: number,
): Promise<{ perCpuSecond: number; lost: number }> {
  const data = Buffer.alloc(bytes);
  const frame = all[0]?.client.frame(CHANNEL, data) ?? data;
  for (const pair of all) {
    pair.arrived = 0;
    pair.client.receivedPackets = 0;
  }
  let sent = 0;
  const share = Math.ceil(all.length / groups);
  const before = target.process.cpuSeconds();
  const begin = performance.now();
  for (let step = 0; performance.now() - begin < 1000 * seconds; step++) {
    const from = (step % groups) * share;
    for (const { client, peer } of all.slice(from, from + share)) {
      for (let n = 0; n < burst; n++) client.send(frame);
      for (let n = 0; n < burst; n++) peer.sendRange(data, 0, bytes, client.relayed);
      sent += 2 * burst;
    }
    target.group.flush();
    await wait(Math.max(0, begin + ((step + 1) * everyMs) / groups - performance.now()));
  }
  await wait(SETTLE_MS);
  const cpuSeconds = target.process.cpuSeconds() - before;
  const through = all.reduce((sum, { arrived, client }) => sum + arrived + client.receivedPackets, 0);
  return { perCpuSecond: through / cpuSeconds, lost: 1 - through / sent };
}

/** One-way latencies, ms, of packets that clients send to their peers at this rate; `isDirect` without the server. */
export async function latencies(
  target: TurnTarget,
  all: readonly Pair[],
  options: { readonly bytes: number; readonly perSecond: number; readonly isDirect: boolean },
  seconds: number,
): Promise<number[]> {
  const { bytes, perSecond, isDirect } = options;
  const figures: number[] = [];
  const frame = all[0]?.client.frame(CHANNEL, Buffer.alloc(bytes)) ?? Buffer.alloc(0);
  const data = frame.subarray(frame.length - bytes);
  for (const { peer } of all) {
    peer.handler = {
      receiveRange: (memory, start) => void figures.push(performance.now() - memory.readDoubleBE(start)),
    };
  }
  const begin = performance.now();
  let sent = 0;
  while (performance.now() - begin < 1000 * seconds) {
    const due = ((performance.now() - begin) / 1000) * perSecond;
    for (; sent < due; sent++) {
      const { client, peer } = all[sent % all.length] as Pair;
      data.writeDoubleBE(performance.now(), 0);
      if (isDirect) peer.sendRange(data, 0, bytes, peer.local);
      else client.send(frame);
    }
    target.group.flush();
    await wait(1);
  }
  await wait(SETTLE_MS);
  return figures;
}
