import { setTimeout as wait } from 'node:timers/promises';
import { type Bench, type BenchContext, type Row, row, type Target } from '../bench.js';
import { type DhtProgram, startDhtTarget } from './dht-target.js';
import type { LoadKind } from './load-client.js';
import { LoadProcess } from './load-process.js';

const KINDS: readonly LoadKind[] = ['ping', 'find', 'get', 'put'];
const PROGRAMS: readonly DhtProgram[] = ['atoll', 'dhtnode', 'atoll-dgram'];
const NAMES: Readonly<Record<LoadKind, string>> = {
  ping: 'ping',
  find: 'find (8 nodes in the answer)',
  get: 'get (8 nodes and a stored value of 100 bytes)',
  put: 'put (a new key and value of 100 bytes each)',
};
const TARGET: Target = { of: 'ratio', is: 'at least', limit: 1.5 };
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
    'user code and kernel, from `/proc/PID/stat`. A new process for every figure, rounds alternate, medians. “Without ' +
    'batching” is the same node on `node:dgram` (`ATOLL_UDP=dgram`), as it runs where the native part cannot be built.',
  run,
};

async function run({ rounds, seconds, say }: BenchContext): Promise<readonly Row[]> {
  const figures = new Map<string, number[]>();
  for (let round = 1; round <= rounds; round++) {
    for (const kind of KINDS) {
      for (const program of PROGRAMS) {
        const perSecond = await measure(program, kind, seconds, say);
        say(`round ${round}: ${kind} ${program} ${Math.round(perSecond)} a CPU-second`);
        const name = `${kind} ${program}`;
        figures.set(name, [...(figures.get(name) ?? []), perSecond]);
      }
    }
  }
  const of = (kind: LoadKind, program: DhtProgram): number[] => figures.get(`${kind} ${program}`) ?? [];
  return [
    ...KINDS.map((kind) => row(NAMES[kind], 'queries/CPU-s', of(kind, 'atoll'), of(kind, 'dhtnode'), TARGET)),
    ...KINDS.map((kind) =>
      row(`${kind}, without batching`, 'queries/CPU-s', of(kind, 'atoll-dgram'), of(kind, 'dhtnode')),
    ),
  ];
}

async function measure(
  program: DhtProgram,
  kind: LoadKind,
  seconds: number,
  say: (line: string) => void,
): Promise<number> {
  const { process, port } = await startDhtTarget(program);
  await using _process = process;
  await using load = await LoadProcess.open(port);
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
