import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { PrivateKey } from '@atoll/identity';
import { NameClient } from './client/name-client.js';
import { foundAnswer, isBad, keyInAnswer, readRegistration } from './core/registration.js';
import { NameServer, type NameServerOptions } from './server/name-server.js';
import { openNameStore } from './store/open-name-store.js';

interface Recorded {
  readonly case: string;
  readonly http: readonly { readonly request: string; readonly response: string }[];
  readonly signals: readonly [name: string, args: readonly [account: string, ...rest: (string | number)[]]][];
}

/** Exchanges of a real Jami daemon 13.7 with a recording server. */
function recorded(name: string): Recorded[] {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8'));
}

const signature: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(new URL('../vectors/signature.json', import.meta.url), 'utf8'),
);

/** What a server answers to these bytes; they ask it to close. */
async function send(port: number, bytes: string): Promise<{ head: string; body: string }> {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.write(bytes);
  await once(socket, 'close');
  const end = answer.indexOf('\r\n\r\n');
  return { head: answer.slice(0, end), body: answer.slice(end + 4) };
}

async function withServer(
  run: (port: number) => Promise<void>,
  options: Partial<NameServerOptions> = {},
): Promise<void> {
  const store = await openNameStore(':memory:');
  const server = await NameServer.open({ store }, { listen: [{ hosts: ['127.0.0.1'], port: 0 }], ...options });
  try {
    await run(server.addresses[0]?.port ?? 0);
  } finally {
    await server.close();
    await store.close();
  }
}

const posts = recorded('register')
  .flatMap(({ http }) => http)
  .map(({ request }) => request)
  .filter((request) => request.startsWith('POST'));

test('a recorded registration proves itself: key, address and signature', () => {
  const body: unknown = JSON.parse(signature.body_text ?? '');
  const record = readRegistration('rc201', body, {});
  assert.ok(!isBad(record));
  assert.equal(record.signature.toString('hex'), signature.signature_hex);
  const { publickey } = body as { publickey: string };
  const withNul = Buffer.from(publickey, 'base64');
  assert.equal(withNul.at(-1), 0);
  assert.deepEqual(Buffer.from(keyInAnswer(record.publicKey), 'base64'), withNul.subarray(0, -1), 'clean PEM');
  for (const [change, status] of [
    [{ addr: 'f'.repeat(40) }, 401],
    [{ addr: '0'.repeat(40) }, 400],
    [{ addr: 'x' }, 400],
    [{ signature: '' }, 400],
    [{ signature: 'AAAA' }, 401],
    [{ publickey: undefined }, 400],
    [{ publickey: 'AAAA' }, 401],
    [{ owner: '"' }, 400],
  ] as const) {
    const result = readRegistration('rc201', { ...(body as object), ...change }, {});
    assert.equal(isBad(result) ? result.status : undefined, status, JSON.stringify(change));
  }
  const other = readRegistration('rc202', body, {});
  assert.equal(isBad(other) && other.status, 401, 'the signature is of another name');
});

test('each recorded registration is taken, and found again with its proof', async () => {
  assert.ok(posts.length >= 20);
  for (const request of posts) {
    await withServer(async (port) => {
      const name = /^POST \/name\/(\S+)/.exec(request)?.[1] ?? '';
      const first = await send(port, request);
      assert.match(first.head, /^HTTP\/1\.1 200 OK\r\nContent-Type: application\/json\r\n/);
      assert.equal(first.body, '{"success":true}');
      assert.equal((await send(port, request)).body, '{"success":true}', 'again');
      const client = new NameClient({ server: `http://127.0.0.1:${port}`, cacheMs: 0 });
      const sent = JSON.parse(request.slice(request.indexOf('\r\n\r\n') + 4)) as Record<string, string>;
      const found = await client.lookup(name.toUpperCase());
      assert.ok(found.state === 'found' && found.isSigned);
      assert.deepEqual([found.name, found.address, found.signature], [name, sent.addr, sent.signature]);
      assert.deepEqual(await client.lookupAddress(sent.addr ?? ''), found);
      for (const [part, value] of [
        ['owner', sent.owner],
        ['signature', sent.signature],
      ]) {
        const { body } = await send(port, `GET /name/${name}/${part} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
        assert.deepEqual(JSON.parse(body), { name, [part ?? '']: value });
      }
    });
  }
});

test('one name for an address, one address for a name', async () => {
  const [first = '', second = ''] = posts;
  await withServer(async (port) => {
    assert.match((await send(port, first)).head, /^HTTP\/1\.1 200 /);
    const refused = await send(port, second);
    assert.match(refused.head, /^HTTP\/1\.1 403 /);
    assert.equal(JSON.parse(refused.body).success, false);
    const key = await PrivateKey.generateRsa(2048);
    const client = new NameClient({ server: `http://127.0.0.1:${port}`, cacheMs: 0 });
    assert.equal((await client.register('r400', key)).state, 'taken');
    assert.equal((await client.register('r401', key)).state, 'registered');
    const { head, body } = await send(
      port,
      first.replace(/"signature":"..../, '"signature":"AAAA').replace('close', 'close'),
    );
    assert.match(head, /^HTTP\/1\.1 401 /);
    assert.deepEqual(JSON.parse(body), { success: false, error: 'signature verification failed' });
  });
});

test('recorded look-ups of what is not there get the recorded answer', async () => {
  await withServer(async (port) => {
    let compared = 0;
    for (const { http } of recorded('lookup')) {
      for (const { request, response } of http) {
        const { head, body } = await send(port, request.replace('/base/', '/'));
        const path = /^GET (\S+)/.exec(request)?.[1] ?? '';
        assert.match(head, path === '/addr/hello' ? /^HTTP\/1\.1 400 / : /^HTTP\/1\.1 404 Not Found\r\n/, path);
        if (!response.includes('not registred')) continue;
        compared++;
        const [recordedHead = '', recordedBody] = response.split('\r\n\r\n');
        assert.equal(body, recordedBody);
        for (const line of recordedHead.split('\r\n')) assert.ok(head.includes(line), line);
      }
    }
    assert.ok(compared >= 3);
  });
});

/** A server that gives recorded answers, whoever asks. */
async function replaying(
  responses: ReadonlyMap<string, string>,
  run: (server: string) => Promise<void>,
): Promise<void> {
  const server = createServer((socket) => {
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk;
      const [head = '', body] = text.split('\r\n\r\n');
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (body === undefined || body.length < length) return;
      socket.end(responses.get(head.split(' HTTP')[0] ?? '') ?? 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  try {
    await run(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`);
  } finally {
    server.close();
  }
}

const RESULTS = ['found', 'invalid', 'not-found', 'error'];

/** Where our client knows better than the daemon of 2023. */
const BETTER: Readonly<Record<string, string>> = {
  'lookup name, status 400': 'invalid',
  'addr not hex': 'invalid',
  // Both mean the same address, which the signature proves.
  'signed answer, addr in upper case hex': 'found',
  'signed answer, addr with 0X prefix': 'found',
};

test('our client reads recorded answers as the Jami daemon did', async () => {
  const cases = [...recorded('lookup'), ...recorded('signed-answers')].filter(
    ({ http }) => http.length === 1 && /^GET \/name\//.test(http[0]?.request ?? ''),
  );
  assert.ok(cases.length > 30);
  for (const { case: title, http, signals } of cases) {
    const [{ request, response } = { request: '', response: '' }] = http;
    const asked = request.split(' HTTP')[0] ?? '';
    await replaying(new Map([[asked, response]]), async (server) => {
      const found = await new NameClient({ server }).lookup(asked.slice('GET /name/'.length));
      const [, [, result = 0, address = ''] = []] = signals[0] ?? [];
      assert.equal(found.state, BETTER[title] ?? RESULTS[Number(result)], title);
      if (found.state === 'found' && BETTER[title] === undefined) assert.equal(found.address, address, title);
    });
  }
});

test('our client reads recorded answers to registrations as the Jami daemon did', async () => {
  const key = await PrivateKey.generateRsa(2048);
  const states = ['registered', '', '', 'taken', 'error'];
  let compared = 0;
  for (const { case: title, http, signals } of recorded('register')) {
    const [{ request, response } = { request: '', response: '' }] = http;
    if (http.length !== 1 || !request.startsWith('POST') || title === '200 success number 1') continue;
    compared++;
    const asked = request.split(' HTTP')[0] ?? '';
    await replaying(new Map([[asked, response]]), async (server) => {
      const result = await new NameClient({ server }).register(asked.slice('POST /name/'.length), key);
      // The two answers without a signal ended the daemon’s HTTP thread.
      const [, [, code = 4] = []] = signals[0] ?? [];
      const expected = /status 40[01]/.test(title) ? 'refused' : states[Number(code)];
      assert.equal(result.state, expected, title);
    });
  }
  assert.ok(compared > 15);
});

test('a found answer is valid JSON with the address in lower case', () => {
  const record = readRegistration('rc201', JSON.parse(signature.body_text ?? ''), {});
  assert.ok(!isBad(record));
  const answer = JSON.parse(foundAnswer(record)) as Record<string, string>;
  assert.deepEqual(Object.keys(answer), ['name', 'addr', 'publickey', 'signature']);
  assert.match(answer.addr ?? '', /^0x[0-9a-f]{40}$/);
});
