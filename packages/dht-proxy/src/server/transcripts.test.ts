import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { createTestNetwork, type TestNetwork } from '@atoll/dht';
import type { HttpServer } from '@atoll/http';
import { InfoHash } from '@atoll/identity';
import type { PushPayload, PushService, PushSubscription, SubscribeRequest } from '../push/push-sender.js';
import { DhtProxy } from './dht-proxy.js';
import { openProxyServer } from './proxy-server.js';

interface Transcript {
  readonly request: string;
  readonly response: readonly { readonly data?: string; readonly event?: string }[];
}

interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  readonly isClosed: boolean;
}

const transcript = (name: string): Transcript =>
  JSON.parse(readFileSync(new URL(`../../vectors/server/${name}.json`, import.meta.url), 'utf8'));

/** A push layer that only remembers. */
class PushRecorder implements PushService {
  readonly pushed: PushPayload[] = [];
  private readonly subscriptions = new Map<string, PushSubscription>();

  async start(): Promise<readonly PushSubscription[]> {
    return [];
  }

  subscribe(request: SubscribeRequest): ReturnType<PushService['subscribe']> {
    const subscription = { ...request, expiresUnixMs: Date.now() + 86_400_000 };
    const name = `${request.key} ${request.token} ${request.clientId}`;
    const outcome = this.subscriptions.has(name) ? 'renewed' : 'new';
    this.subscriptions.set(name, subscription);
    return { outcome, subscription };
  }

  unsubscribe(): boolean {
    return true;
  }

  refusal(): undefined {
    return undefined;
  }

  notify(_target: unknown, payload: PushPayload): void {
    this.pushed.push(payload);
  }

  get stats(): PushService['stats'] {
    const none = { high: 0, normal: 0 };
    return { tokens: this.subscriptions.size, android: none, ios: none, unifiedPush: none };
  }

  async stop(): Promise<void> {}
}

let network: TestNetwork;
let proxy: DhtProxy;
let server: HttpServer;
const push = new PushRecorder();

before(async () => {
  network = await createTestNetwork(4);
  proxy = new DhtProxy({ node: () => network.nodes[1], push });
  await proxy.start();
  server = await openProxyServer(proxy, { listen: [{ hosts: ['127.0.0.1'], port: 0 }] });
});

after(async () => {
  await proxy.stop();
  await server.close();
  await network.close();
});

/** Sends bytes as they are; resolves when the answer is whole or the connection is closed. */
function exchange(request: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port() ?? 0, '127.0.0.1', () => socket.write(request, 'latin1'));
    let text = '';
    socket.setEncoding('latin1');
    socket.on('data', (data) => {
      text += data;
      if (/^Connection: keep-alive/im.test(text) && isWhole(text)) {
        socket.destroy();
        resolve(parse(text, false));
      }
    });
    socket.on('error', reject);
    socket.on('end', () => resolve(parse(text, true)));
  });
}

function isWhole(text: string): boolean {
  const [head = '', body] = text.split('\r\n\r\n');
  if (body === undefined) return false;
  const length = /^Content-Length: (\d+)/im.exec(head)?.[1];
  return length === undefined ? text.endsWith('0\r\n\r\n') : body.length >= Number(length);
}

function parse(text: string, isClosed: boolean): Answer {
  const at = text.indexOf('\r\n\r\n');
  const [first = '', ...lines] = text.slice(0, at).split('\r\n');
  const headers = new Map(
    lines.map((line): [string, string] => {
      const [name = '', value = ''] = line.split(': ');
      return [name.toLowerCase(), value];
    }),
  );
  const body = text.slice(at + 4);
  const isChunked = headers.get('transfer-encoding') === 'chunked';
  return { status: Number(first.split(' ')[1] ?? 0), headers, body: isChunked ? unchunk(body) : body, isClosed };
}

function unchunk(text: string): string {
  let rest = text;
  let body = '';
  for (;;) {
    const end = rest.indexOf('\r\n');
    const length = Number.parseInt(rest.slice(0, end), 16);
    if (!(length > 0)) return body;
    body += rest.slice(end + 2, end + 2 + length);
    rest = rest.slice(end + 4 + length);
  }
}

function recorded({ response }: Transcript): Answer {
  const text = response.map(({ data = '' }) => data).join('');
  return parse(
    text,
    response.some(({ event }) => event?.includes('closed by server')),
  );
}

const HEADERS_THAT_MATTER = [
  'connection',
  'content-type',
  'access-control-allow-origin',
  'access-control-allow-headers',
  'access-control-max-age',
  'transfer-encoding',
];

function assertSameFrame(ours: Answer, theirs: Answer): void {
  assert.equal(ours.status, theirs.status);
  for (const name of HEADERS_THAT_MATTER) assert.equal(ours.headers.get(name), theirs.headers.get(name), name);
  assert.equal(ours.isClosed, theirs.isClosed);
}

/** Ids that the node chose, theirs and ours. */
const chosen = new Map<string, string>();

function linesOf(body: string): unknown[] {
  const lines = body.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line)).sort((a, b) => (String(a.id) < String(b.id) ? -1 : 1));
}

// In the order in which they build on each other.
const EQUAL = [
  'put-plain',
  'put-noid',
  'put-id-number-legacy-route',
  'get',
  'get-legacy',
  'get-http10',
  'get-empty',
  'put-textkey',
  'get-textkey-hash',
  'get-query',
  'get-slash',
  'get-upper',
  'get-longhex',
  'put-enckey',
  'get-enckey-raw',
  'get-enckey-dec',
  'get-node',
  'get-options',
  'options-hash',
  'put-badjson',
  'put-badtype',
  'put-empty',
  'put-nonobject',
  'put-permanent-true',
  'put-permanent-false',
  'put-permanent-push-noid',
  'put-permanent-push-noid-again',
  'sign',
  'encrypt',
  'head',
  'delete',
  'no-route',
  'subscribe-android-new',
  'subscribe-android-refresh',
  'subscribe-android-again',
  'subscribe-bad-json',
  'subscribe-ios-no-topic',
  'subscribe-ios-topic',
  'subscribe-no-key',
  'subscribe-no-platform',
  'subscribe-unifiedpush',
  'unsubscribe-ok',
  'unsubscribe-again',
  'unsubscribe-bad-json',
  'unsubscribe-legacy',
  'unsubscribe-no-key',
];

for (const name of EQUAL) {
  test(`${name} is answered as the original does`, async () => {
    const known = transcript(name);
    const theirs = recorded(known);
    const ours = await exchange(known.request);
    assertSameFrame(ours, theirs);
    if (/noid$/.test(name)) chosen.set(String(JSON.parse(theirs.body).id), String(JSON.parse(ours.body).id));
    let expected = theirs.body;
    for (const [from, to] of chosen) expected = expected.replaceAll(from, to);
    if (expected.endsWith('\n')) assert.deepEqual(linesOf(ours.body), linesOf(expected));
    else assert.equal(ours.body, expected);
  });
}

for (const name of ['info-root', 'info-node', 'stats', 'stats-busy']) {
  test(`${name} has the members of the original, with the same types`, async () => {
    const known = transcript(name);
    const theirs = recorded(known);
    const ours = await exchange(known.request);
    assertSameFrame(ours, theirs);
    assert.ok(ours.body.endsWith('}\n'));
    assertHas(JSON.parse(ours.body), JSON.parse(theirs.body), '');
    assert.ok(!ours.body.includes('"id"'), 'a node without identity has no id');
  });
}

/** Counts and ids differ; `id` is left out by a node without identity. */
function assertHas(ours: Record<string, unknown>, theirs: Record<string, unknown>, where: string): void {
  for (const [name, value] of Object.entries(theirs)) {
    if (name === 'id') continue;
    assert.equal(typeof ours[name], typeof value, `${where}${name}`);
    if (typeof value === 'object') {
      assertHas(ours[name] as Record<string, unknown>, value as Record<string, unknown>, `${name}.`);
    }
  }
}

test('what newer proxies answer better is answered as they do', async () => {
  for (const name of ['options-key-hash', 'options-key-listen']) {
    const ours = await exchange(transcript(name).request);
    assert.equal(ours.status, 200, name);
    assert.match(ours.headers.get('access-control-allow-methods') ?? '', /SUBSCRIBE, UNSUBSCRIBE/);
  }
  assert.equal((await exchange(transcript('put-badbase64').request)).status, 500);
  assert.equal((await exchange(transcript('pingpush').request)).status, 200);
  assert.deepEqual(push.pushed.at(-1), { pong: true, to: '' });
});

test('methods that are none are never answered with a route', async () => {
  for (const name of ['listen-method', 'stats-method']) {
    const ours = await exchange(transcript(name).request);
    assert.deepEqual([ours.status, ours.isClosed], [400, true], name);
  }
});

test('a value that is too large is refused at once, with the reason', async () => {
  const body = `{"id":"5","data":"${Buffer.alloc(70_000).toString('base64')}"}`;
  const head = `POST /key/bigkey HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`;
  const ours = await exchange(head + body);
  assert.equal(ours.status, 413);
  assert.match(JSON.parse(ours.body).err, /65536 bytes; this one has 70/);
  const huge = await exchange(head.replace(/Length: \d+/, 'Length: 300000') + 'x'.repeat(300_000));
  assert.equal(huge.status, 413);
});

test('a subscription to a key with values is pushed at once, and answered with them when it is there already', async () => {
  const key = '3333333333333333333333333333333333333333';
  for (const value of [
    '{"data":"aGk=","id":"301","type":5}',
    '{"data":"aGky","id":"302","prio":1,"type":0}',
    '{"data":"aGkz","id":"303","type":0}',
  ]) {
    const head = `POST /key/${key} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${value.length}\r\n\r\n`;
    assert.equal((await exchange(head + value)).status, 200);
  }
  push.pushed.length = 0;
  for (const name of ['subscribe-legacy-new-existing-values', 'subscribe-legacy-again-existing-values']) {
    const known = transcript(name);
    const theirs = recorded(known);
    const ours = await exchange(known.request);
    assertSameFrame(ours, theirs);
    assert.deepEqual(linesOf(ours.body), linesOf(theirs.body));
  }
  const first = push.pushed.find(({ to }) => to === 'acc9');
  assert.equal(first?.key, key);
  assert.equal(first?.s, 'sess9');
  assert.ok((first?.ids ?? '').split(',').every((id) => ['301', '302', '303'].includes(id)));
});

test('a listen tells what is there, what comes and what goes, a chunk each', async () => {
  const { request, response } = transcript('listen-expire');
  const [, ...chunks] = response.map(({ data = '' }) => data);
  const key = InfoHash.parse('1111111111111111111111111111111111111111');
  const socket = connect(server.port() ?? 0, '127.0.0.1', () => socket.write(request));
  let text = '';
  socket.setEncoding('latin1');
  const upTo = (count: number): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (text.split('\r\n\r\n').slice(1).join('\r\n\r\n').split('}\n\r\n').length <= count) return;
        socket.off('data', look);
        resolve();
      };
      socket.on('data', look);
      look();
    });
  socket.on('data', (data) => {
    text += data;
  });
  await new Promise((resolve) => socket.once('data', resolve));
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
  for (const [at, value] of ['{"data":"b25l","id":"101","type":5}', '{"data":"dHdv","id":"102","type":0}'].entries()) {
    const head = `POST /key/${key} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${value.length}\r\n\r\n`;
    assert.equal((await exchange(head + value)).status, 200);
    await upTo(at + 1);
  }
  for (const each of network.nodes) each.core.storage.remove(key, 101n);
  await upTo(3);
  const body = text.slice(text.indexOf('\r\n\r\n') + 4);
  assert.equal(body.toLowerCase(), chunks.join('').toLowerCase());
  assert.equal(proxy.keeper.listens.total, 1);
  socket.destroy();
  while (proxy.keeper.listens.total > 0) await new Promise((resolve) => setImmediate(resolve));
});
