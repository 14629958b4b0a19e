import { setTimeout as wait } from 'node:timers/promises';
import { type Bench, type BenchContext, type Row, row, type Target } from '../bench.js';
import { type DhtProgram, startDhtTarget } from './dht-target.js';
import { FEW_BUSY_NODES, type LoadKind, type LoadShape, MANY_NODES } from './load-client.js';
import { LoadProcess } from './load-process.js';

interface Case {
  readonly what: string;
  readonly kind: LoadKind;
  readonly shape: LoadShape;
  /** Atoll as it runs where the native part of UDP cannot be built. */
  readonly isUnbatched?: boolean;
  readonly target?: Target;
}

const TARGET: Target = { of: 'ratio', is: 'at least', limit: 1.5 };
const CASES: readonly Case[] = [
  { what: 'ping', kind: 'ping', shape: FEW_BUSY_NODES, target: TARGET },
  { what: 'find (8 nodes in the answer)', kind: 'find', shape: FEW_BUSY_NODES, target: TARGET },
  { what: 'get (8 nodes and a value of 100 bytes)', kind: 'get', shape: FEW_BUSY_NODES, target: TARGET },
  { what: 'put (new key and value of 100 bytes)', kind: 'put', shape: FEW_BUSY_NODES, target: TARGET },
  { what: 'ping, 128 nodes in turn', kind: 'ping', shape: MANY_NODES },
  { what: 'get, 128 nodes in turn', kind: 'get', shape: MANY_NODES },
  { what: 'ping, without batching', kind: 'ping', shape: FEW_BUSY_NODES, isUnbatched: true },
  { what: 'find, without batching', kind: 'find', shape: FEW_BUSY_NODES, isUnbatched: true },
  { what: 'get, without batching', kind: 'get', shape: FEW_BUSY_NODES, isUnbatched: true },
  { what: 'put, without batching', kind: 'put', shape: FEW_BUSY_NODES, isUnbatched: true },
];
/** A node runs so long before it is measured: caches are warm and code is compiled. */
const WARM_UP_MS = 1500;

/** Queries answered per second of processor time. */
export const bench: Bench = {
  name: 'dht-queries',
  title: 'DHT node: queries answered per CPU-second',
  other: 'dhtnode',
  packages: ['dhtnode'],
  how:
    'One node (`atoll dhtnode -s -U`, `dhtnode -s -U`) on the loopback interface is asked by 16 nodes in another ' +
    'process that send in batches and keep at most 256 requests under way, so that it is always busy and nothing is ' +
    'lost. Answers are counted by the asking side; the processor time is that of all threads of the asked process, in ' +
    'user code and kernel, from `/proc/PID/stat`. A new process for every figure, rounds alternate, medians. Atoll ' +
    'takes and gives datagrams in batches (`recvmmsg`, `sendmmsg`), and runs of datagrams of one peer as one ' +
    '(`UDP_GRO`, `UDP_SEGMENT`); “128 nodes in turn” is the load in which there are no such runs, one request of each ' +
    'node at a time. “Without batching” is the same node on `node:dgram` (`ATOLL_UDP=dgram`), as it runs where the ' +
    'native part cannot be built.',
  run,
};

async function run({ rounds, seconds, say }: BenchContext): Promise<readonly Row[]> {
  const own = new Map<Case, number[]>();
  const others = new Map<string, number[]>();
  for (let round = 1; round <= rounds; round++) {
    for (const one of CASES) {
      const perSecond = await measure(one.isUnbatched ? 'atoll-dgram' : 'atoll', one, seconds, say);
      say(`round ${round}: ${one.what}: Atoll ${Math.round(perSecond)} a CPU-second`);
      own.set(one, [...(own.get(one) ?? []), perSecond]);
      if (one.isUnbatched) continue;
      const other = await measure('dhtnode', one, seconds, say);
      say(`round ${round}: ${one.what}: dhtnode ${Math.round(other)} a CPU-second`);
      others.set(nameOf(one), [...(others.get(nameOf(one)) ?? []), other]);
    }
  }
  return CASES.map((one) => row(one.what, 'queries/CPU-s', own.get(one) ?? [], others.get(nameOf(one)), one.target));
}

/** dhtnode has one way only: what is measured of it serves for Atoll with and without batching. */
function nameOf({ kind, shape }: Case): string {
  return `${kind} ${shape.nodes}`;
}

async function measure(
  program: DhtProgram,
  { kind, shape }: Case,
  seconds: number,
  say: (line: string) => void,
): Promise<number> {
  const { process, port } = await startDhtTarget(program);
  await using _process = process;
  await using load = await LoadProcess.open(port, shape);
  await load.start(kind);
  await wait(WARM_UP_MS);
  const before = await load.count();
  const cpuBefore = process.cpuSeconds();
  await wait(1000 * seconds);
  const after = await load.count();
  const cpuSeconds = process.cpuSeconds() - cpuBefore;
  if (after.lost > before.lost) say(`${program} ${kind}: ${after.lost - before.lost} requests were lost`);
  return (after.answered - before.answered) / cpuSeconds;
}
