import { type Bench, type BenchContext, percentile, type Row, row } from '../bench.js';
import { latencies, pairs, relay } from './turn-load.js';
import { TURN_PROGRAMS, type TurnProgram, TurnTarget } from './turn-target.js';

const CLIENTS = 64;
const BYTES = 1000;
const LOAD = { bytes: BYTES, burst: 1, everyMs: 4, groups: 1 };
const CAPACITY_SECONDS = 1;

/** What a relay adds to the way of a packet. */
export const bench: Bench = {
  name: 'turn-latency',
  title: 'TURN: added one-way latency under half load',
  other: 'coturn',
  packages: ['coturn'],
  how:
    `${CLIENTS} clients with a channel each send packets of 1,000 bytes to their peers on the loopback interface, at half ` +
    'the rate that coturn relays in one second of processor time. The latency is from the send of the client to the ' +
    'receipt of the peer, less the median of packets that are sent to the peer directly at the same rate: what a p99 has ' +
    'on top is added by the server. Rounds alternate; medians of the percentiles of the rounds.',
  run,
};

async function run({ rounds, seconds, say }: BenchContext): Promise<readonly Row[]> {
  const figures: Record<TurnProgram, { p50: number[]; p99: number[] }> = {
    atoll: { p50: [], p99: [] },
    coturn: { p50: [], p99: [] },
  };
  const perSecond = (await capacity()) / 2;
  say(`half load: ${Math.round(perSecond)} packets a second`);
  for (let round = 1; round <= rounds; round++) {
    for (const program of TURN_PROGRAMS) {
      const { p50, p99 } = await measure(program, perSecond, seconds);
      figures[program].p50.push(p50);
      figures[program].p99.push(p99);
      say(`round ${round}: ${program}: p50 ${p50.toFixed(3)} ms, p99 ${p99.toFixed(3)} ms`);
    }
  }
  const { atoll, coturn } = figures;
  return [
    row('added, p50', 'ms', atoll.p50, coturn.p50),
    row('added, p99', 'ms', atoll.p99, coturn.p99, { of: 'ratio', is: 'at most', limit: 1 }),
  ];
}

/** Packets that coturn relays in a second of processor time. */
async function capacity(): Promise<number> {
  await using target = await TurnTarget.start('coturn');
  const all = await pairs(target, CLIENTS);
  return (await relay(target, all, LOAD, CAPACITY_SECONDS)).perCpuSecond;
}

async function measure(program: TurnProgram, perSecond: number, seconds: number) {
  await using target = await TurnTarget.start(program);
  const all = await pairs(target, CLIENTS);
  const direct = await latencies(target, all, { bytes: BYTES, perSecond, isDirect: true }, seconds);
  await latencies(target, all, { bytes: BYTES, perSecond, isDirect: false }, seconds);
  const relayed = await latencies(target, all, { bytes: BYTES, perSecond, isDirect: false }, seconds);
  const base = percentile(direct, 50);
  return { p50: percentile(relayed, 50) - base, p99: percentile(relayed, 99) - base };
}
