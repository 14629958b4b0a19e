import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Endpoint } from '@atoll/base';
import { eventually, TurnClient, TurnRefusal, type TurnTransportKind } from '@atoll/testkit';
import { openDatagramGroup } from '@atoll/udp';
import { ATOLL, Scratch } from './turn-server-process.js';

// On loopback addresses of its own: what is asked of the kernel here is the same everywhere.
const HOST = '127.0.77.1';
const DRAINED_HOST = '127.0.77.2';
const PEER_HOST = '127.0.77.3';
const PEER_PORT = 34_785;
const PORT = 34_780;
const TLS_PORT = 34_781;
const METRICS_PORT = 39_641;
const LIMIT_MS = 60_000;
const QUOTA = 150;
const CHANNEL = 0x4000;
const group = openDatagramGroup();
let scratch: Scratch;
let turn: TurnProcess;

/** `atoll turn` with two processes. */
class TurnProcess {
  readonly child: ChildProcess;
  output = '';

  private constructor(host: string, more: readonly string[]) {
    const places = ['-L', host, '-p', String(PORT), '--tls-listening-port', String(TLS_PORT)];
    const users = ['-a', '-u', 'ring:ring', '-u', 'few:few', '-r', 'ring', '-q', String(QUOTA)];
    const args = [ATOLL, 'turn', '-n', '--relay-threads=2', '--allow-loopback-peers', ...places, ...users, ...more];
    this.child = spawn(process.execPath, args, {
      env: { ...process.env, XDG_STATE_HOME: scratch.path },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.child.stdout?.on('data', (chunk) => {
      this.output += String(chunk);
    });
  }

  static async start(host: string, ...more: string[]): Promise<TurnProcess> {
    const made = new TurnProcess(host, more);
    const isServing = (): boolean => /serves TURN in the realm ring with 2 processes/.test(made.output);
    await eventually(isServing, 'the server serves', LIMIT_MS);
    return made;
  }

  /** The processes that serve. */
  get workers(): number[] {
    const { pid } = this.child;
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').map(Number);
  }
}

before(async () => {
  scratch = await Scratch.make();
  turn = await TurnProcess.start(HOST, '--prometheus', '--prometheus-port', String(METRICS_PORT));
});

after(async () => {
  const ended = once(turn.child, 'exit');
  turn.child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
  group.close();
  scratch[Symbol.dispose]();
});

async function open(kind: TurnTransportKind, user = 'ring', address?: string, host = HOST): Promise<TurnClient> {
  const port = kind === 'udp' || kind === 'tcp' ? PORT : TLS_PORT;
  const server = Endpoint.from(host, port);
  assert.ok(server !== undefined);
  return TurnClient.open({ kind, server, group, user, password: user, address });
}

/** Runs coturn's own client and gives what it lost. */
async function uclient(...args: string[]): Promise<void> {
  const client = spawn('turnutils_uclient', ['-u', 'ring', '-w', 'ring', '-n', '5', '-l', '170', ...args, HOST]);
  let said = '';
  client.stdout.on('data', (chunk) => (said += String(chunk)));
  await once(client, 'close');
  const last = [...said.matchAll(/tot_send_msgs=(\d+), tot_recv_msgs=(\d+)/g)].at(-1);
  assert.ok(Number(last?.[1]) > 0 && last?.[1] === last?.[2], `${args.join(' ')}: ${said.slice(-2000)}`);
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${METRICS_PORT}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** Whether the client's allocation is still there: it sends to itself through its own relay. */
async function isAlive(client: TurnClient): Promise<boolean> {
  try {
    await client.refresh(600);
  } catch (error) {
    if (error instanceof TurnRefusal && error.code === 437) return false;
    throw error;
  }
  const before = client.receivedPackets;
  const came = (): boolean => {
    client.send(client.frame(CHANNEL, Buffer.from('still here?')));
    return client.receivedPackets > before;
  };
  await eventually(came, 'what a client sends itself comes back', LIMIT_MS);
  return true;
}

async function allocated(client: TurnClient): Promise<TurnClient> {
  await client.allocate();
  await client.bind(CHANNEL, client.relayed);
  return client;
}

test('turnutils_uclient loses nothing with two processes: reserved ports, TCP relays, TLS, DTLS', async () => {
  const peer = spawn('turnutils_peer', ['-L', PEER_HOST, '-p', String(PEER_PORT)], { stdio: 'ignore' });
  const echo = ['-e', PEER_HOST, '-r', String(PEER_PORT)];
  try {
    await Promise.all([
      // Without -c each second allocation asks for the port that the one before reserved, often at the other process.
      uclient(...echo, '-m', '12', '-p', String(PORT)),
      uclient('-t', '-T', '-m', '8', '-p', String(PORT)),
      uclient(...echo, '-t', '-S', '-c', '-m', '4', '-p', String(TLS_PORT)),
      uclient(...echo, '-S', '-c', '-m', '8', '-p', String(TLS_PORT)),
    ]);
  } finally {
    peer.kill('SIGKILL');
  }
});

test('a process that is killed takes only its own clients with it, and another one takes new clients', async () => {
  const opening = Array.from({ length: 24 }, (_, n) => open(n % 2 === 0 ? 'udp' : 'tcp', 'ring', `127.0.78.${n + 1}`));
  const clients = await Promise.all((await Promise.all(opening)).map(allocated));
  const made = await metric('atoll_turn_allocations_made');
  const [killed = 0, spared = 0] = turn.workers;
  process.kill(killed, 'SIGKILL');
  await eventually(() => /worker \d serves again/.test(turn.output), 'another process serves', LIMIT_MS);
  assert.ok(turn.workers.length === 2 && turn.workers.includes(spared) && !turn.workers.includes(killed));
  const lost: TurnClient[] = [];
  const alive: TurnClient[] = [];
  for (const client of clients) (!client.isClosed && (await isAlive(client)) ? alive : lost).push(client);
  assert.ok(alive.length > 0 && lost.length > 0, `${alive.length} alive, ${lost.length} lost`);
  for (const client of lost.filter(({ isClosed }) => !isClosed)) {
    // From the same address and port, which lead to the process that took the place.
    assert.ok(await isAlive(await allocated(client)));
  }
  assert.ok((await metric('atoll_turn_allocations_made')) > made, 'what the killed process made still counts');
  for (const client of clients) {
    if (!client.isClosed) await client.refresh(0);
    client.close();
  }
});

test('quotas are shared by the processes', async () => {
  const clients = await Promise.all(Array.from({ length: QUOTA }, () => open('udp', 'few')));
  for (const client of clients) await client.allocate();
  const further = await open('udp', 'few');
  const isRefused = async (): Promise<boolean> => {
    try {
      await further.allocate();
      await further.refresh(0);
      return false;
    } catch (error) {
      return error instanceof TurnRefusal && error.code === 486;
    }
  };
  await eventually(isRefused, 'one more than the quota is refused', LIMIT_MS);
  await clients[0]?.refresh(0);
  await eventually(async () => !(await isRefused()), 'the place of one that left is free', LIMIT_MS);
  for (const client of clients.slice(1)) await client.refresh(0);
  for (const client of [...clients, further]) client.close();
});

test('signals reach every process: a new log, draining', async () => {
  const draining = await TurnProcess.start(DRAINED_HOST, '-l', scratch.file('log'));
  rmSync(scratch.file('log'));
  draining.child.kill('SIGHUP');
  await eventually(() => existsSync(scratch.file('log')), 'the log is opened anew', LIMIT_MS);
  const client = await allocated(await open('udp', 'ring', undefined, DRAINED_HOST));
  draining.child.kill('SIGUSR1');
  const late = await open('udp', 'ring', undefined, DRAINED_HOST);
  const isRefused = async (): Promise<boolean> => {
    try {
      await late.allocate();
      await late.refresh(0);
      return false;
    } catch (error) {
      return error instanceof TurnRefusal && error.code === 508;
    }
  };
  await eventually(isRefused, 'no new allocations are made', LIMIT_MS);
  assert.ok(await isAlive(client));
  const ended = once(draining.child, 'exit');
  await client.refresh(0);
  assert.deepEqual(await ended, [0, null]);
  client.close();
  late.close();
});
