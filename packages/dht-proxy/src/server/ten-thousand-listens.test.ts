import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DhtNode, Value } from '@atoll/dht';
import { InfoHash } from '@atoll/identity';
import { DhtProxy } from './dht-proxy.js';
import { openProxyServer } from './proxy-server.js';

const LISTENS = 10_000;
const KEYS = 1000;
const keyOf = (index: number): InfoHash => InfoHash.of(`crowd ${index % KEYS}`);

/** The listeners, in a process of their own: one alone may not have so many open files. */
function listenAsCrowd(port: number): void {
  let open = 0;
  let heard = 0;
  let next = 0;
  const begin = (): void => {
    if (next >= LISTENS) return;
    const index = next++;
    const socket = connect(port, '127.0.0.1');
    socket.write(`GET /key/${keyOf(index)}/listen HTTP/1.1\r\nHost: x\r\n\r\n`);
    let text = '';
    socket.setEncoding('latin1');
    socket.on('error', (error) => process.send?.(`${error}`));
    socket.on('data', (data: string) => {
      if (text === '') {
        open++;
        begin();
        if (open === LISTENS) process.send?.('open');
      }
      text += data;
      if (text.includes(`"id":"${(index % KEYS) + 1}",`) && !text.endsWith('counted')) {
        text = 'counted';
        if (++heard === LISTENS) process.send?.('heard');
      }
    });
  };
  for (let i = 0; i < 100; i++) begin();
}

async function told(child: ChildProcess, wanted: string): Promise<void> {
  const [message] = await once(child, 'message');
  assert.equal(message, wanted);
}

const [, , port] = process.argv;
if (port !== undefined && process.send !== undefined) listenAsCrowd(Number(port));
else {
  test('ten thousand listens on a thousand keys each get their value', async () => {
    await using node = await DhtNode.open({ port: 0, addresses: ['127.0.0.1'] });
    const limits = { listensPerAddress: LISTENS };
    const proxy = new DhtProxy({ node: () => node }, { servesAlone: true, limits });
    await proxy.start();
    const server = await openProxyServer(proxy, { listen: [{ hosts: ['127.0.0.1'], port: 0 }] });
    const child = fork(fileURLToPath(import.meta.url), [String(server.port())], { execArgv: [] });
    try {
      await told(child, 'open');
      assert.equal(proxy.keeper.listens.total, LISTENS);
      assert.equal(proxy.watches.size, KEYS, 'one listen on the DHT per key');
      for (let index = 0; index < KEYS; index++) {
        node.core.put(keyOf(index), Value.plain({ id: BigInt(index + 1), data: `value ${index}` }), {}, () => {});
      }
      await told(child, 'heard');
    } finally {
      child.kill('SIGKILL');
      while (proxy.keeper.listens.total > 0) await new Promise((resolve) => setImmediate(resolve));
      await proxy.stop();
      await server.close(0);
    }
    assert.equal(proxy.watches.size, 0);
  });
}
