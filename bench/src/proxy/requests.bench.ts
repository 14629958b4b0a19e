import { setTimeout as wait } from 'node:timers/promises';
import { type Bench, type BenchContext, type Row, row, type Target } from '../bench.js';
import type { RequestKind } from './proxy-load.js';
import { ProxyLoadProcess } from './proxy-load-process.js';
import { PROXY_PROGRAMS, type ProxyProgram, ProxyTarget } from './proxy-target.js';

const TARGET: Target = { of: 'ratio', is: 'at least', limit: 2 };
const KINDS: readonly { readonly kind: RequestKind; readonly what: string; readonly target?: Target }[] = [
  { kind: 'get', what: 'get (a value of 100 bytes)', target: TARGET },
  { kind: 'put', what: 'put (a new value of 100 bytes)', target: TARGET },
  { kind: 'info', what: 'node info' },
];
/** The proxy works so long before it is measured: caches are warm, code is compiled, all nodes are good ones. */
const WARM_UP_MS = 6000;

/** Requests answered per second of processor time. */
export const bench: Bench = {
  name: 'proxy-requests',
  title: 'DHT proxy: requests answered per CPU-second',
  other: 'dhtnode',
  packages: ['dhtnode'],
  how:
    'A proxy (`atoll dhtnode -s -U --proxyserver`, `dhtnode -s -U --proxyserver`) on a DHT of eight `dhtnode -s -U`, ' +
    'new for each measurement and joined through the first of them, is asked by another process over 16 connections ' +
    'that are kept open, one request at a time on each. Gets are for 256 keys with a value of 100 bytes each, which ' +
    'a tenth node had put; puts bring a new value under one of 4096 keys. Each kind runs 6 s before it is ' +
    'measured, so that the proxy’s node has answers of all others. The processor time is that of all threads of the ' +
    'proxy, in user code and kernel, from `/proc/PID/stat`, with what its node does. Rounds alternate, medians.',
  run,
};

async function run({ rounds, seconds, say }: BenchContext): Promise<readonly Row[]> {
  const figures = new Map<string, number[]>();
  for (let round = 1; round <= rounds; round++) {
    for (const program of PROXY_PROGRAMS) {
      for (const [kind, perSecond] of await measure(program, seconds, say)) {
        const name = `${program} ${kind}`;
        figures.set(name, [...(figures.get(name) ?? []), perSecond]);
        say(`round ${round}: ${program} ${kind}: ${Math.round(perSecond)} a CPU-second`);
      }
    }
  }
  return KINDS.map(({ kind, what, target }) =>
    row(what, 'requests/CPU-s', figures.get(`atoll ${kind}`) ?? [], figures.get(`dhtnode ${kind}`), target),
  );
}

async function measure(
  program: ProxyProgram,
  seconds: number,
  say: (line: string) => void,
): Promise<Map<RequestKind, number>> {
  await using target = await ProxyTarget.start(program);
  await using load = await ProxyLoadProcess.open(target);
  const figures = new Map<RequestKind, number>();
  for (const { kind } of KINDS) {
    await load.start(kind);
    await wait(WARM_UP_MS);
    const before = await load.count();
    const cpuBefore = target.process.cpuSeconds();
    await wait(1000 * seconds);
    const after = await load.count();
    const cpuSeconds = target.process.cpuSeconds() - cpuBefore;
    await load.pause();
    const failed = after.failed - before.failed;
    if (failed > 0) say(`${program} ${kind}: ${failed} of ${after.answered - before.answered} requests failed`);
    figures.set(kind, (after.answered - failed - before.answered) / cpuSeconds);
  }
  return figures;
}
