import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { test } from 'node:test';
import { askHttp } from './http-request.js';

async function withServer(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  use: (url: URL) => Promise<void>,
): Promise<void> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  try {
    await use(new URL(`http://127.0.0.1:${address.port}/name/anna`));
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

test('a client follows five redirects, and no more', async () => {
  let asked = 0;
  const redirect = (_request: IncomingMessage, response: ServerResponse): void => {
    asked++;
    response.writeHead(302, { location: `/${asked}` }).end();
  };
  await withServer(redirect, async (url) => {
    assert.equal((await askHttp(url, { limitMs: 30_000 })).status, 302);
    assert.equal(asked, 6);
  });
});

test('a client reads no answer that is too large', async () => {
  await withServer(
    (_request, response) => response.end('x'.repeat(70_000)),
    async (url) => {
      await assert.rejects(askHttp(url, { limitMs: 30_000 }), { code: 'NAMES_UNREACHABLE', message: /larger than/ });
    },
  );
});
