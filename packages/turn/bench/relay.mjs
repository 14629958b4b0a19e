// Relayed packets per second of the server's CPU, beside coturn: node packages/turn/bench/relay.mjs [atoll|coturn] [seconds]
// Everything runs on loopback. The load is the same for both; what counts is the CPU time the server took for it.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Endpoint } from '@atoll/base';
import { Attribute, decodeMessage, longTermKey, MessageWriter, Method } from '@atoll/stun';
import { openDatagramGroup } from '@atoll/udp';

const PORT = 23_478;
const TICKS = 100;
const HOST = '127.0.0.1';
const KEY = longTermKey('ring', 'ring', 'ring');
const cli = fileURLToPath(new URL('../../cli/bin/atoll.mjs', import.meta.url));
const server = Endpoint.from(HOST, PORT);
const group = openDatagramGroup();
let child;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function start(name) {
  const common = [
    '-L',
    HOST,
    '-p',
    String(PORT),
    '-u',
    'ring:ring',
    '-r',
    'ring',
    '-a',
    '--allow-loopback-peers',
    '--no-tls',
    '--no-dtls',
    '--no-cli',
  ];
  return name === 'atoll'
    ? spawn(
        process.execPath,
        [
          ...(process.env.NODE_ARGS?.split(' ') ?? []),
          cli,
          'turn',
          '-n',
          ...common,
          '-l',
          '/dev/null',
          '--no-stdout-log',
        ],
        { stdio: 'ignore' },
      )
    : spawn(
        'turnserver',
        [
          '-n',
          ...common,
          '-b',
          `/tmp/bench-${process.pid}.db`,
          '--log-file',
          '/dev/null',
          '--no-stdout-log',
          '--pidfile',
          `/tmp/bench-${process.pid}.pid`,
          '--max-port',
          '65000',
          ...(process.env.COTURN_ARGS?.split(' ') ?? []),
        ],
        { stdio: 'ignore' },
      );
}

/** CPU seconds of a process so far, and its resident memory in bytes. */
function usage(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return { cpu: (Number(fields[11]) + Number(fields[12])) / TICKS, rss: Number(fields[21]) * 4096 };
}

class Client {
  answers = new Map();
  received = 0;
  nonce = undefined;

  static async open() {
    const client = new Client();
    client.socket = await group.open(
      { family: 4, address: HOST, port: 0, bufferBytes: 1_000_000 },
      {
        receiveRange(memory, start, end) {
          if (memory[start] >= 0x40) {
            client.received++;
            return;
          }
          const message = decodeMessage(Buffer.from(memory.subarray(start, end)));
          if (typeof message !== 'string') client.answers.get(message.transactionId.toString('hex'))?.(message);
        },
      },
    );
    client.sink = await group.open(
      { family: 4, address: HOST, port: 0, bufferBytes: 1_000_000 },
      {
        receiveRange() {
          client.arrived++;
        },
      },
    );
    client.arrived = 0;
    return client;
  }

  async ask(method, fill) {
    const id = Buffer.from(Array.from({ length: 12 }, () => Math.floor(Math.random() * 256)));
    const writer = new MessageWriter(method, 'request', id);
    fill(writer);
    if (this.nonce !== undefined) {
      writer
        .add(Attribute.username, 'ring')
        .add(Attribute.realm, 'ring')
        .add(Attribute.nonce, this.nonce)
        .addIntegrity(KEY);
    }
    const bytes = writer.finish();
    for (let attempt = 0; attempt < 20; attempt++) {
      const answer = new Promise((resolve) => this.answers.set(id.toString('hex'), resolve));
      this.socket.sendRange(bytes, 0, bytes.length, server);
      const message = await Promise.race([answer, sleep(500)]);
      if (message !== undefined) {
        this.answers.clear();
        return message;
      }
    }
    throw new Error('the server does not answer');
  }

  async allocate() {
    const wish = (writer) => writer.add(Attribute.requestedTransport, 17);
    this.nonce = (await this.ask(Method.allocate, wish)).get(Attribute.nonce);
    const answer = await this.ask(Method.allocate, wish);
    this.relayed = answer.get(Attribute.xorRelayedAddress);
    if (this.relayed === undefined) throw new Error(`no allocation: ${answer.get(Attribute.errorCode)?.code}`);
  }

  async bind() {
    await this.ask(Method.channelBind, (writer) =>
      writer.add(Attribute.channelNumber, 0x4000).add(Attribute.xorPeerAddress, this.sink.local),
    );
  }
}

async function clients(count, isBound) {
  const all = [];
  for (let i = 0; i < count; i++) {
    const client = await Client.open();
    all.push(client);
  }
  // Sixteen at once: a server is not asked by one client after the other.
  const queue = [...all];
  const worker = async () => {
    for (let client = queue.pop(); client !== undefined; client = queue.pop()) {
      await client.allocate();
      if (isBound) await client.bind();
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  return all;
}

/** Sends bursts both ways and tells how many packets came through for each CPU second of the server. */
async function relay(pid, all, { bytes, burst, pauseMs, seconds, shares }) {
  const frame = Buffer.alloc(4 + bytes);
  frame.writeUInt16BE(0x4000, 0);
  frame.writeUInt16BE(bytes, 2);
  let sent = 0;
  for (const client of all) {
    client.arrived = 0;
    client.received = 0;
  }
  const before = usage(pid);
  const end = performance.now() + 1000 * seconds;
  let turn = 0;
  const share = Math.max(1, Math.floor(all.length / shares));
  while (performance.now() < end) {
    for (let i = 0; i < share; i++) {
      const client = all[turn++ % all.length];
      for (let n = 0; n < burst; n++) client.socket.sendRange(frame, 0, frame.length, server);
      for (let n = 0; n < burst; n++) client.sink.sendRange(frame, 4, frame.length, client.relayed);
      sent += 2 * burst;
    }
    group.flush();
    await sleep(pauseMs);
  }
  await sleep(300);
  const after = usage(pid);
  const through = all.reduce((sum, client) => sum + client.arrived + client.received, 0);
  const cpu = after.cpu - before.cpu;
  return {
    sent,
    through,
    lost: `${((100 * (sent - through)) / sent).toFixed(2)} %`,
    cpu,
    perCpuSecond: Math.round(through / cpu),
  };
}

async function measure(name, seconds) {
  child = start(name);
  await sleep(2500);
  const { pid } = child;
  const result = { name };
  await clients(500, false);
  const before = usage(pid);
  const count = 2500;
  await clients(count, false);
  const after = usage(pid);
  result.allocationsPerCpuSecond = Math.round(count / (after.cpu - before.cpu));
  result.bytesPerIdleAllocation = Math.round((after.rss - before.rss) / count);
  const all = await clients(64, true);
  await relay(pid, all, { bytes: 1000, burst: 2, pauseMs: 2, seconds: 1, shares: 8 });
  result.single = await relay(pid, all, { bytes: 1000, burst: 1, pauseMs: 2, seconds, shares: 1 });
  const more = [...all, ...(await clients(136, true))];
  result.bursts = await relay(pid, more, { bytes: 1200, burst: 30, pauseMs: 25, seconds, shares: 8 });
  child.kill('SIGTERM');
  await new Promise((resolve) => child.once('exit', resolve));
  return result;
}

process.on('exit', () => child?.kill('SIGKILL'));
const names = ['atoll', 'coturn'].filter((name) => process.argv[2] === undefined || process.argv[2] === name);
for (const name of names) console.log(JSON.stringify(await measure(name, Number(process.argv[3] ?? 5)), undefined, 1));
process.exit(0);
