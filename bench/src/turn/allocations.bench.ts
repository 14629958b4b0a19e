import { type Bench, type BenchContext, type Row, row } from '../bench.js';
import { TURN_PROGRAMS, type TurnProgram, TurnTarget } from './turn-target.js';

const WARM_UP = 4000;
const COUNT = 4000;

/** What an allocation costs. */
export const bench: Bench = {
  name: 'turn-allocations',
  title: 'TURN: allocations',
  other: 'coturn',
  packages: ['coturn'],
  how:
    `A new server in each round. ${COUNT} clients over UDP make an allocation each, 16 at a time, with the two requests ` +
    'that it takes (challenge and answer), and give it back: so the server is warm. Then as many others make allocations ' +
    'that stay: processor time of the server for each, with the kernel’s, from `/proc/PID/stat`. The memory is the growth ' +
    'of the resident memory of another new server from 500 allocations to 4500. Rounds alternate, medians.',
  run,
};

async function run({ rounds, say }: BenchContext): Promise<readonly Row[]> {
  const figures: Record<TurnProgram, { perCpuSecond: number[]; bytes: number[] }> = {
    atoll: { perCpuSecond: [], bytes: [] },
    coturn: { perCpuSecond: [], bytes: [] },
  };
  for (let round = 1; round <= rounds; round++) {
    for (const program of TURN_PROGRAMS) {
      const perCpuSecond = await speed(program);
      const bytes = await memory(program);
      figures[program].perCpuSecond.push(perCpuSecond);
      figures[program].bytes.push(bytes);
      say(`round ${round}: ${program}: ${Math.round(perCpuSecond)} a CPU-second, ${Math.round(bytes)} bytes`);
    }
  }
  const { atoll, coturn } = figures;
  return [
    row('allocations', 'allocations/CPU-s', atoll.perCpuSecond, coturn.perCpuSecond, {
      of: 'ratio',
      is: 'at least',
      limit: 1,
    }),
    row('memory of an idle allocation', 'bytes', atoll.bytes, coturn.bytes, { of: 'ratio', is: 'at most', limit: 1.5 }),
  ];
}

async function speed(program: TurnProgram): Promise<number> {
  await using target = await TurnTarget.start(program);
  await target.release(await target.allocate(WARM_UP));
  const before = target.process.cpuSeconds();
  await target.allocate(COUNT);
  return COUNT / (target.process.cpuSeconds() - before);
}

async function memory(program: TurnProgram): Promise<number> {
  await using target = await TurnTarget.start(program);
  await target.allocate(500);
  const before = target.process.residentBytes();
  await target.allocate(COUNT);
  return (target.process.residentBytes() - before) / COUNT;
}
