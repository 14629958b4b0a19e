import { setTimeout as wait } from 'node:timers/promises';
import { type Bench, type BenchContext, type Row, row, type Target } from '../bench.js';
import { type DhtProgram, startDhtTarget } from './dht-target.js';
import { LoadProcess } from './load-process.js';

const PROGRAMS: readonly DhtProgram[] = ['atoll', 'dhtnode'];
const STEP_VALUES = 10_000;
const STEPS = 5;
const VALUE_BYTES = 1000;
const TARGET: Target = { of: 'ratio', is: 'at most', limit: 1.5 };
/** Queries before the first look, so that the memory of a busy node itself is there already. */
const WARM_UP_MS = 2000;
const SETTLE_MS = 500;
const MB = 1e6;

/** Resident memory for stored values. */
export const bench: Bench = {
  name: 'dht-memory',
  title: 'DHT node: memory for stored values',
  other: 'dhtnode',
  packages: ['dhtnode'],
  how:
    'Values of 1 kB, each under a key of its own, are put from another process: 50,000 in steps of 10,000, after two ' +
    'seconds of finds as a warm-up. The figure is the growth of the resident memory of the process from before the ' +
    'first put to after the last, divided by the steps. A new process each round; medians.',
  run,
};

async function run({ rounds, say }: BenchContext): Promise<readonly Row[]> {
  const figures: Record<string, number[]> = {};
  const empty: Record<string, number[]> = {};
  for (let round = 1; round <= rounds; round++) {
    for (const program of PROGRAMS) {
      const { started, grown } = await measure(program);
      say(`round ${round}: ${program} ${(started / MB).toFixed(1)} MB empty, ${(grown / MB).toFixed(1)} MB for 10,000`);
      figures[program] = [...(figures[program] ?? []), grown / MB];
      empty[program] = [...(empty[program] ?? []), started / MB];
    }
  }
  return [
    row('10,000 stored values of 1 kB', 'MB', figures.atoll ?? [], figures.dhtnode, TARGET),
    row('the node before the first value, after a warm-up', 'MB', empty.atoll ?? [], empty.dhtnode),
  ];
}

async function measure(program: DhtProgram): Promise<{ readonly started: number; readonly grown: number }> {
  const { process, port } = await startDhtTarget(program);
  await using _process = process;
  await using load = await LoadProcess.open(port);
  await load.start('find');
  await wait(WARM_UP_MS);
  await load.pause();
  await wait(SETTLE_MS);
  const started = process.residentBytes();
  for (let step = 0; step < STEPS; step++) await load.store(STEP_VALUES, VALUE_BYTES);
  await wait(SETTLE_MS);
  return { started, grown: (process.residentBytes() - started) / STEPS };
}
