// node packages/name-server/bench/lookups.mjs [NAMES] [SECONDS]: look-ups and registrations per CPU-second of the server
// process, from a store of a million names, and how far registrations are from what the disk can do.
import { fork } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NameServer, openNameStore } from '../dist/index.js';

const nameOf = (number) => `name-${number.toString(36)}`;
const addressOf = (name) => createHash('sha1').update(name).digest('hex');

/** The server in a process of its own, so that its CPU time is its alone. */
async function serve(path) {
  const store = await openNameStore(path);
  const limits = { lookupsPerSecond: 1e9, lookupBurst: 1e9, registrationsPerSecond: 1e9, registrationBurst: 1e9 };
  const server = await NameServer.open({ store }, { listen: [{ hosts: ['127.0.0.1'], port: 0 }], ...limits });
  process.on('message', async (message) => {
    if (message === 'cpu') process.send({ cpu: process.cpuUsage(), memory: process.memoryUsage().rss });
    else {
      await server.close();
      await store.close();
      process.disconnect();
    }
  });
  process.send({ port: server.addresses[0].port });
}

async function fill(path, count) {
  const store = await openNameStore(path);
  // As long as the key of an account, and with a length that says so.
  const publicKey = Buffer.concat([Buffer.from('30820222', 'hex'), randomBytes(546)]);
  for (let from = 0; from < count; from += 20_000) {
    const records = [];
    for (let number = from; number < Math.min(count, from + 20_000); number++) {
      const name = nameOf(number);
      records.push({
        name,
        address: addressOf(name),
        owner: addressOf(`owner ${name}`),
        publicKey,
        signature: randomBytes(512),
        isWaiting: false,
        registeredUnixMs: Date.now(),
      });
    }
    await store.import(records, 'bench');
  }
  await store.close();
}

/** Asks over connections that are kept, `depth` requests at a time on each; resolves to the number of answers. */
async function load(port, { connections, seconds, closes = false, pathOf }) {
  const end = performance.now() + seconds * 1000;
  let answers = 0;
  const isRunning = () => performance.now() < end;
  const ask = () =>
    `GET ${pathOf()} HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n${closes ? 'Connection: close\r\n' : ''}\r\n`;
  const one = () =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1');
      let buffered = '';
      socket.setEncoding('latin1');
      socket.on('connect', () => socket.write(ask()));
      socket.on('data', (chunk) => {
        buffered += chunk;
        for (;;) {
          const head = buffered.indexOf('\r\n\r\n');
          if (head < 0) return;
          const length = Number(/content-length: (\d+)/i.exec(buffered)?.[1]);
          if (buffered.length < head + 4 + length) return;
          if (!buffered.startsWith('HTTP/1.1 200')) return reject(new Error(buffered.slice(0, 200)));
          buffered = buffered.slice(head + 4 + length);
          answers++;
          if (closes) return;
          if (!isRunning()) return socket.end();
          socket.write(ask());
        }
      });
      socket.on('error', reject);
      socket.on('close', resolve);
    });
  await Promise.all(
    Array.from({ length: connections }, async () => {
      do await one();
      while (isRunning());
    }),
  );
  return answers;
}

function fsyncsPerSecond(folder) {
  const file = openSync(join(folder, 'probe'), 'w');
  const page = randomBytes(4096);
  const end = performance.now() + 2000;
  let done = 0;
  for (; performance.now() < end; done++) {
    writeSync(file, page);
    fsyncSync(file);
  }
  closeSync(file);
  return done / 2;
}

async function registrations(folder) {
  const store = await openNameStore(join(folder, 'registrations.db'));
  const rules = { needsApproval: false, refusesLookAlikes: true, maxNames: 1e9, maxWaiting: 0, by: 'bench' };
  // As long as the key of an account, and with a length that says so.
  const publicKey = Buffer.concat([Buffer.from('30820222', 'hex'), randomBytes(546)]);
  const rates = {};
  let number = 0;
  for (const atOnce of [1, 32]) {
    const end = performance.now() + 4000;
    const started = number;
    const cpu = process.cpuUsage();
    while (performance.now() < end) {
      await Promise.all(
        Array.from({ length: atOnce }, () => {
          // Names that look alike are kept apart: the number as letters that have no look-alikes.
          const name = `reg-${(number++).toString(8).replace(/\d/g, (digit) => 'abcdefgh'[digit])}`;
          const signature = randomBytes(512);
          return store.register({ name, address: addressOf(name), owner: '', publicKey, signature }, rules);
        }),
      );
    }
    const { user, system } = process.cpuUsage(cpu);
    rates[atOnce] = [(number - started) / 4, (number - started) / ((user + system) / 1e6)];
  }
  await store.close();
  return rates;
}

if (process.argv[2] === 'serve') await serve(process.argv[3]);
else {
  const count = Number(process.argv[2] ?? 1_000_000);
  const seconds = Number(process.argv[3] ?? 8);
  const folder = mkdtempSync(join(tmpdir(), 'atoll-names-bench-'));
  try {
    const path = join(folder, 'names.db');
    const started = performance.now();
    await fill(path, count);
    console.log(
      `${count} names put in within ${((performance.now() - started) / 1000).toFixed(0)} s, ${(statSync(path).size / 1e6).toFixed(0)} MB`,
    );
    const child = fork(fileURLToPath(import.meta.url), ['serve', path]);
    const once = (what) => new Promise((resolve) => child.once('message', (message) => resolve(message[what])));
    const port = await once('port');
    const usage = async () => {
      child.send('cpu');
      const { user, system } = await once('cpu');
      return (user + system) / 1e6;
    };
    const random = () => nameOf(Math.floor(Math.random() * count));
    for (const [what, options] of [
      ['warm up', { connections: 32, pathOf: () => `/name/${random()}` }],
      ['GET /name, connections kept', { connections: 32, pathOf: () => `/name/${random()}` }],
      ['GET /addr, connections kept', { connections: 32, pathOf: () => `/addr/${addressOf(random())}` }],
      [
        'GET /name, a connection for each, as the Jami daemon',
        { connections: 32, closes: true, pathOf: () => `/name/${random()}` },
      ],
    ]) {
      const before = await usage();
      const answers = await load(port, { seconds, ...options });
      const cpu = (await usage()) - before;
      console.log(`${what}: ${answers} in ${seconds} s, ${(answers / cpu).toFixed(0)} per CPU-second`);
    }
    child.send('end');
    console.log(`the disk: ${fsyncsPerSecond(folder).toFixed(0)} writes with fsync each second`);
    for (const [atOnce, [rate, perCpu]] of Object.entries(await registrations(folder))) {
      console.log(
        `registrations, ${atOnce} at once: ${rate.toFixed(0)} each second, ${perCpu.toFixed(0)} per CPU-second`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
