import { setTimeout as wait } from 'node:timers/promises';
import { type Bench, type BenchContext, percentile, type Row, row, type Target } from '../bench.js';
import { ProxyLoadProcess } from './proxy-load-process.js';
import { PROXY_PROGRAMS, type ProxyProgram, ProxyTarget } from './proxy-target.js';

const KEYS = 16;
const WARM_UP_PUTS = 480;
const PUTS = 480;
const NOT_LONGER: Target = { of: 'ratio', is: 'at most', limit: 1 };
/** Listens that are opened before the first look at the memory, and those between the first and the last look. */
const FIRST_LISTENS = 500;
const LISTENS = 2000;
const SETTLE_MS = 3000;
const KB = 1000;
const MEMORY: Target = { of: 'atoll', is: 'at most', limit: 20 };

interface Figures {
  readonly p50: number[];
  readonly p99: number[];
  readonly ownKey: number[];
  readonly oneKey: number[];
}

/** How long a value takes to a listener, and what an open listen costs. */
export const bench: Bench = {
  name: 'proxy-listen',
  title: 'DHT proxy: listens',
  other: 'dhtnode',
  packages: ['dhtnode'],
  how:
    'The same proxies and DHTs as for the requests. A tenth node puts 100 bytes, one put after the other, under 16 ' +
    'keys in turn, each of which has a listener on the proxy: the time is from the begin of the put to the line at the ' +
    'listener, 480 puts after as many to warm up. The memory of a listen is the growth of the resident memory of the proxy ' +
    'while 2000 listens are opened, after 500 that are not counted, each on a connection of its own: to 2000 keys, or ' +
    'all to one. A new process for each figure, rounds alternate, medians (of the percentiles of the rounds).',
  run,
};

async function run({ rounds, say }: BenchContext): Promise<readonly Row[]> {
  const all: Record<ProxyProgram, Figures> = {
    atoll: { p50: [], p99: [], ownKey: [], oneKey: [] },
    dhtnode: { p50: [], p99: [], ownKey: [], oneKey: [] },
  };
  for (let round = 1; round <= rounds; round++) {
    for (const program of PROXY_PROGRAMS) {
      const figures = all[program];
      const latencies = await measureLatencies(program);
      const [p50, p99] = [percentile(latencies, 50), percentile(latencies, 99)];
      figures.p50.push(p50);
      figures.p99.push(p99);
      const ownKey = await measureMemory(program, false);
      const oneKey = await measureMemory(program, true);
      figures.ownKey.push(ownKey);
      figures.oneKey.push(oneKey);
      say(
        `round ${round}: ${program} p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)} ms of ${latencies.length} lines; ` +
          `${ownKey.toFixed(1)} kB a listen to a key of its own, ${oneKey.toFixed(1)} kB to one key`,
      );
    }
  }
  const { atoll, dhtnode } = all;
  return [
    row('put on the DHT to the line, p50', 'ms', atoll.p50, dhtnode.p50, NOT_LONGER),
    row('put on the DHT to the line, p99', 'ms', atoll.p99, dhtnode.p99, NOT_LONGER),
    row('memory of a listen to a key of its own', 'kB', atoll.ownKey, dhtnode.ownKey, MEMORY),
    row('memory of a listen to a key that others listen to', 'kB', atoll.oneKey, dhtnode.oneKey, MEMORY),
  ];
}

async function measureLatencies(program: ProxyProgram): Promise<readonly number[]> {
  await using target = await ProxyTarget.start(program);
  await using load = await ProxyLoadProcess.open(target);
  return await load.lineLatencies(KEYS, WARM_UP_PUTS, PUTS);
}

async function measureMemory(program: ProxyProgram, isOneKey: boolean): Promise<number> {
  await using target = await ProxyTarget.start(program);
  await using load = await ProxyLoadProcess.open(target);
  await load.hold(FIRST_LISTENS, isOneKey);
  await wait(SETTLE_MS);
  const before = target.process.residentBytes();
  await load.hold(LISTENS, isOneKey);
  await wait(SETTLE_MS);
  return (target.process.residentBytes() - before) / LISTENS / KB;
}
