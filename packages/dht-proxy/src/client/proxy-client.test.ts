import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { silentLogger, systemClock, systemRandom } from '@atoll/base';
import { createTestNetwork, Field, Query, type TestNetwork, Value } from '@atoll/dht';
import type { HttpServer } from '@atoll/http';
import { generateIdentity, InfoHash } from '@atoll/identity';
import { DirectPushService } from '../push/direct-push-service.js';
import { pushSettings } from '../push/push-options.js';
import { DhtProxy } from '../server/dht-proxy.js';
import { openProxyServer } from '../server/proxy-server.js';
import { ProxyClient } from './proxy-client.js';
import { parseProxies } from './proxy-url.js';
import { SwitchableBackend } from './switchable-backend.js';

let network: TestNetwork;

before(async () => {
  network = await createTestNetwork(5);
});

after(() => network.close());

interface OpenProxy {
  readonly proxy: DhtProxy;
  readonly server: HttpServer;
  readonly url: string;
  close(): Promise<void>;
}

async function openProxy(port = 0, push?: DirectPushService): Promise<OpenProxy> {
  const proxy = new DhtProxy({ node: () => network.nodes[1], push }, { heartbeatSeconds: 1 });
  await proxy.start();
  const server = await openProxyServer(proxy, { listen: [{ hosts: ['127.0.0.1'], port }] });
  const close = async (): Promise<void> => {
    await proxy.stop();
    await server.close(0);
  };
  return { proxy, server, url: `http://127.0.0.1:${server.port()}`, close };
}

/** Values as they come and go: `+id` and `-id`. */
class Story {
  private readonly told: string[] = [];
  private readonly waiting: { readonly wanted: readonly string[]; readonly resolve: () => void }[] = [];

  async hear(events: AsyncIterable<{ values: readonly Value[]; isExpired: boolean }>): Promise<void> {
    for await (const { values, isExpired } of events) {
      for (const { id } of values) this.told.push(`${isExpired ? '-' : '+'}${id}`);
      this.look();
    }
  }

  /** Resolves when exactly this was told. */
  is(...wanted: string[]): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push({ wanted, resolve });
      this.look();
    });
  }

  private look(): void {
    const [first] = this.waiting;
    if (first !== undefined && this.told.length >= first.wanted.length) {
      const { wanted, resolve } = first;
      this.waiting.shift();
      assert.deepEqual([...this.told].sort(), [...wanted].sort());
      resolve();
    }
  }
}

test('proxies are read as Jami writes them', () => {
  assert.deepEqual(parseProxies('a.example'), ['http://a.example:80']);
  assert.deepEqual(parseProxies('https://b.example;c:81,[::1]:82'), [
    'https://b.example:443',
    'http://c:81',
    'http://[::1]:82',
  ]);
  assert.deepEqual(parseProxies('dhtproxy.example:[80-82]').length, 3);
  for (const bad of ['', 'ftp://x', 'a:70000', 'a:[9-3]', 'a b/c'])
    assert.throws(() => parseProxies(bad), { code: 'USAGE' });
});

test('a client gets, puts, queries, signs and seals through a proxy', async () => {
  const open = await openProxy();
  const identity = await generateIdentity('alice', Date.now(), { bits: 2048 });
  const bob = await generateIdentity('bob', Date.now(), { bits: 2048 });
  await using client = new ProxyClient({ proxies: open.url, identity });
  await using other = new ProxyClient({ proxies: open.url, identity: bob });
  try {
    await client.connected();
    assert.equal(client.health.state, 'online');
    const key = InfoHash.of('plain');
    const id = await client.put(key, Value.plain({ data: 'hello', userType: 'text/plain', type: 3 }));
    const [value] = await client.get(key);
    assert.equal(value?.data.toString(), 'hello');
    assert.equal(value?.id, id);
    assert.deepEqual(await network.nodes[3]?.get(key).then(([there]) => there?.id), id);
    assert.deepEqual(await client.query(key, new Query([Field.id, Field.userType])), [{ id, userType: 'text/plain' }]);
    assert.deepEqual(await client.get(key, { query: new Query([], [{ field: Field.id, value: id + 1n }]) }), []);
    const signed = await client.putSigned(InfoHash.of('signed'), Value.plain({ id: 7n, data: 'mine' }));
    const again = await client.putSigned(InfoHash.of('signed'), Value.plain({ id: 7n, data: 'mine 2' }));
    assert.ok(again.seq > signed.seq);
    const [readAgain] = await other.get(InfoHash.of('signed'));
    assert.equal(readAgain?.owner?.id.toString(), identity.certificate.publicKey.id.toString());
    await client.putEncrypted(InfoHash.of('sealed'), Value.plain({ data: 'secret' }), bob.certificate.publicKey);
    assert.deepEqual(
      (await other.get(InfoHash.of('sealed'))).map((opened) => opened.data.toString()),
      ['secret'],
    );
    assert.deepEqual(await client.get(InfoHash.of('sealed')), [], 'not for her');
  } finally {
    await open.close();
  }
});

test('a listen goes on over the end of its proxy: nothing twice, and what went away is told', async () => {
  const key = InfoHash.of('story');
  const first = await openProxy();
  const port = first.server.port() ?? 0;
  await using client = new ProxyClient({ proxies: first.url });
  const [one] = network.nodes;
  assert.ok(one);
  const controller = new AbortController();
  const story = new Story();
  const hearing = story.hear(client.listen(key, { signal: controller.signal }));
  await one.put(key, Value.plain({ id: 1n, data: 'a' }));
  await one.put(key, Value.plain({ id: 2n, data: 'b' }));
  await story.is('+1', '+2');
  await first.close();
  for (const node of network.nodes) node.core.storage.remove(key, 1n);
  await one.put(key, Value.plain({ id: 3n, data: 'c' }));
  const second = await openProxy(port);
  await story.is('+1', '+2', '-1', '+3');
  controller.abort();
  await hearing;
  await second.close();
});

test('with several proxies the next one takes over, and permanent puts move along', async () => {
  const key = InfoHash.of('kept');
  const first = await openProxy();
  const second = await openProxy();
  await using client = new ProxyClient({ proxies: `${first.url},${second.url}` });
  await client.connected();
  assert.equal(client.proxy, first.url);
  const id = await client.put(key, Value.plain({ data: 'stays' }), { isPermanent: true });
  assert.ok(first.proxy.puts.get(key, id));
  await first.close();
  assert.equal((await client.get(key))[0]?.data.toString(), 'stays');
  assert.equal(client.proxy, second.url);
  while (second.proxy.puts.get(key, id) === undefined) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(client.cancelPut(key, id), true);
  await second.close();
});

test('a proxy that does not speak is given up', async () => {
  const sockets = new Set<Socket>();
  const deaf: Server = createServer((socket) => sockets.add(socket));
  await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
  const address = deaf.address();
  assert.ok(typeof address === 'object' && address !== null);
  const open = await openProxy();
  await using client = new ProxyClient({ proxies: `http://127.0.0.1:1,${open.url}` });
  try {
    await client.connected();
    assert.equal(client.proxy, open.url);
    await using lost = new ProxyClient({ proxies: 'http://127.0.0.1:1' });
    await assert.rejects(lost.get(InfoHash.of('x')), { code: 'PROXY_UNREACHABLE' });
    await assert.rejects(lost.put(InfoHash.of('x'), Value.plain({})), { code: 'PROXY_UNREACHABLE' });
    assert.equal(lost.health.state, 'offline');
    const signal = AbortSignal.abort();
    await assert.rejects(client.put(InfoHash.of('x'), Value.plain({}), { signal }), { name: 'AbortError' });
  } finally {
    for (const socket of sockets) socket.destroy();
    deaf.close();
    await open.close();
  }
});

test('a listen changes from UDP to a proxy and back without losing or doubling a value', async () => {
  const key = InfoHash.of('switch');
  const open = await openProxy();
  const [one, , , four] = network.nodes;
  assert.ok(one && four);
  await using client = new ProxyClient({ proxies: open.url });
  const dht = new SwitchableBackend(four);
  const controller = new AbortController();
  const story = new Story();
  const hearing = story.hear(dht.listen(key, { signal: controller.signal }));
  // What the node on UDP itself hears meanwhile.
  const beside = new Story();
  const hearingBeside = beside.hear(four.listen(key, { signal: controller.signal }));
  await one.put(key, Value.plain({ id: 1n, data: 'a' }));
  await dht.put(key, Value.plain({ id: 9n, data: 'kept' }), { isPermanent: true });
  await story.is('+1', '+9');
  dht.use(client);
  await one.put(key, Value.plain({ id: 2n, data: 'b' }));
  await story.is('+1', '+9', '+2');
  while (open.proxy.puts.get(key, 9n) === undefined) await new Promise((resolve) => setImmediate(resolve));
  for (const node of network.nodes) node.core.storage.remove(key, 1n);
  await story.is('+1', '+9', '+2', '-1');
  await beside.is('+1', '+9', '+2', '-1');
  dht.use(four);
  await one.put(key, Value.plain({ id: 3n, data: 'c' }));
  await story.is('+1', '+9', '+2', '-1', '+3');
  assert.equal(dht.health.state, 'online');
  assert.equal(dht.cancelPut(key, 9n), true);
  controller.abort();
  await Promise.all([hearing, hearingBeside]);
  await open.close();
});

test('a client that sleeps hears by the pushes of its proxy, in the form that a phone gets them', async () => {
  const key = InfoHash.of('pushed');
  let hand = (_data: Record<string, string>): void => {};
  // What an operator's gateway passes on to the phones, as push services do: all members as strings.
  const gateway = createHttpServer(async (request, response) => {
    const { notifications } = JSON.parse(await text(request)) as { notifications: { data: Record<string, unknown> }[] };
    response.end('{"success":"ok"}');
    for (const { data } of notifications) {
      hand(Object.fromEntries(Object.entries(data).map(([name, member]) => [name, String(member)])));
    }
  });
  await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve));
  const address = gateway.address();
  assert.ok(typeof address === 'object' && address !== null);
  const folder = await mkdtemp(join(tmpdir(), 'atoll-pushed-'));
  const push = new DirectPushService(
    { clock: systemClock, random: systemRandom, logger: silentLogger, ownPorts: () => [] },
    pushSettings(
      { pushServer: `127.0.0.1:${address.port}` },
      { databasePath: ':memory:', vapidKeyPath: join(folder, 'push-key.pem') },
    ),
  );
  const open = await openProxy(0, push);
  const [one] = network.nodes;
  assert.ok(one);
  const owner = { token: 'phone', clientId: 'account', platform: 'android', topic: '' } as const;
  const client = new ProxyClient({ proxies: open.url, push: owner });
  const controller = new AbortController();
  const story = new Story();
  try {
    hand = (data) => client.pushReceived(data);
    const hearing = story.hear(client.listen(key, { signal: controller.signal }));
    await one.put(key, Value.plain({ id: 1n, data: 'a' }));
    await story.is('+1');
    await one.put(key, Value.plain({ id: 2n, data: 'b' }));
    await story.is('+1', '+2');
    for (const node of network.nodes) node.core.storage.remove(key, 1n);
    await story.is('+1', '+2', '-1');
    // Meant for the session of before, as after a new start of the app.
    client.pushReceived({ s: 'another', key: key.toString(), exp: '2' });
    client.pushReceived({ key: 'no key', exp: 'no id' });
    await one.put(key, Value.plain({ id: 3n, data: 'c' }));
    await story.is('+1', '+2', '-1', '+3');
    controller.abort();
    await hearing;
  } finally {
    await client.close();
    await open.close();
    gateway.close();
    gateway.closeAllConnections();
    await rm(folder, { recursive: true });
  }
});
