import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { issueAuthority, issueLeaf, newKey } from '../authority/issue.js';
import { askOverHttps } from './ask-directory.js';

test('a directory is asked over trusted HTTPS, leads nowhere else, and its answers are bounded', async () => {
  const [authorityKey, key] = [newKey(), newKey()];
  const constraints = { domains: ['localhost'], networks: ['127.0.0.0/8'] };
  const authority = await issueAuthority('Test', authorityKey, constraints, Date.now());
  const issuer = { certificate: authority, privateKey: authorityKey };
  const cert = await issueLeaf(issuer, key, ['localhost', '127.0.0.1'], Date.now());
  const server = createServer({ cert, key: key.export({ type: 'pkcs8', format: 'pem' }) }, (request, answer) => {
    if (request.url === '/long') answer.end(Buffer.alloc(300 * 1024));
    else if (request.url === '/moved') answer.writeHead(302, { Location: 'https://localhost/' }).end();
    else request.pipe(answer);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const { signal } = new AbortController();
  const base = `https://127.0.0.1:${port}`;
  try {
    const ask = askOverHttps(authority);
    const echo = await ask(`${base}/echo`, { method: 'POST', body: '{"a":1}' }, signal);
    assert.deepEqual([echo.status, echo.body], [200, '{"a":1}']);
    assert.equal((await ask(`${base}/moved`, {}, signal)).status, 302);
    await assert.rejects(ask(`${base}/long`, {}, signal), /more than 262144 bytes/);
    await assert.rejects(askOverHttps(undefined)(`${base}/echo`, {}, signal), /unable to verify|certificate/);
    await assert.rejects(ask(`${base}/echo`, {}, AbortSignal.abort()), { name: 'AbortError' });
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
