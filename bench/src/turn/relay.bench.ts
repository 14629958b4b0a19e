import type { TurnTransportKind } from '@atoll/testkit';
import { type Bench, type BenchContext, type Row, row, type Target } from '../bench.js';
import { pairs, type RelayLoad, relay } from './turn-load.js';
import { TURN_PROGRAMS, type TurnProgram, TurnTarget } from './turn-target.js';

const atLeast = (limit: number): Target => ({ of: 'ratio', is: 'at least', limit });

interface Load extends RelayLoad {
  readonly what: string;
  readonly kind: TurnTransportKind;
  readonly clients: number;
  readonly target: Target;
}

const LOADS: readonly Load[] = [
  {
    what: '1,000 bytes, channels over UDP',
    kind: 'udp',
    clients: 64,
    bytes: 1000,
    burst: 1,
    everyMs: 4,
    groups: 1,
    target: atLeast(1.3),
  },
  {
    what: 'video: 30 packets of 1,200 bytes every 33 ms, 200 clients',
    kind: 'udp',
    clients: 200,
    bytes: 1200,
    burst: 30,
    everyMs: 33,
    groups: 33,
    target: atLeast(2),
  },
  {
    what: '1,000 bytes over TLS',
    kind: 'tls',
    clients: 32,
    bytes: 1000,
    burst: 1,
    everyMs: 8,
    groups: 2,
    target: atLeast(0.8),
  },
  {
    what: '1,000 bytes over DTLS',
    kind: 'dtls',
    clients: 32,
    bytes: 1000,
    burst: 1,
    everyMs: 8,
    groups: 2,
    target: atLeast(0.8),
  },
];
const WARM_UP_SECONDS = 2;

/** Packets relayed per second of processor time. */
export const bench: Bench = {
  name: 'turn-relay',
  title: 'TURN: packets relayed per CPU-second',
  other: 'coturn',
  packages: ['coturn'],
  how:
    'A server (`atoll turn`, `turnserver`, both with the same options and one process) relays on the loopback interface ' +
    'between clients with a channel each and their peers, both of which send; what is counted is what arrives. The ' +
    'processor time is that of all threads of the server, in user code and kernel, from `/proc/PID/stat`. A new server ' +
    'for each load, which runs 2 s before it is measured; rounds alternate, medians.',
  run,
};

async function run({ rounds, seconds, say }: BenchContext): Promise<readonly Row[]> {
  const figures = new Map<string, number[]>();
  for (let round = 1; round <= rounds; round++) {
    for (const load of LOADS) {
      for (const program of TURN_PROGRAMS) {
        const { perCpuSecond, lost } = await measure(program, load, seconds);
        const name = `${program} ${load.what}`;
        figures.set(name, [...(figures.get(name) ?? []), perCpuSecond]);
        say(`round ${round}: ${name}: ${Math.round(perCpuSecond)} a CPU-second, ${(100 * lost).toFixed(1)} % lost`);
      }
    }
  }
  return LOADS.map(({ what, target }) =>
    row(what, 'packets/CPU-s', figures.get(`atoll ${what}`) ?? [], figures.get(`coturn ${what}`), target),
  );
}

async function measure(program: TurnProgram, load: Load, seconds: number) {
  await using target = await TurnTarget.start(program);
  const all = await pairs(target, load.clients, load.kind);
  await relay(target, all, load, WARM_UP_SECONDS);
  const figures = await relay(target, all, load, seconds);
  for (const { client, peer } of all) {
    client.close();
    peer.close();
  }
  return figures;
}
