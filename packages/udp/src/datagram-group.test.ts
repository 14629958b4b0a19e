import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { Endpoint } from '@atoll/base';
import { type DatagramGroup, type GroupHandler, type GroupSocket, openDatagramGroup } from './datagram-group.js';
import { bindSharedStream, nativeGroup } from './native-group.js';

const nobody: GroupHandler = { receiveRange() {} };
const implementations = nativeGroup.available ? (['native', 'dgram'] as const) : (['dgram'] as const);

function at(port: number): Endpoint {
  return Endpoint.from('127.0.0.1', port) as Endpoint;
}

/** Opens a socket that keeps the texts it gets; `count` of them resolve the promise. */
async function collector(
  group: DatagramGroup,
  count: number,
): Promise<{ socket: GroupSocket; all: Promise<string[]> }> {
  const texts: string[] = [];
  let done: (texts: string[]) => void = () => {};
  const all = new Promise<string[]>((resolve) => {
    done = resolve;
  });
  const socket = await group.open(
    { family: 4, address: '127.0.0.1', port: 0, bufferBytes: 4_000_000 },
    {
      receiveRange(memory, start, end) {
        texts.push(memory.toString('latin1', start, end));
        if (texts.length === count) done(texts);
      },
    },
  );
  return { socket, all };
}

for (const implementation of implementations) {
  test(`${implementation}: a relay puts a header in front of what it received and sends it on, from many sockets`, async () => {
    const group = openDatagramGroup(implementation);
    const sockets = 40;
    const each = 20;
    const { socket: sink, all } = await collector(group, sockets * each);
    const relays: GroupSocket[] = [];
    for (let i = 0; i < sockets; i++) {
      const relay: GroupSocket = await group.open({ family: 4, address: '127.0.0.1', port: 0 }, nobody);
      relay.handler = {
        receiveRange(memory, start, end) {
          memory.write(`${String(i).padStart(3, '0')}:`, start - 4);
          relay.sendRange(memory, start - 4, end, sink.local);
        },
      };
      relays.push(relay);
    }
    const source = await group.open({ family: 4, address: '127.0.0.1', port: 0 }, nobody);
    const expected: string[] = [];
    for (let n = 0; n < each; n++) {
      for (let i = 0; i < sockets; i++) {
        const text = `message ${n} ${'x'.repeat(n % 3 === 0 ? 900 : n)}`;
        expected.push(`${String(i).padStart(3, '0')}:${text}`);
        source.sendRange(Buffer.from(text), 0, text.length, (relays[i] as GroupSocket).local);
      }
      group.flush();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.deepEqual((await all).sort(), expected.sort());
    group.close();
  });

  test(`${implementation}: a burst to one peer arrives whole and in order, whatever its sizes`, async () => {
    const group = openDatagramGroup(implementation);
    const texts = Array.from(
      { length: 200 },
      (_, n) => `${n}:${'y'.repeat(n % 7 === 0 ? 400 : n % 11 === 0 ? 5000 : 1100)}`,
    );
    const { socket, all } = await collector(group, texts.length);
    const source = await group.open({ family: 4, address: '127.0.0.1', port: 0 }, nobody);
    for (const text of texts) source.sendRange(Buffer.from(text), 0, text.length, socket.local);
    assert.deepEqual(await all, texts);
    group.close();
  });

  test(`${implementation}: a closed socket gets nothing, and its port is free`, async () => {
    const group = openDatagramGroup(implementation);
    const { socket, all } = await collector(group, 1);
    const gone = await group.open({ family: 4, address: '127.0.0.1', port: 0 }, nobody);
    const { port } = gone.local;
    gone.close();
    gone.close();
    const source = await group.open({ family: 4, address: '127.0.0.1', port: 0 }, nobody);
    source.sendRange(Buffer.from('lost'), 0, 4, at(port));
    source.sendRange(Buffer.from('kept'), 0, 4, socket.local);
    assert.deepEqual(await all, ['kept']);
    await assert.rejects(async () => group.open({ family: 4, address: '127.0.0.1', port: socket.local.port }, nobody), {
      code: 'UDP_PORT_IN_USE',
    });
    group.close();
  });
}

if (nativeGroup.available) {
  test('native: an ICMP error is told, the DF bit is set for one datagram, IPv6 works', async () => {
    const group = openDatagramGroup('native');
    const unreachable = new Promise<{ to: string; type: number; code: number }>((resolve) => {
      const opened = group.open(
        { family: 4, address: '127.0.0.1', port: 0, wantsErrors: true },
        { receiveRange() {}, unreachable: (to, { type, code }) => resolve({ to: String(to), type, code }) },
      ) as GroupSocket;
      const closed = group.open({ family: 4, address: '127.0.0.1', port: 0 }, nobody) as GroupSocket;
      const { local } = closed;
      closed.close();
      opened.sendRange(Buffer.from('x'), 0, 1, local);
    });
    const facts = await unreachable;
    assert.deepEqual([facts.type, facts.code], [3, 3]);
    assert.match(facts.to, /^127\.0\.0\.1:/);
    const received = new Promise<string>((resolve) => {
      const sink = group.open(
        { family: 6, address: '::1', port: 0 },
        {
          receiveRange: (memory, start, end, from) => resolve(`${from.host} ${memory.toString('latin1', start, end)}`),
        },
      ) as GroupSocket;
      const source = group.open({ family: 6, address: '::1', port: 0 }, nobody) as GroupSocket;
      source.sendRange(Buffer.from('six'), 0, 3, sink.local, true);
    });
    assert.equal(await received, '::1 six');
    group.close();
  });

  test('native: one TCP port listens and connects', async () => {
    const peer = createServer((socket) => socket.end(`${socket.remotePort}`)).listen(0, '127.0.0.1');
    await once(peer, 'listening');
    const { port: peerPort } = peer.address() as { port: number };
    const first = bindSharedStream(4, '127.0.0.1', 0);
    assert.ok(first !== undefined);
    const relay = createServer((socket) => socket.end('accepted')).listen({ fd: first });
    await once(relay, 'listening');
    const { port } = relay.address() as { port: number };
    const { Socket } = await import('node:net');
    const out = new Socket({ fd: bindSharedStream(4, '127.0.0.1', port) as number, manualStart: true } as {
      fd: number;
    });
    out.connect(peerPort, '127.0.0.1');
    const [seen] = await once(out, 'data');
    assert.equal(String(seen), String(port));
    const [greeting] = await once(connect(port, '127.0.0.1'), 'data');
    assert.equal(String(greeting), 'accepted');
    relay.close();
    peer.close();
  });
}

test('a socket closed within a batch still sends what it has queued, and its port is free afterwards', async () => {
  const group = openDatagramGroup();
  const got: string[] = [];
  const peer = await group.open(
    { family: 4, address: '127.0.0.1', port: 0 },
    {
      receiveRange: (memory, start, end) => got.push(memory.toString('latin1', start, end)),
    },
  );
  const closing = await group.open(
    { family: 4, address: '127.0.0.1', port: 0 },
    {
      receiveRange(_memory, _start, _end, from) {
        const bytes = Buffer.from('last words');
        closing.sendRange(bytes, 0, bytes.length, from);
        closing.close();
      },
    },
  );
  const bytes = Buffer.from('end');
  peer.sendRange(bytes, 0, bytes.length, closing.local);
  const { port } = closing.local;
  while (got.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(got, ['last words']);
  (await group.open({ family: 4, address: '127.0.0.1', port }, { receiveRange() {} })).close();
  group.close();
});
