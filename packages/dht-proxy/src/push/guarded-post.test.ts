import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { test } from 'node:test';
import { createCertificate, PrivateKey } from '@atoll/identity';
import { AllowList } from './allow-list.js';
import { EndpointGuard } from './endpoint-guard.js';
import { type GuardedAnswer, postGuarded } from './guarded-post.js';

async function listen(server: Server | HttpServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A test that fails must not wait for its server.
  server.unref();
  return (server.address() as AddressInfo).port;
}

function guardFor(ports: readonly number[], resolve: (name: string) => Promise<readonly string[]>): EndpointGuard {
  return new EndpointGuard(
    { resolve, ownAddresses: () => [] },
    { allow: new AllowList([]), ownPorts: () => [], isHttpAllowed: true, loopbackPorts: ports },
  );
}

const toLoopback = async (): Promise<readonly string[]> => ['127.0.0.1'];

async function post(
  guard: EndpointGuard,
  url: string,
  options: Parameters<typeof postGuarded>[4] = {},
): Promise<GuardedAnswer> {
  const endpoint = guard.read(url);
  assert.ok(typeof endpoint === 'object', String(endpoint));
  return postGuarded(guard, endpoint, { TTL: '7' }, Buffer.from('hello'), options);
}

test('a push arrives as it was asked for, and any status is an answer', async () => {
  const seen: unknown[] = [];
  const server = createHttpServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const { host, ttl } = request.headers;
      seen.push([request.method, request.url, host, ttl, body]);
      response.writeHead(201).end();
    });
  });
  const port = await listen(server);
  const answer = await post(guardFor([port], toLoopback), `http://push.example.org:${port}/up/a?x=1#part`);
  assert.equal(answer.kind === 'answer' && answer.answer.status, 201);
  assert.deepEqual(seen, [['POST', '/up/a?x=1', `push.example.org:${port}`, '7', 'hello']]);
  server.close();
});

test('a redirect is not followed, wherever it leads', async () => {
  let inside = 0;
  const target = createHttpServer((_request, response) => {
    inside++;
    response.end();
  });
  const targetPort = await listen(target);
  for (const status of [301, 302, 303, 307, 308]) {
    const server = createHttpServer((_request, response) => {
      response.writeHead(status, { Location: `http://127.0.0.1:${targetPort}/` }).end();
    });
    const port = await listen(server);
    // Even to a port that could be reached.
    const answer = await post(guardFor([port, targetPort], toLoopback), `http://127.0.0.1:${port}/`);
    assert.equal(answer.kind === 'answer' && answer.answer.status, status);
    server.close();
  }
  assert.equal(inside, 0);
  target.close();
});

test('a name that changes its address between two looks reaches nothing', async () => {
  let connections = 0;
  const inside = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  const port = await listen(inside);
  let looks = 0;
  const guard = new EndpointGuard(
    { resolve: async () => (looks++ === 0 ? ['9.9.9.9'] : ['127.0.0.1']), ownAddresses: () => [] },
    { allow: new AllowList([]), ownPorts: () => [], isHttpAllowed: true },
  );
  const endpoint = guard.read(`https://rebind.example.org:${port}/`);
  assert.ok(typeof endpoint === 'object');
  assert.ok(Array.isArray(await guard.addressesOf(endpoint)));
  assert.deepEqual(await postGuarded(guard, endpoint, {}, Buffer.from('x')), {
    kind: 'refused',
    reason: 'the endpoint has a loopback address',
  });
  assert.deepEqual([looks, connections], [2, 0]);
  inside.close();
});

test('a name is looked up once for a connection, and the connection goes to what was found', async () => {
  const server = createHttpServer((_request, response) => response.end());
  const port = await listen(server);
  let looks = 0;
  const guard = guardFor([port], async () => {
    looks++;
    return ['127.0.0.1'];
  });
  await post(guard, `http://no.such.name.invalid:${port}/`);
  assert.equal(looks, 1);
  server.close();
});

test('an endpoint that is slow, silent, endless or no HTTP at all costs a bounded time and little memory', async () => {
  const kinds: readonly ((port: Server) => void)[] = [
    // Takes the connection and says nothing.
    (server) => server.on('connection', () => {}),
    // Never ends its head.
    (server) => server.on('connection', (socket) => socket.write(`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(100_000)}`)),
    (server) => server.on('connection', (socket) => socket.write('SSH-2.0-OpenSSH_9.2\r\n')),
    (server) => server.on('connection', (socket) => socket.destroy()),
    (server) => server.on('connection', (socket) => socket.resetAndDestroy()),
    (server) =>
      server.on('connection', (socket) =>
        socket.write('HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
      ),
    // Never ends its body.
    (server) => server.on('connection', (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx')),
  ];
  for (const kind of kinds) {
    const server = createServer((socket) => socket.on('error', () => {}));
    kind(server);
    const port = await listen(server);
    const answer = await post(guardFor([port], toLoopback), `http://127.0.0.1:${port}/`, { exchangeMs: 300 });
    assert.equal(answer.kind, 'failed');
    server.close();
  }
  let sent = 0;
  const endless = createHttpServer((_request, response) => {
    response.writeHead(200);
    const more = (): void => {
      while (!response.destroyed && sent < 100e6) {
        sent += 10_000;
        if (!response.write(Buffer.alloc(10_000))) break;
      }
    };
    response.on('drain', more);
    more();
  });
  const port = await listen(endless);
  const answer = await post(guardFor([port], toLoopback), `http://127.0.0.1:${port}/`);
  assert.equal(answer.kind === 'answer' && answer.answer.body.length, 4096);
  assert.ok(sent < 50e6, String(sent));
  endless.close();
});

test('names that do not resolve, or not in time, and ports that nobody listens on are failures for now', async () => {
  const gone = createServer();
  const port = await listen(gone);
  gone.close();
  await once(gone, 'close');
  assert.deepEqual(await post(guardFor([port], toLoopback), `http://127.0.0.1:${port}/`), {
    kind: 'failed',
    reason: 'connection: ECONNREFUSED',
  });
  const failing = guardFor([], () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' })));
  assert.deepEqual(await post(failing, 'https://push.example.org/'), { kind: 'failed', reason: 'name: ENOTFOUND' });
  const hanging = guardFor([], () => new Promise(() => {}));
  assert.deepEqual(await post(hanging, 'https://push.example.org/', { resolveMs: 20 }), {
    kind: 'failed',
    reason: 'name: ETIMEOUT',
  });
});

test('over TLS the certificate must be for the name of the endpoint', async () => {
  const key = await PrivateKey.generateRsa(2048);
  const certificate = await createCertificate({
    name: 'push.example.org',
    key,
    isCa: false,
    validFromMs: Date.now() - 1000,
  });
  const pem = certificate.toPem();
  const server = createTlsServer({ key: key.toPem(), cert: pem }, (_request, response) => response.end());
  const port = await listen(server);
  const guard = guardFor([port], toLoopback);
  const good = await post(guard, `https://push.example.org:${port}/`, { authorities: [pem] });
  assert.equal(good.kind, 'answer', JSON.stringify(good));
  const otherName = await post(guard, `https://other.example.org:${port}/`, { authorities: [pem] });
  assert.deepEqual(otherName, { kind: 'failed', reason: 'connection: ERR_TLS_CERT_ALTNAME_INVALID' });
  const unknown = await post(guard, `https://push.example.org:${port}/`);
  assert.equal(unknown.kind, 'failed');
  server.close();
});
