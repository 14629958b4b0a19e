import { execFile } from 'node:child_process';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Bench, type BenchContext, percentile, type Row, row, type Target } from '../bench.js';
import { type DhtProgram, type DhtTarget, startDhtTarget } from './dht-target.js';
import type { Latencies } from './latency-client.js';
import { OPENDHT_CLIENT } from './opendht-client.js';

const run = promisify(execFile);

type Client = 'atoll' | 'opendht';

const NODES = 32;
/** The nodes have found each other and answered each other by then. */
const SETTLE_MS = 45_000;
const WARM_UP = 30;
const OPERATIONS = 200;
const MAX_ROUNDS = 3;
const NETWORKS: readonly DhtProgram[] = ['atoll', 'dhtnode'];
const CLIENTS: readonly Client[] = ['atoll', 'opendht'];
const PERCENTS = [50, 99] as const;
const OPERATION_NAMES = { put: 'put', first: 'get, first value', done: 'get, all answers' } as const;
const TARGET: Target = { of: 'ratio', is: 'at most', limit: 1 };

/** Latency of get and put in a network of 32 nodes. */
export const bench: Bench = {
  name: 'dht-latency',
  title: 'DHT: latency of get and put in a network of 32 nodes',
  other: 'OpenDHT',
  packages: ['dhtnode', 'python3-opendht'],
  how:
    'Thirty-two nodes, a process each, on the loopback interface: all `atoll dhtnode -s -U` or all `dhtnode -s -U`, ' +
    'joined through the first and left alone for 45 s. A client of two further nodes puts 100 bytes under a random ' +
    'key with one and gets them with the other, 200 times after 30 to warm up; the put ends when all nodes that ' +
    'should have the value have acknowledged it. “All Atoll” is Atoll’s client on Atoll’s network beside OpenDHT’s ' +
    '(the Python binding) on OpenDHT’s; the other lines keep the client and change the network. Rounds alternate; ' +
    'medians of the percentiles of the rounds.',
  run: measureAll,
};

async function measureAll({ rounds, say }: BenchContext): Promise<readonly Row[]> {
  const figures = new Map<string, Latencies[]>();
  for (let round = 1; round <= Math.min(rounds, MAX_ROUNDS); round++) {
    for (const network of NETWORKS) {
      await measureNetwork(network, (client, latencies) => {
        const name = `${client} ${network}`;
        figures.set(name, [...(figures.get(name) ?? []), latencies]);
        const medians = (['put', 'first', 'done'] as const).map((what) => percentile(latencies[what], 50).toFixed(2));
        say(
          `round ${round}: network ${network}, client ${client}: medians of put, first, done ${medians.join(', ')} ms, ${latencies.failed} failed`,
        );
      });
    }
  }
  const rows = (name: string, own: string, other: string, target?: Target): Row[] =>
    (['put', 'first', 'done'] as const).flatMap((what) =>
      PERCENTS.map((percent) => {
        const of = (key: string): number[] =>
          (figures.get(key) ?? []).map((latencies) => percentile(latencies[what], percent));
        return row(`${name}: ${OPERATION_NAMES[what]}, p${percent}`, 'ms', of(own), of(other), target);
      }),
    );
  return [
    ...rows('all Atoll', 'atoll atoll', 'opendht dhtnode', TARGET),
    ...rows('Atoll’s client', 'atoll atoll', 'atoll dhtnode'),
    ...rows('OpenDHT’s client', 'opendht atoll', 'opendht dhtnode'),
  ];
}

async function measureNetwork(
  network: DhtProgram,
  done: (client: Client, latencies: Latencies) => void,
): Promise<void> {
  const nodes: DhtTarget[] = [];
  try {
    const first = await startDhtTarget(network);
    nodes.push(first);
    while (nodes.length < NODES) nodes.push(await startDhtTarget(network, ['-b', `127.0.0.1:${first.port}`]));
    await wait(SETTLE_MS);
    for (const client of CLIENTS) done(client, await measureClient(client, first.port));
  } finally {
    await Promise.all(nodes.map(({ process }) => process.stop()));
  }
}

async function measureClient(client: Client, port: number): Promise<Latencies> {
  const args = [port, WARM_UP, OPERATIONS].map(String);
  const command =
    client === 'atoll'
      ? [process.execPath, fileURLToPath(new URL('latency-client.js', import.meta.url)), ...args]
      : ['/usr/bin/python3', '-c', OPENDHT_CLIENT, ...args];
  const [program = '', ...rest] = command;
  const { stdout } = await run(program, rest, { maxBuffer: 1 << 24 });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Latencies;
}
