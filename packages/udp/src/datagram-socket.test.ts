import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Endpoint } from '@atoll/base';
import { type DatagramHandler, type DatagramSocket, nativeDatagram, openDatagramSocket } from './index.js';

const implementations = nativeDatagram.available ? (['native', 'dgram'] as const) : (['dgram'] as const);

/** Waits until `isMet`, looking after every turn of the event loop. */
async function until(isMet: () => boolean, limitMs = 5000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!isMet()) {
    if (performance.now() > end) throw new Error('the condition was not met in time');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

for (const implementation of implementations) {
  const open = (
    family: 4 | 6,
    handler: DatagramHandler,
    more: { port?: number; reusePort?: boolean } = {},
  ): Promise<DatagramSocket> =>
    openDatagramSocket(
      { family, address: family === 4 ? '127.0.0.1' : '::1', port: 0, implementation, ...more },
      handler,
    );

  for (const family of [4, 6] as const) {
    test(`${implementation}: IPv${family} datagrams of every size go there and back whole`, async () => {
      await using echo = await open(family, { receive: (bytes, from) => echo.send(bytes, from) });
      const got: Buffer[] = [];
      let from: Endpoint | undefined;
      await using socket = await open(family, {
        receive(bytes, peer) {
          got.push(Buffer.from(bytes));
          from = peer;
        },
      });
      for (const size of [0, 1, 2, 60, 1280, 1500, 9000, 65_507]) {
        const sent = Buffer.alloc(size, size & 0xff);
        got.length = 0;
        socket.send(sent, echo.local);
        await until(() => got.length === 1);
        assert.deepEqual(got[0], sent);
        assert.equal(from?.key, echo.local.key);
      }
      assert.equal(socket.isBatched, implementation === 'native');
    });
  }

  test(`${implementation}: runs of one length, shorter ends and other lengths arrive one by one and in order`, async () => {
    const sizes = [
      ...Array(20).fill(100),
      40,
      ...Array(30).fill(1310),
      0,
      0,
      1311,
      1310,
      5,
      6,
      ...Array(2).fill(9000),
      1,
    ];
    const got: Buffer[] = [];
    await using one = await open(4, { receive: (bytes) => got.push(Buffer.from(bytes)) });
    const other: number[] = [];
    await using second = await open(4, { receive: (bytes) => other.push(bytes.length) });
    await using socket = await open(4, { receive: () => {} });
    sizes.forEach((size, index) => {
      socket.send(Buffer.alloc(size, index), one.local);
      // Now and then one to somebody else between them.
      if (index % 7 === 0) socket.send(Buffer.alloc(size, index), second.local);
    });
    await until(() => got.length === sizes.length && other.length === Math.ceil(sizes.length / 7));
    assert.deepEqual(
      got.map((bytes) => bytes.length),
      sizes,
    );
    got.forEach((bytes, index) => {
      assert.ok(bytes.every((byte) => byte === (index & 0xff)));
    });
    assert.equal(one.stats.receivedDatagrams, sizes.length);
    assert.equal(socket.stats.sentDatagrams, sizes.length + other.length);
  });

  test(`${implementation}: ten thousand datagrams in windows of a hundred arrive`, async () => {
    await using echo = await open(4, { receive: (bytes, from) => echo.send(bytes, from) });
    let received = 0;
    const seen = new Set<number>();
    await using socket = await open(4, {
      receive(bytes) {
        seen.add(bytes.readUInt32BE(0));
        received++;
      },
    });
    const scratch = Buffer.alloc(60);
    for (let sent = 0; sent < 10_000; ) {
      for (let i = 0; i < 100; i++) {
        scratch.writeUInt32BE(sent++);
        socket.send(scratch, echo.local);
      }
      await until(() => received >= sent);
    }
    assert.equal(seen.size, 10_000);
    assert.equal(socket.stats.sentDatagrams, 10_000);
    assert.equal(echo.stats.receivedDatagrams, 10_000);
  });

  test(`${implementation}: a datagram that cannot be sent is reported, those behind it are sent`, async () => {
    const failed: string[] = [];
    let received = 0;
    await using other = await open(4, {
      receive() {
        received++;
      },
    });
    await using socket = await open(4, { receive() {}, sendFailed: (code) => failed.push(code) });
    socket.send(Buffer.alloc(5), other.local);
    socket.send(Buffer.alloc(65_530), other.local);
    socket.send(Buffer.alloc(5), other.local);
    await until(() => failed.length === 1 && received === 2);
    assert.deepEqual(failed, ['EMSGSIZE']);
  });

  test(`${implementation}: a port in use, an address of others and a port for root are named`, async () => {
    await using socket = await open(4, { receive() {} });
    await assert.rejects(open(4, { receive() {} }, { port: socket.local.port }), { code: 'UDP_PORT_IN_USE' });
    const elsewhere = openDatagramSocket(
      { family: 4, address: '192.0.2.1', port: 0, implementation },
      { receive() {} },
    );
    await assert.rejects(elsewhere, { code: 'UDP_ADDRESS_NOT_AVAILABLE' });
  });

  test(`${implementation}: a port is free again once its socket is closed, and closing twice is nothing`, async () => {
    const socket = await open(4, { receive() {} });
    const { port } = socket.local;
    await socket.close();
    await socket.close();
    socket.send(Buffer.alloc(1), socket.local);
    await using again = await open(4, { receive() {} }, { port });
    assert.equal(again.local.port, port);
  });

  test(`${implementation}: a socket may be closed by what it receives`, async () => {
    let received = 0;
    const socket = await open(4, {
      receive() {
        received++;
        void socket.close();
      },
    });
    await using sender = await open(4, { receive() {} });
    for (let i = 0; i < 10; i++) sender.send(Buffer.alloc(4), socket.local);
    await until(() => received > 0);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(received, 1);
  });

  test(`${implementation}: a thread that ends with open sockets takes them with it`, async () => {
    const source = `
      import('${new URL('./index.js', import.meta.url)}').then(async ({ openDatagramSocket }) => {
        const socket = await openDatagramSocket({ family: 4, address: '127.0.0.1', port: 0, implementation: '${implementation}' }, { receive() {} });
        require('node:worker_threads').parentPort.postMessage(socket.local.port);
      });`;
    const worker = new Worker(source, { eval: true });
    const [port] = await once(worker, 'message');
    await worker.terminate();
    await using again = await open(4, { receive() {} }, { port });
    assert.equal(again.local.port, port);
  });
}

if (nativeDatagram.available) {
  test('several processes may share a port with the native part', async () => {
    const counts = [0, 0];
    const open = (which: number, port: number): Promise<DatagramSocket> =>
      openDatagramSocket(
        { family: 4, address: '127.0.0.1', port, reusePort: true, implementation: 'native' },
        {
          receive() {
            counts[which] = (counts[which] ?? 0) + 1;
          },
        },
      );
    await using first = await open(0, 0);
    await using second = await open(1, first.local.port);
    for (let i = 0; i < 40; i++) {
      await using sender = await openDatagramSocket({ family: 4, address: '127.0.0.1', port: 0 }, { receive() {} });
      sender.send(Buffer.from('x'), first.local);
      sender.flush();
      await until(() => (counts[0] ?? 0) + (counts[1] ?? 0) === i + 1);
    }
    assert.ok((counts[0] ?? 0) > 0 && (counts[1] ?? 0) > 0, `both got some: ${counts}`);
    assert.equal(second.local.port, first.local.port);
  });
}

test('endpoints of peers are remembered up to a bound', async () => {
  const { EndpointTable } = await import('./endpoint-table.js');
  const table = new EndpointTable();
  assert.equal(table.fromIpv4(0x7f000001, 5), table.fromIpv4(0x7f000001, 5));
  assert.equal(String(table.fromIpv4(0xc0a80102, 4222)), '192.168.1.2:4222');
  assert.equal(String(table.fromIpv6(Buffer.from([...new Array(15).fill(0), 1]), 9, 0)), '[::1]:9');
  for (let i = 0; i < 40_000; i++) table.fromIpv4(i, 1);
  assert.ok(table.size <= 2 * 16_384);
  assert.equal(Endpoint.from('::ffff:10.0.0.1', 3)?.family, 4);
});
