import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, type RequestOptions, request } from 'node:http';
import { Agent as SecureAgent, request as secureRequest } from 'node:https';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { HttpError } from './http-error.js';
import { HttpServer, type HttpServerOptions } from './http-server.js';
import { Metrics } from './metrics.js';
import { Router } from './router.js';

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

function ask(options: RequestOptions & { readonly ca?: string }, body?: string, secure = false): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = (secure ? secureRequest : request)({ host: '127.0.0.1', ...options }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => {
        text += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

/** What a server answers to these bytes, until it closes the connection. */
async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.on('error', () => {});
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

function routes(): Router {
  return new Router()
    .on('GET', '/hello/:name', (exchange) => {
      exchange.sendJson(200, { hello: exchange.decodedParameter ?? null, q: exchange.query.get('q') });
    })
    .on('SUBSCRIBE', '/hello/:name', (exchange) => exchange.sendNothing(204))
    .on('POST', '/echo', async (exchange) => {
      exchange.send(200, 'application/octet-stream', await exchange.body({ maxBytes: 10, maxMs: 200 }));
    })
    .on('POST', '/json', async (exchange) => exchange.sendJson(200, await exchange.json({ maxBytes: 100 })))
    .on('GET', '/client', (exchange) => exchange.send(200, 'text/plain', exchange.client))
    .on('GET', '/refused', () => {
      throw new HttpError(409, 'TAKEN', 'It is taken.', { headers: ['X-Why', 'taken'] });
    })
    .on('GET', '/exact', async () => {
      throw new HttpError(400, 'X', 'x', { body: '{"err":"x"}' });
    })
    .on('GET', '/broken', async () => {
      throw new Error('a secret');
    });
}

async function serve(options: Partial<HttpServerOptions> = {}, router = routes()): Promise<[HttpServer, number]> {
  const server = await HttpServer.open({ router }, { listen: [{ hosts: ['127.0.0.1'], port: 0 }], ...options });
  return [server, server.port() ?? server.port(true) ?? 0];
}

test('requests are answered, errors as JSON', async () => {
  const [server, port] = await serve();
  await using _server = server;
  const get = (path: string, method = 'GET', body?: string): Promise<Answer> => ask({ port, path, method }, body);
  assert.deepEqual(JSON.parse((await get('/hello/a%2Fb%C3%A9?q=1')).body), { hello: 'a/bé', q: '1' });
  assert.deepEqual(JSON.parse((await get('/hello/%ff')).body), { hello: null, q: null });
  assert.equal((await get('/hello/x', 'SUBSCRIBE')).status, 204);
  assert.deepEqual(await get('/hello/x', 'HEAD').then(({ status, body }) => [status, body]), [200, '']);
  assert.equal((await get('/client')).body, '127.0.0.1');
  const none = await get('/none');
  assert.deepEqual([none.status, JSON.parse(none.body).error.code], [404, 'HTTP_NOT_FOUND']);
  const wrong = await get('/hello/x', 'DELETE');
  assert.deepEqual([wrong.status, wrong.headers.allow], [405, 'GET, HEAD, SUBSCRIBE']);
  const refused = await get('/refused');
  assert.deepEqual(
    [refused.status, refused.headers['x-why'], refused.body],
    [409, 'taken', '{"error":{"code":"TAKEN","message":"It is taken."}}'],
  );
  assert.deepEqual(await get('/exact').then(({ status, body }) => [status, body]), [400, '{"err":"x"}']);
  const broken = await get('/broken');
  assert.equal(broken.status, 500);
  assert.ok(!broken.body.includes('secret'));
  assert.equal((await get('/json', 'POST', '{"a":1}')).body, '{"a":1}');
  assert.equal((await get('/json', 'POST', '{"a"')).status, 400);
  assert.match(
    await raw(port, 'GET http://x.example/hello/abs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
    /"abs"/,
  );
  assert.match(await raw(port, 'NONSENSE /x HTTP/1.1\r\n\r\n'), /^HTTP\/1.1 400 /);
});

test('bodies are bounded in size and time', async () => {
  const [server, port] = await serve();
  await using _server = server;
  const post = (body: string): Promise<Answer> => ask({ port, path: '/echo', method: 'POST' }, body);
  assert.equal((await post('0123456789')).body, '0123456789');
  assert.equal((await post('0123456789a')).status, 413);
  const head = 'POST /echo HTTP/1.1\r\nHost: x\r\n';
  assert.match(await raw(port, `${head}Transfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n`), /^HTTP\/1.1 413 /);
  assert.match(await raw(port, `${head}Content-Length: 5\r\n\r\n01`), /^HTTP\/1.1 408 /);
  assert.match(await raw(port, `${head}Content-Length: 50\r\nExpect: 100-continue\r\n\r\n`), /^HTTP\/1.1 413 /);
  const continued = raw(port, `${head}Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\nab`);
  assert.match(await continued, /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK.*ab$/s);
});

test('slow and too many clients are cut off', async () => {
  const metrics = new Metrics();
  const server = await HttpServer.open(
    { router: routes(), metrics },
    { listen: [{ hosts: ['127.0.0.1'], port: 0 }], name: 'trial', headerMs: 50, maxConnectionsPerAddress: 2 },
  );
  await using _server = server;
  const port = server.port() ?? 0;
  assert.match(await raw(port, 'GET / HT'), /^HTTP\/1.1 408 /);
  const kept = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')];
  for (const socket of kept) {
    socket.write('GET /client HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'data');
  }
  assert.match(await raw(port, ''), /^HTTP\/1.1 503 .*HTTP_TOO_MANY_CONNECTIONS/s);
  const [first] = kept;
  first?.destroy();
  while (server.connections > 1) await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await ask({ port, path: '/client' })).status, 200);
  kept[1]?.destroy();
  assert.match(metrics.expose(), /refused_connections_total\{server="trial"\} 1\n/);
  assert.match(metrics.expose(), /answers_total\{server="trial",status="200"\} 3\n/);
});

test('a trusted reverse proxy names the client, a stranger does not', async () => {
  const headers = { 'X-Forwarded-For': '1.1.1.1, 9.9.9.9, 127.0.0.1' };
  for (const [trustedProxies, expected] of [
    [['127.0.0.1'], '9.9.9.9'],
    [[], '127.0.0.1'],
  ] as const) {
    const [server, port] = await serve({ trustedProxies });
    await using _server = server;
    assert.equal((await ask({ port, path: '/client', headers })).body, expected);
  }
});

test('CORS headers stand in each answer, and OPTIONS is answered', async () => {
  const [server, port] = await serve({ cors: () => ['Access-Control-Allow-Origin', '*'] });
  await using _server = server;
  const preflight = await ask({ port, path: '/hello/x', method: 'OPTIONS' });
  assert.deepEqual(
    [
      preflight.status,
      preflight.headers['access-control-allow-methods'],
      preflight.headers['access-control-allow-origin'],
    ],
    [204, 'OPTIONS, GET, HEAD, SUBSCRIBE', '*'],
  );
  assert.equal((await ask({ port, path: '/none' })).headers['access-control-allow-origin'], '*');
});

test('a closing server ends what is under way and takes no more', async () => {
  let answer: () => void = () => {};
  let isGone = false;
  const router = new Router().on('GET', '/slow', (exchange) => {
    exchange.signal.addEventListener('abort', () => {
      isGone = true;
    });
    answer = () => exchange.sendJson(200, 'late');
    arrived();
  });
  let arrived: () => void = () => {};
  const arriving = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const [server, port] = await serve({}, router);
  const agent = new Agent({ keepAlive: true });
  const asked = ask({ port, path: '/slow', agent });
  await arriving;
  const closing = server.close();
  await assert.rejects(ask({ port, path: '/slow' }), { code: 'ECONNREFUSED' });
  answer();
  assert.equal((await asked).body, '"late"');
  await closing;
  assert.ok(isGone);
  agent.destroy();
  // A client that never ends is cut.
  const [second, secondPort] = await serve(
    {},
    new Router().on('GET', '/', (exchange) => exchange.head(200, [])),
  );
  const never = raw(secondPort, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  while (second.connections === 0) await new Promise((resolve) => setImmediate(resolve));
  await second.close(10);
  await never;
});

test('a port in use and an address that is not here are named', async () => {
  const [server, port] = await serve();
  await using _server = server;
  await assert.rejects(serve({ listen: [{ hosts: ['127.0.0.1'], port }] }), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'HTTP_PORT_IN_USE');
    assert.match(error.message, new RegExp(`^Port ${port} of 127\\.0\\.0\\.1 cannot be listened on: another program`));
    return true;
  });
  await assert.rejects(serve({ listen: [{ hosts: ['192.0.2.1'], port: 0 }] }), { code: 'HTTP_ADDRESS_NOT_HERE' });
  const [several] = await serve({ listen: [{ hosts: ['127.0.0.1', '127.0.0.2'], port: 0 }] });
  assert.equal(several.addresses[0]?.port, several.addresses[1]?.port);
  await several.close();
});

function makeCertificate(folder: string, name: string): { certificate: string; privateKey: string } {
  const certificate = join(folder, `${name}.crt`);
  const privateKey = join(folder, `${name}.key`);
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', privateKey];
  execFileSync('openssl', ['req', '-x509', ...key, '-out', certificate, '-days', '30', ...subject], {
    stdio: 'ignore',
  });
  return { certificate, privateKey };
}

test('HTTPS: a certificate changes under open connections, clients may show theirs', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-http-'));
  try {
    const old = makeCertificate(folder, 'old');
    const fresh = makeCertificate(folder, 'fresh');
    const client = makeCertificate(folder, 'client');
    const router = routes().on('GET', '/who', (exchange) => {
      const shown = exchange.clientCertificate;
      exchange.sendJson(200, shown === undefined ? null : { bytes: shown.der.length, isTrusted: shown.isTrusted });
    });
    const certificate = { ...old, clientCertificates: 'asked', clientAuthority: client.certificate } as const;
    const [server, port] = await serve({ listen: [{ hosts: ['127.0.0.1'], port: 0, certificate }] }, router);
    await using _server = server;
    const subject = async (): Promise<string> => {
      const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      const { CN } = socket.getPeerCertificate().subject;
      socket.destroy();
      return String(CN);
    };
    assert.equal(await subject(), 'old');
    const agent = new SecureAgent({ keepAlive: true, ca: readFileSync(old.certificate, 'utf8') });
    assert.equal((await ask({ port, path: '/who', agent }, undefined, true)).body, 'null');
    copyFileSync(fresh.certificate, old.certificate);
    await assert.rejects(server.reloadCertificates(), { code: 'HTTP_CERTIFICATE_UNUSABLE' });
    assert.equal(await subject(), 'old', 'a half renewal changes nothing');
    copyFileSync(fresh.privateKey, old.privateKey);
    await server.reloadCertificates();
    assert.equal(await subject(), 'fresh');
    const kept = await ask({ port, path: '/client', agent }, undefined, true);
    assert.equal(kept.status, 200, 'the old connection goes on');
    agent.destroy();
    const shown = { cert: readFileSync(client.certificate), key: readFileSync(client.privateKey) };
    const showing = new SecureAgent({ ...shown, rejectUnauthorized: false });
    const who = JSON.parse((await ask({ port, path: '/who', agent: showing }, undefined, true)).body);
    assert.equal(who.isTrusted, true);
    assert.ok(who.bytes > 100);
    showing.destroy();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a changed certificate file is found by looking', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-http-'));
  try {
    const old = makeCertificate(folder, 'old');
    const fresh = makeCertificate(folder, 'fresh');
    let read: () => void = () => {};
    const reread = new Promise<void>((resolve) => {
      read = resolve;
    });
    const logger = { debug: read, info: read, warn: () => {}, error: () => {} };
    const listen = [{ hosts: ['127.0.0.1'], port: 0, certificate: old }];
    const server = await HttpServer.open({ router: routes(), logger }, { listen, certificateCheckMs: 5 });
    await using _server = server;
    copyFileSync(fresh.privateKey, old.privateKey);
    copyFileSync(fresh.certificate, old.certificate);
    await reread;
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a certificate that cannot be read is named with user and mode', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-http-'));
  try {
    const { certificate, privateKey } = makeCertificate(folder, 'x');
    const listen = (privateKey: string): Promise<unknown> =>
      serve({ listen: [{ hosts: ['127.0.0.1'], port: 0, certificate: { certificate, privateKey } }] });
    await assert.rejects(listen(join(folder, 'none.key')), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'HTTP_CERTIFICATE_UNREADABLE');
      assert.match(error.message, new RegExp(`The private key .*none\\.key cannot be read by ${userInfo().username}`));
      return true;
    });
    chmodSync(folder, 0o750);
    await assert.rejects(listen(folder), /\(its mode is 0750\)/);
    writeFileSync(privateKey, 'no key');
    await assert.rejects(listen(privateKey), { code: 'HTTP_CERTIFICATE_UNUSABLE' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
