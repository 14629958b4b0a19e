import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { silentLogger, systemClock, systemRandom } from '@atoll/base';
import { createTestNetwork, type ListenEvent, type TestNetwork, Value } from '@atoll/dht';
import { DhtProxy, DirectPushService, openProxyServer, ProxyClient, pushSettings } from '@atoll/dht-proxy';
import { InfoHash } from '@atoll/identity';
import { eventually, ManagedProcess } from '@atoll/testkit';

const run = promisify(execFile);
/** Two nodes of the network that the proxies sit on; everything is on loopback. */
let network: TestNetwork;
let folder: string;

before(async () => {
  network = await createTestNetwork(4);
  folder = mkdtempSync(join(tmpdir(), 'atoll-proxy-'));
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=proxy'].concat(
      ['-addext', 'subjectAltName=IP:127.0.0.1'],
      ['-keyout', join(folder, 'proxy.key'), '-out', join(folder, 'proxy.crt')],
    ),
    { stdio: 'ignore' },
  );
});

after(async () => {
  await network.close();
  rmSync(folder, { recursive: true });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

interface RealProxy {
  readonly process: ManagedProcess;
  readonly url: string;
  readonly urlTls: string;
}

/** Debian's dhtnode as proxy, when it knows good nodes; its own snapshot lags, so ask by a put. */
async function startRealProxy(): Promise<RealProxy> {
  const [port, portTls] = [await freePort(), await freePort()];
  const process = new ManagedProcess('dhtnode', 'dhtnode', [
    ...['-p', '0', '-b', network.bootstrap, '--proxyserver', String(port), '--proxyserverssl', String(portTls)],
    ...['--proxy-certificate', join(folder, 'proxy.crt'), '--proxy-privkey', join(folder, 'proxy.key')],
  ]);
  await process.waitForOutput(/running on port/, 30_000);
  const url = `http://127.0.0.1:${port}`;
  const isUp = async (): Promise<boolean> => {
    const answer = await fetch(url).catch(() => undefined);
    return answer?.status === 200 && JSON.parse(await answer.text()).ipv4.good > 0;
  };
  await eventually(isUp, 'the real proxy found no nodes', 150_000);
  return { process, url, urlTls: `https://127.0.0.1:${portTls}` };
}

async function openProxy(): Promise<{ proxy: DhtProxy; url: string; close(): Promise<void> }> {
  const files = { databasePath: ':memory:', vapidKeyPath: join(folder, 'push-key.pem') };
  const push = new DirectPushService(
    { clock: systemClock, random: systemRandom, logger: silentLogger, ownPorts: () => [] },
    pushSettings({}, files),
  );
  const proxy = new DhtProxy({ node: () => network.nodes[1], push }, { heartbeatSeconds: 1 });
  await proxy.start();
  const server = await openProxyServer(proxy, { listen: [{ hosts: ['127.0.0.1'], port: 0 }] });
  const close = async (): Promise<void> => {
    await proxy.stop();
    await server.close(0);
  };
  return { proxy, url: `http://127.0.0.1:${server.port()}`, close };
}

async function first(events: AsyncIterator<ListenEvent>): Promise<ListenEvent> {
  const { value } = await events.next();
  return value;
}

test('the client works through a real dhtnode proxy, plain and over TLS', async () => {
  const { process, url, urlTls } = await startRealProxy();
  try {
    const tls = { ca: readFileSync(join(folder, 'proxy.crt'), 'utf8') };
    for (const proxies of [url, urlTls]) {
      const key = InfoHash.of(`through ${proxies}`);
      await using client = new ProxyClient({ proxies, tls });
      await client.connected();
      const events = client.listen(key)[Symbol.asyncIterator]();
      const id = await client.put(key, Value.plain({ data: 'out', userType: 'text/plain' }));
      assert.deepEqual(
        (await first(events)).values.map((value) => value.id),
        [id],
      );
      assert.equal((await network.nodes[2]?.get(key))?.[0]?.data.toString(), 'out');
      await network.nodes[3]?.put(key, Value.plain({ id: 5n, data: 'in' }));
      assert.deepEqual(
        (await first(events)).values.map((value) => value.id),
        [5n],
      );
      assert.deepEqual((await client.get(key)).map((value) => value.data.toString()).sort(), ['in', 'out']);
      const kept = await client.put(key, Value.plain({ data: 'kept' }), { isPermanent: true });
      assert.equal((await first(events)).values[0]?.id, kept);
      await events.return?.();
    }
    await using untrusting = new ProxyClient({ proxies: urlTls });
    await assert.rejects(untrusting.get(InfoHash.of('x')), { code: 'PROXY_UNREACHABLE' });
  } finally {
    await process.stop();
  }
});

test('a listen of the client outlives the real proxy', async () => {
  const key = InfoHash.of('outlives');
  const real = await startRealProxy();
  const spare = await openProxy();
  await using client = new ProxyClient({ proxies: `${real.url},${spare.url}` });
  await client.connected();
  const events = client.listen(key)[Symbol.asyncIterator]();
  await network.nodes[0]?.put(key, Value.plain({ id: 1n, data: 'a' }));
  assert.deepEqual(
    (await first(events)).values.map((value) => value.id),
    [1n],
  );
  await real.process.kill();
  await network.nodes[0]?.put(key, Value.plain({ id: 2n, data: 'b' }));
  assert.deepEqual(
    (await first(events)).values.map((value) => value.id),
    [2n],
  );
  assert.equal(client.proxy, spare.url);
  await spare.close();
});

test('a real dhtnode as client takes the signs of life for what they are, and hears values after them', async () => {
  const { proxy, url, close } = await openProxy();
  const process = new ManagedProcess('dhtnode', 'dhtnode', ['-p', '0', '--proxyclient', url]);
  try {
    await process.waitForOutput(/running on port/, 30_000);
    await eventually(() => {
      if (proxy.keeper.listens.total > 0) return true;
      process.writeLine('l heart');
      return false;
    }, 'the real client did not listen');
    const [stream] = proxy.streams.all();
    assert.ok(stream);
    const beats = new Promise<void>((resolve) => {
      let count = 0;
      const beat = stream.heartbeat.bind(stream);
      stream.heartbeat = () => {
        beat();
        if (++count === 3) resolve();
      };
    });
    await beats;
    await network.nodes[0]?.put(InfoHash.of('heart'), Value.plain({ id: 0xabcn, data: 'x', userType: 'text/plain' }));
    await process.waitForOutput(/Value\[id:0*abc /, 30_000);
    process.writeLine('p heart again');
    await process.waitForOutput(/Put: success/, 30_000);
  } finally {
    await process.stop();
    await close();
  }
});

/** What scripts for the original do, and what of the answers they look at: status, type and lines. */
const SCRIPT: readonly (readonly string[])[] = [
  ['-X', 'POST', '-d', '{"data":"SGVsbG8=","id":"1","type":3,"utype":"text/plain"}', '/key/foo'],
  ['-X', 'POST', '-d', '{"data":"V29ybGQ=","id":"18446744073709551615"}', '/key/foo'],
  ['/key/foo'],
  ['/foo'],
  ['/key/0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33'],
  ['/key/0BEEC7B5EA3F0FDBC95D0DD47F3C5BC275DA8A33ffff/'],
  ['-X', 'POST', '-d', '{"data":"cA==","id":"3","permanent":true}', '/key/bar'],
  ['/key/bar?nothing'],
  ['/key/nobody-put-here'],
  ['-X', 'POST', '-d', '{"data":', '/key/foo'],
  ['-X', 'POST', '-d', '[]', '/key/foo'],
  ['-X', 'POST', '/key/foo'],
  ['-X', 'POST', '-d', '{"type":"x"}', '/key/foo'],
  ['-X', 'OPTIONS', '/foo'],
  ['-X', 'DELETE', '/key/foo'],
  ['/a/b/c'],
  ['-X', 'SUBSCRIBE', '-d', '{}', '/key/foo'],
  ['-X', 'UNSUBSCRIBE', '-d', '{"key":"t","client_id":"c"}', '/key/foo'],
];

async function curl(base: string, args: readonly string[]): Promise<string> {
  const path = args.at(-1) ?? '';
  const format = '\n%{http_code} %{content_type}';
  const { stdout } = await run('curl', ['--silent', '--write-out', format, ...args.slice(0, -1), base + path]);
  return stdout.split('\n').sort().join('\n');
}

test('curl scripts written for the original get the same answers', async () => {
  const real = await startRealProxy();
  const ours = await openProxy();
  try {
    for (const args of SCRIPT) assert.equal(await curl(ours.url, args), await curl(real.url, args), args.join(' '));
  } finally {
    await ours.close();
    await real.process.stop();
  }
});
