import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { Endpoint } from '@atoll/base';
import { eventually, SeededRandom, TurnClient, TurnRefusal, type TurnTransportKind } from '@atoll/testkit';
import { type DatagramGroup, openDatagramGroup } from '@atoll/udp';
import { ATOLL, Scratch } from '../interop/turn-server-process.js';

const HOST = '127.0.79.1';
const PORT = 34_880;
const TLS_PORT = 34_881;
const METRICS_PORT = 39_642;
const CHANNEL = 0x4000;
const PAGE_BYTES = 4096;
const TICK_MS = 1000;
/** Clients of a thousand that are replaced each second. */
const REPLACED_PER_MILLE = 15;
/** Of the way of clients: nine of ten by UDP, the rest by TCP and TLS. */
const KINDS: readonly TurnTransportKind[] = [
  'udp',
  'udp',
  'udp',
  'udp',
  'udp',
  'udp',
  'udp',
  'udp',
  'udp',
  'tcp',
  'udp',
  'udp',
  'udp',
  'udp',
  'udp',
  'udp',
  'udp',
  'udp',
  'udp',
  'tls',
];
/** Allocations live so long without a Refresh, s: those of clients that vanish must not pile up. */
const LIFETIME_SECONDS = 30;
/** A client says something, and renews its allocation, three times in that time. */
const SILENCE_MS = (1000 * LIFETIME_SECONDS) / 3;
const LIMIT_MS = 60_000;
/**
 * What the resident memory may grow by from the second third of the time to its end: part of it, and bytes. The lowest of
 * each third is compared: from one collection to the next it rises by a third of itself, and more on a busy machine.
 */
const GROWTH = 1.15;
const GROWTH_BYTES = 16_000_000;
/** Descriptors that may be more than before the first client: a log, a connection that closes. */
const MORE_DESCRIPTORS = 5;

export interface SoakFigures {
  readonly minutes: number;
  readonly allocations: number;
  readonly clientsThatCame: number;
  readonly packetsThatCameBack: number;
  readonly memoryAfterAThirdMb: number;
  readonly memoryAtTheEndMb: number;
  readonly descriptorsBefore: number;
  readonly descriptorsAtTheMost: number;
  readonly descriptorsAfter: number;
}

/** Runs a TURN server with clients that come, talk and leave; throws when it keeps anything of those that left. */
export async function soakTurn(
  minutes: number,
  allocations: number,
  say: (line: string) => void,
): Promise<SoakFigures> {
  using scratch = await Scratch.make();
  const group = openDatagramGroup();
  const server = await start(scratch);
  try {
    return await soak({ server, group, minutes, allocations, say });
  } finally {
    const ended = once(server, 'exit');
    server.kill('SIGTERM');
    await ended;
    group.close();
  }
}

interface Soak {
  readonly server: ChildProcess;
  readonly group: DatagramGroup;
  readonly minutes: number;
  readonly allocations: number;
  readonly say: (line: string) => void;
}

async function soak({ server, group, minutes, allocations, say }: Soak): Promise<SoakFigures> {
  const pid = server.pid ?? 0;
  const random = new SeededRandom(1);
  const clients: TurnClient[] = [];
  const heardMs = new WeakMap<TurnClient, number>();
  let came = 0;
  let back = 0;
  const join = async (): Promise<void> => {
    const client = await open(group, KINDS[came++ % KINDS.length] ?? 'udp');
    client.onData = () => void back++;
    try {
      await client.allocate();
    } catch (error) {
      client.close();
      // From the port of one that vanished, whose allocation is still there: another port, as any client would.
      if (error instanceof TurnRefusal && error.code === 437) return join();
      throw error;
    }
    await client.bind(CHANNEL, client.relayed);
    heardMs.set(client, performance.now());
    clients.push(client);
  };
  const leave = async (): Promise<void> => {
    const [client] = clients.splice(random.uint32() % clients.length, 1);
    // A third vanishes without a word.
    if (client !== undefined && random.uint32() % 3 > 0 && !client.isClosed) await client.refresh(0);
    client?.close();
  };
  const descriptorsBefore = descriptors(pid);
  while (clients.length < allocations) {
    await Promise.all(Array.from({ length: Math.min(20, allocations - clients.length) }, join));
  }
  const words = Buffer.from('still here');
  const memory: number[] = [];
  let descriptorsAtTheMost = 0;
  const begin = performance.now();
  for (let tick = 0; performance.now() - begin < 60_000 * minutes; tick++) {
    const due = begin + (tick + 1) * TICK_MS;
    const change = Math.ceil((allocations * REPLACED_PER_MILLE) / 1000);
    await Promise.all(Array.from({ length: change }, leave));
    await Promise.all(Array.from({ length: change }, join));
    // Those that were not heard of for the longest time stand first.
    const count = clients.findIndex((client) => (heardMs.get(client) ?? 0) > performance.now() - SILENCE_MS);
    const speaking = clients.splice(0, count < 0 ? clients.length : count);
    for (const client of speaking) client.send(client.frame(CHANNEL, words));
    await Promise.all(speaking.map((client) => client.refresh(LIFETIME_SECONDS)));
    for (const client of speaking) heardMs.set(client, performance.now());
    clients.push(...speaking);
    memory.push(residentBytes(pid));
    descriptorsAtTheMost = Math.max(descriptorsAtTheMost, descriptors(pid));
    if (tick % 30 === 0) {
      say(
        `${Math.round((performance.now() - begin) / 1000)} s: ${Math.round((memory.at(-1) ?? 0) / 1e6)} MB, ${descriptors(pid)} descriptors, ${came} clients came`,
      );
    }
    await wait(Math.max(0, due - performance.now()));
  }
  const third = Math.floor(memory.length / 3);
  const early = lowest(memory.slice(third, 2 * third));
  const late = lowest(memory.slice(2 * third));
  for (const client of clients) client.close();
  const nobody = async (): Promise<boolean> => (await openAllocations()) === 0;
  await eventually(nobody, 'the allocations of those who left end', LIMIT_MS + 1000 * LIFETIME_SECONDS);
  const isClean = (): boolean => descriptors(pid) <= descriptorsBefore + MORE_DESCRIPTORS;
  await eventually(isClean, `the server has as many descriptors as before (${descriptorsBefore})`, LIMIT_MS);
  if (late > GROWTH * early + GROWTH_BYTES) {
    throw new Error(`the memory grew from ${Math.round(early / 1e6)} MB to ${Math.round(late / 1e6)} MB`);
  }
  if (back === 0) throw new Error('nothing that was sent came back');
  return {
    minutes,
    allocations,
    clientsThatCame: came,
    packetsThatCameBack: back,
    memoryAfterAThirdMb: Math.round(early / 1e6),
    memoryAtTheEndMb: Math.round(late / 1e6),
    descriptorsBefore,
    descriptorsAtTheMost,
    descriptorsAfter: descriptors(pid),
  };
}

async function start(scratch: Scratch): Promise<ChildProcess> {
  const where = ['-L', HOST, '-p', String(PORT), '--tls-listening-port', String(TLS_PORT), '--allow-loopback-peers'];
  const who = ['-a', '-u', 'ring:ring', '-r', 'ring', '--max-allocate-lifetime', String(LIFETIME_SECONDS)];
  const more = [
    '--prometheus',
    '--prometheus-port',
    String(METRICS_PORT),
    '-l',
    scratch.file('log'),
    '--no-stdout-log',
  ];
  const server = spawn(process.execPath, [ATOLL, 'turn', '-n', ...where, ...who, ...more], {
    env: { ...process.env, XDG_STATE_HOME: scratch.path },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  process.once('exit', () => server.kill('SIGKILL'));
  const isServing = (): Promise<boolean> =>
    openAllocations().then(
      () => true,
      () => false,
    );
  await eventually(isServing, 'the server serves', LIMIT_MS);
  return server;
}

function open(group: DatagramGroup, kind: TurnTransportKind): Promise<TurnClient> {
  const server = Endpoint.from(HOST, kind === 'tls' ? TLS_PORT : PORT);
  if (server === undefined) throw new Error(`${HOST} is no address`);
  return TurnClient.open({ kind, server, group, user: 'ring', password: 'ring', address: HOST });
}

async function openAllocations(): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${METRICS_PORT}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith('turn_total_allocations{'));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

function residentBytes(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * PAGE_BYTES;
}

function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function lowest(figures: readonly number[]): number {
  return figures.reduce((least, figure) => Math.min(least, figure), Number.POSITIVE_INFINITY);
}
