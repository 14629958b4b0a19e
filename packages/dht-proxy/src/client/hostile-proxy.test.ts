import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { test } from 'node:test';
import { Value } from '@atoll/dht';
import { InfoHash } from '@atoll/identity';
import { HttpExchange } from './http-exchange.js';
import { ProxyClient } from './proxy-client.js';

const NODE_INFO = JSON.stringify({ node_id: 'a'.repeat(40), ipv4: { good: 8 }, ipv6: {} });

/** A server that says it is a proxy, and answers everything but the info as the test wants it. */
async function withServer(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  use: (url: string) => Promise<void>,
): Promise<void> {
  const server = createServer((request, response) => {
    if (request.url === '/') response.end(NODE_INFO);
    else answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  try {
    await use(`http://127.0.0.1:${address.port}`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

test('a client follows five redirects, and no more', async () => {
  let asked = 0;
  const redirect = (_request: IncomingMessage, response: ServerResponse): void => {
    asked++;
    response.writeHead(302, { location: `/key/${asked}` }).end();
  };
  await withServer(redirect, async (url) => {
    const exchange = new HttpExchange();
    const status = await exchange.send(url, { method: 'GET', path: '/key/0', idleMs: 10_000 }, { onData: () => {} });
    exchange.close();
    assert.deepEqual([status, asked], [302, 6]);
  });
});

test('a client hangs up on a stream whose line does not end', async () => {
  let hungUp = (): void => {};
  const isHungUp = new Promise<void>((resolve) => {
    hungUp = resolve;
  });
  const babble = (request: IncomingMessage, response: ServerResponse): void => {
    if (request.url?.endsWith('/listen') !== true) {
      response.end();
      return;
    }
    response.once('close', hungUp);
    response.writeHead(200);
    response.write(`{"data":"${'A'.repeat(300_000)}`);
  };
  await withServer(babble, async (url) => {
    await using client = new ProxyClient({ proxies: url });
    const events = client.listen(InfoHash.of('babble'))[Symbol.asyncIterator]();
    const next = events.next();
    await isHungUp;
    await events.return?.();
    await next;
  });
});

test('a client keeps a megabyte of an answer that should be short', async () => {
  const answer = (_request: IncomingMessage, response: ServerResponse): void => {
    response.end(`${' '.repeat(1_100_000)}{"id":"9"}`);
  };
  await withServer(answer, async (url) => {
    await using client = new ProxyClient({ proxies: url });
    assert.notEqual(await client.put(InfoHash.of('x'), Value.plain({ data: 'x' })), 9n, 'it is not read to its end');
  });
});
