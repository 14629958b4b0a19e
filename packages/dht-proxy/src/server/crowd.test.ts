import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { DhtNode, Value } from '@atoll/dht';
import type { HttpServer } from '@atoll/http';
import { InfoHash } from '@atoll/identity';
import { parseDead } from './dead-connections.js';
import { DhtProxy, type DhtProxyOptions } from './dht-proxy.js';
import { openProxyServer } from './proxy-server.js';

interface Bench {
  readonly proxy: DhtProxy;
  readonly server: HttpServer;
  readonly port: number;
  /** What the proxy finds as its node. */
  node: DhtNode | undefined;
}

/** A proxy on a node that is alone, and whatever the test does with them. */
async function withProxy(options: DhtProxyOptions, run: (bench: Bench) => Promise<void>): Promise<void> {
  const first = await DhtNode.open({ port: 0, addresses: ['127.0.0.1'] });
  const bench: { node: DhtNode | undefined } = { node: first };
  const proxy = new DhtProxy({ node: () => bench.node }, { servesAlone: true, ...options });
  await proxy.start();
  const server = await openProxyServer(proxy, { listen: [{ hosts: ['127.0.0.1'], port: 0 }] });
  try {
    await run(Object.assign(bench, { proxy, server, port: server.port() ?? 0 }));
  } finally {
    await proxy.stop();
    await server.close(0);
    await first.close();
  }
}

/** A listener on its own connection: resolves when the header of the answer is there. */
function listen(port: number, key: InfoHash, onData: (text: string, socket: Socket) => void): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`GET /key/${key}/listen HTTP/1.1\r\nHost: x\r\n\r\n`));
    let hasHeader = false;
    socket.setEncoding('latin1');
    socket.on('data', (data: string) => {
      let text = data;
      if (!hasHeader) {
        hasHeader = true;
        resolve(socket);
        text = data.slice(data.indexOf('\r\n\r\n') + 4);
      }
      if (text !== '') onData(text, socket);
    });
    socket.on('error', (error) => {
      if (!hasHeader) reject(error);
    });
  });
}

/** Opens many, a few at a time, so that the backlog of the system holds. */
async function many<T>(count: number, open: (index: number) => Promise<T>): Promise<T[]> {
  const opened: T[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: 100 }, async () => {
      while (next < count) opened.push(await open(next++));
    }),
  );
  return opened;
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}

const post = (port: number, path: string, body: string): Promise<Response> =>
  fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', body });

test('a thousand clients that vanish at once leave nothing behind', async () => {
  await withProxy({}, async ({ proxy, port }) => {
    const sockets = await many(1000, (index) => listen(port, InfoHash.of(`vanish ${index}`), () => {}));
    for (const socket of sockets) socket.resetAndDestroy();
    await until(() => proxy.keeper.listens.total === 0);
    assert.equal(proxy.watches.size, 0);
    assert.deepEqual([...proxy.streams.all()], []);
  });
});

test('a listener that does not read is dropped, and does not hold up the others', async () => {
  const key = InfoHash.of('flood');
  await withProxy({ limits: { queuedBytesPerListen: 300_000 } }, async ({ proxy, port, node }) => {
    const slow = await listen(port, key, () => {});
    slow.pause();
    let bytes = 0;
    const good = await listen(port, key, (text) => {
      bytes += text.length;
    });
    let sent = 0;
    for (; proxy.keeper.listens.total === 2; sent++) {
      assert.ok(sent < 2000, 'the slow listener is still there');
      node?.core.put(key, Value.plain({ id: BigInt(sent + 1), data: Buffer.alloc(60_000) }), {}, () => {});
      await until(() => bytes >= (sent + 1) * 80_000);
    }
    slow.destroy();
    good.destroy();
    await until(() => proxy.keeper.listens.total === 0);
  });
});

test('a dead node is told at once: listens break off, everything else is 503 with the reason', async () => {
  await withProxy({}, async (bench) => {
    const { port, proxy } = bench;
    let text = '';
    const socket = await listen(port, InfoHash.of('zombie'), (more) => {
      text += more;
    });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const kept = await post(port, '/key/kept', '{"data":"aGVsbG8=","id":"1","permanent":true}');
    assert.equal(kept.status, 200);
    const before = bench.node;
    bench.node = undefined;
    proxy.health.look();
    await closed;
    assert.equal(text, '', 'no final chunk: the listen did not end in order');
    for (const path of ['/', '/key/zombie', '/key/zombie/listen', '/node/stats']) {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`);
      assert.equal(answer.status, 503, path);
      assert.match(JSON.parse(await answer.text()).err, /The DHT node is not running/);
    }
    assert.equal((await post(port, '/key/zombie', '{"data":""}')).status, 503);
    await using next = await DhtNode.open({ port: 0, addresses: ['127.0.0.1'] });
    bench.node = next;
    proxy.health.look();
    const found = await next.get(InfoHash.of('kept')).catch(() => []);
    assert.deepEqual(
      found.map((value) => value.data.toString()),
      ['hello'],
      'permanent puts move to the new node',
    );
    assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200);
    bench.node = undefined;
    proxy.health.look();
    await before?.close();
  });
});

test('a node that knows nobody serves only where it may be alone', async () => {
  await withProxy({ servesAlone: false }, async ({ port }) => {
    const answer = await fetch(`http://127.0.0.1:${port}/`);
    assert.equal(answer.status, 503);
    assert.match(JSON.parse(await answer.text()).err, /No other node is known/);
  });
  await withProxy({}, async ({ port }) => {
    const info = JSON.parse(await (await fetch(`http://127.0.0.1:${port}/`)).text());
    assert.deepEqual([info.ipv4.good, info.ipv4.dubious], [1, 0]);
    const url = `http://127.0.0.1:${port}/key/alone`;
    assert.equal((await post(port, '/key/alone', '{"data":"aGk=","id":"1"}')).status, 200);
    assert.equal(await (await fetch(url)).text(), '{"data":"aGk=","id":"1","type":0}\n');
  });
});

test('limits are refused with a status and a reason', async () => {
  const limits = { listensPerAddress: 2, putsPerSecondPerAddress: 1, permanentPutsPerAddress: 1, bodyBytes: 1000 };
  await withProxy({ limits }, async ({ port, proxy }) => {
    const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`);
    const sockets = await many(2, (index) => listen(port, InfoHash.of(`limit ${index}`), () => {}));
    const third = await get('/key/third/listen');
    assert.equal(third.status, 429);
    assert.match(JSON.parse(await third.text()).err, /already holds its 2 listens/);
    for (const socket of sockets) socket.destroy();
    await until(() => proxy.keeper.listens.total === 0);
    assert.equal((await post(port, '/key/a', '{"id":"1","permanent":true}')).status, 200);
    assert.equal((await post(port, '/key/a', '{"id":"1","permanent":true}')).status, 200, 'a renewal is not one more');
    assert.equal((await post(port, '/key/a', '{"id":"2","permanent":true}')).status, 429);
    assert.equal((await post(port, '/key/a', `{"data":"${'a'.repeat(2000)}"}`)).status, 413);
    const statuses: number[] = [];
    for (let i = 0; i < 20; i++) statuses.push((await post(port, '/key/a', '{"id":"3"}')).status);
    assert.equal(statuses[0], 200);
    assert.ok(statuses.includes(429));
  });
});

test('dead connections are read from the table of the system', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:1F90 0200007F:C350 01 00000006:00000000 01:00000100 00000007     0        0 2 1 0 100 0 0 10 0
   2: 0100007F:1F90 0200007F:C351 01 00000006:00000000 01:00000100 00000002     0        0 3 1 0 100 0 0 10 0
   3: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF0000164D0A0A:C352 01 00000006:0 01:0 00000008 0 0 4 1
`;
  assert.deepEqual(parseDead(table), [
    '127.0.0.2:50000',
    '::ffff:127.0.0.2:50000',
    '10.10.77.22:50002',
    '::ffff:10.10.77.22:50002',
  ]);
  assert.deepEqual(parseDead('nonsense\n1 2 3\n'), []);
});
