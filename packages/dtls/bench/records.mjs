// Handshakes and records of 1 kB per second of CPU, in memory: node packages/dtls/bench/records.mjs [SECONDS]
// The bounds beside them are what the bare operations cost: openssl speed -evp aes-256-gcm -bytes 1024; openssl speed rsa2048.
import { createCipheriv, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Endpoint, systemRandom as random, Scheduler, systemClock } from '@atoll/base';
import { createDtlsContext, DtlsEndpoint, DtlsServer } from '@atoll/dtls';

const seconds = Number(process.argv[2] ?? 2);
let passedMs = 0;
const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + passedMs };

/** Runs `once` for a while and says how often it fits in a second of CPU. */
function measure(what, once, batch) {
  for (let i = 0; i < batch; i++) once();
  const before = process.cpuUsage();
  const end = performance.now() + 1000 * seconds;
  let count = 0;
  while (performance.now() < end) for (let i = 0; i < batch; i++, count++) once();
  const { user, system } = process.cpuUsage(before);
  const rate = count / ((user + system) / 1e6);
  console.log(`${what}: ${Math.round(rate)} per CPU-second (${(1e6 / rate).toFixed(2)} µs each)`);
  return rate;
}

function world(kind) {
  const pem = readFileSync(new URL(`../vectors/${kind}.pem`, import.meta.url), 'utf8');
  const context = createDtlsContext({ certificates: [{ certificate: pem, privateKey: pem }] });
  const clientContext = createDtlsContext({});
  const scheduler = new Scheduler();
  const clients = new Map();
  let received = 0;
  let spent = 0;
  let isSilent = false;
  const queue = [];
  const server = new DtlsServer(
    { clock, scheduler, random, send: (bytes, to) => isSilent || queue.push([Buffer.from(bytes), to.key]) },
    { context },
    { receive: () => received++ },
  );
  let port = 0;
  const connect = () => {
    port = (port + 1) & 0xffff;
    const from = new Endpoint('\x7f\0\0\x01', port);
    const deliver = (bytes) => {
      const start = process.cpuUsage();
      server.receive(Buffer.from(bytes), from);
      const { user, system } = process.cpuUsage(start);
      spent += user + system;
    };
    let sink = deliver;
    const client = new DtlsEndpoint(
      { clock, scheduler, send: (bytes) => sink(bytes) },
      { context: clientContext, role: 'client' },
      { receive() {} },
    );
    clients.set(from.key, client);
    client.start();
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) clients.get(next[1])?.receive(next[0]);
    if (!client.isOpen) throw new Error('no handshake');
    const end = () => {
      client.close();
      clients.delete(from.key);
    };
    return { client, from, end, redirect: (to) => (sink = to) };
  };
  return {
    server,
    scheduler,
    clients,
    connect,
    count: () => received,
    spent: () => spent,
    silence: (is) => (isSilent = is),
  };
}

for (const kind of ['rsa-2048', 'p-256']) {
  const { connect, spent } = world(kind);
  let count = 0;
  const end = performance.now() + 1000 * seconds;
  for (; performance.now() < end; count++) connect().end();
  const rate = count / (spent() / 1e6);
  console.log(
    `${kind}: ${Math.round(rate)} handshakes per CPU-second of the server (${(1e6 / rate).toFixed(0)} µs each)`,
  );
}
{
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  measure('bound: RSA-2048 signatures alone', () => sign('sha256', Buffer.alloc(32), privateKey), 10);
}

const payload = Buffer.alloc(1000, 'x');
{
  const { server, connect, count, silence } = world('p-256');
  const { client, from, redirect } = connect();
  const session = server.sessionOf(from);
  silence(true);
  measure('records of 1 kB out (encrypt)', () => session.send(payload), 1000);
  let records = [];
  redirect((bytes) => records.push(Buffer.from(bytes)));
  let spent = 0;
  const before = count();
  const end = performance.now() + 1000 * seconds;
  while (performance.now() < end) {
    records = [];
    for (let i = 0; i < 2000; i++) client.send(payload);
    const start = process.cpuUsage();
    for (const record of records) server.receive(record, from);
    const { user, system } = process.cpuUsage(start);
    spent += user + system;
  }
  const rate = (count() - before) / (spent / 1e6);
  console.log(`records of 1 kB in (decrypt): ${Math.round(rate)} per CPU-second (${(1e6 / rate).toFixed(2)} µs each)`);
}
{
  const key = randomBytes(32);
  const iv = randomBytes(12);
  measure(
    'bound: AES-256-GCM of 1 kB through node:crypto',
    () => {
      const cipher = createCipheriv('aes-256-gcm', key, iv);
      cipher.update(payload);
      cipher.final();
    },
    1000,
  );
}
{
  const { server, scheduler, connect, silence } = world('p-256');
  const from = new Endpoint('\x7f\0\0\x02', 1);
  let hello;
  const client = new DtlsEndpoint(
    { clock, scheduler: new Scheduler(), send: (bytes) => (hello ??= Buffer.from(bytes)) },
    { context: createDtlsContext({}), role: 'client' },
    { receive() {} },
  );
  client.start();
  silence(true);
  measure('ClientHellos answered with a cookie', () => server.receive(hello, from), 1000);
  silence(false);
  const grow = () => {
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 2000; i++) connect();
    return Math.round((process.memoryUsage().rss - before) / 4000 / 1024);
  };
  console.log(`memory: ${grow()} kB for each side of a new session`);
  for (let second = 1; second < 20; second++) {
    passedMs += 1000;
    scheduler.runDue(clock.nowMs());
  }
  console.log(`memory: ${grow()} kB for each side of a new session while as many rest`);
}
