import { type Bench, type BenchContext, type Row, row } from '../bench.js';
import { type DhtProgram, startDhtTarget } from './dht-target.js';

const PROGRAMS: readonly DhtProgram[] = ['atoll', 'dhtnode'];
const STARTS_PER_ROUND = 5;

/** Time from start to answering. */
export const bench: Bench = {
  name: 'dht-start',
  title: 'DHT node: from start to answering',
  other: 'dhtnode',
  packages: ['dhtnode'],
  how:
    'From the spawn of `atoll dhtnode -s -U` or `dhtnode -s -U` to the first answer to a ping, which is sent every ' +
    '3 ms. Five starts in a round, rounds alternate; the median of all starts.',
  run,
};

async function run({ rounds, say }: BenchContext): Promise<readonly Row[]> {
  const figures: Record<string, number[]> = {};
  for (let round = 1; round <= rounds; round++) {
    for (const program of PROGRAMS) {
      for (let start = 0; start < STARTS_PER_ROUND; start++) {
        const { process, startMs } = await startDhtTarget(program);
        await process.stop();
        figures[program] = [...(figures[program] ?? []), startMs];
      }
      say(`round ${round}: ${program} ${figures[program]?.slice(-STARTS_PER_ROUND).map(Math.round).join(', ')} ms`);
    }
  }
  const target = { of: 'atoll', is: 'at most', limit: 300 } as const;
  return [row('start to the first answer', 'ms', figures.atoll ?? [], figures.dhtnode, target)];
}
