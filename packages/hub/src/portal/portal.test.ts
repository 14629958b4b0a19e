import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type IncomingHttpHeaders, request } from 'node:http';
import { request as secureRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '@atoll/base';
import { readConfiguration } from '../configuration.js';
import { askHub } from '../control.js';
import { type RunningHub, startHub } from '../startup.js';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Question {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  readonly ca?: string;
}

function ask(url: string, { method = 'GET', headers = {}, body, ca }: Question = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const own = method === 'GET' ? {} : { 'X-Atoll': '1' };
    const options = { method, headers: { ...own, ...headers }, agent: false as const };
    const sent = url.startsWith('https:')
      ? secureRequest(url, { ...options, ...(ca === undefined ? {} : { ca }) })
      : request(url, options);
    sent.on('error', reject).on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const PORTS = ['dht', 'proxy', 'proxyTls', 'names', 'namesTls', 'turn', 'portal', 'portalTls'];
const ANY_PORTS = Object.fromEntries(PORTS.map((name) => [`${name}Port`, '0']));

interface Trial {
  readonly hub: RunningHub;
  readonly state: string;
  readonly plain: string;
  readonly secure: string;
  readonly ca: string;
}

/** A hub on the loopback, with a page. */
async function trial(t: TestContext, extra: Record<string, string> = {}): Promise<Trial> {
  const folder = await mkdtemp(join(tmpdir(), 'atoll-portal-'));
  const page = join(folder, 'page');
  await mkdir(join(page, 'assets'), { recursive: true });
  await writeFile(join(page, 'index.html'), '<!doctype html><title>page</title>');
  await writeFile(join(page, 'assets', 'main-0123abcd.js'), 'plain');
  await writeFile(join(page, 'assets', 'main-0123abcd.js.br'), 'brotli');
  const state = join(folder, 'state');
  const given = { state, host: '127.0.0.1', peerDiscovery: 'false', mdns: 'false', ...ANY_PORTS, ...extra };
  const configuration = await readConfiguration(given, {}, undefined);
  const hub = await startHub(configuration, {
    version: '0',
    logger: silentLogger,
    portalFiles: page,
    fixed: new Set(['namesPort']),
  });
  t.after(async () => {
    await hub.stop();
    await rm(folder, { recursive: true });
  });
  const { url = '', urlTls = '' } = hub.ready.portal ?? {};
  const ca = await readFile(join(state, 'authority', 'atoll.crt'), 'utf8').catch(() => '');
  return { hub, state, plain: url, secure: urlTls, ca };
}

function codeOf(answer: Answer): string {
  return (JSON.parse(answer.text) as { error: { code: string } }).error.code;
}

test('pages to join and to trust come over HTTP, everything else over HTTPS that the own authority vouches for', async (t) => {
  const { plain, secure, ca, state, hub } = await trial(t);
  const page = await ask(plain);
  assert.equal(page.status, 200);
  assert.match(page.text, /<title>page/);
  assert.match(String(page.headers['content-security-policy']), /default-src 'none'.*frame-ancestors 'none'/);
  assert.doesNotMatch(String(page.headers['content-security-policy']), /unsafe|https?:| \*/);
  const again = await ask(plain, { headers: { 'If-None-Match': page.headers.etag ?? '' } });
  assert.equal(again.status, 304);
  assert.equal((await ask(`${plain}trust`)).status, 200);
  const script = `${plain}assets/main-0123abcd.js`;
  assert.equal((await ask(script)).text, 'plain');
  const packed = await ask(script, { headers: { 'Accept-Encoding': 'gzip, br' } });
  assert.deepEqual([packed.text, packed.headers['content-encoding']], ['brotli', 'br']);
  assert.match(packed.headers['cache-control'] ?? '', /immutable/);
  assert.equal((await ask(`${plain}assets/none.js`)).status, 404);
  assert.match((await ask(`${secure}assets/..%2f..%2fstate/lock`, { ca })).text, /<title>page/, 'nothing but the page');
  const away = await ask(`${plain}network?x=1`);
  assert.deepEqual([away.status, away.headers.location], [307, `${secure}network?x=1`]);
  const trusted = await ask(`${secure}network`, { ca });
  assert.deepEqual([trusted.status, trusted.headers['content-type']], [200, 'text/html; charset=utf-8']);
  assert.equal((await ask(`${plain}trust/atoll.crt`)).text, ca);
  assert.match((await ask(`${plain}trust/atoll.mobileconfig`)).text, /com\.apple\.security\.root/);
  const join_ = JSON.parse((await ask(`${plain}api/join`)).text);
  assert.equal(join_.bootstrap, hub.ready.dht.bootstrap);
  assert.match(join_.code, /^atoll:join\?v=1&/);
  assert.equal((await askHub(state, 'join')).code, join_.code);
  assert.equal((await ask(`${plain}readyz`)).status, 200);
  assert.match((await ask(`${plain}metrics`)).text, /^atoll_service_up\{service="dht"\} 1$/m);
  const why = JSON.parse((await ask(`${plain}api/why?of=a&to=b`)).text);
  assert.equal(why.findings[0].id, 'why-name-unknown');
  const reach = JSON.parse((await ask(`${plain}api/reach`)).text);
  assert.deepEqual([reach.address, reach.isProxySeen, reach.isTurnSeen], ['127.0.0.1', true, true]);
});

test('names that are not the hub’s, pages of others and strangers are refused', async (t) => {
  const { plain, secure, ca } = await trial(t, { portalNames: 'hub.school.example' });
  for (const host of ['evil.example', 'hub.school.example.evil.example', 'a@localhost']) {
    assert.equal((await ask(plain, { headers: { Host: host } })).status, 421, host);
  }
  for (const host of ['localhost:1', 'atoll.local', 'HUB.school.example:8088', '10.1.2.3', '[fd00::1]:8088']) {
    const { status, headers } = await ask(plain, { headers: { Host: host } });
    assert.equal(status, 200, host);
    const bare = host.toLowerCase().replace(/:\d+$/, '');
    const others = bare.startsWith('[') ? '' : ` ${bare}:*`;
    const policy = String(headers['content-security-policy']);
    assert.ok(policy.includes(`; connect-src 'self'${others}; `), `ports of ${host} in ${policy}`);
  }
  const body = { password: 'wrong-password' };
  const without = await ask(`${secure}api/session`, { method: 'POST', headers: { 'X-Atoll': '' }, body, ca });
  assert.deepEqual([without.status, codeOf(without)], [403, 'PORTAL_FOREIGN_PAGE']);
  const foreign = { Origin: 'https://evil.example' };
  assert.equal((await ask(`${secure}api/session`, { method: 'POST', headers: foreign, body, ca })).status, 403);
  assert.equal((await ask(`${secure}api/operator`, { ca })).status, 401);
  assert.equal((await ask(`${secure}api/operator/log`, { ca, headers: { Cookie: '__Host-atoll=x' } })).status, 401);
  const statuses = [];
  for (let i = 0; i < 12; i++) {
    statuses.push((await ask(`${secure}api/session`, { method: 'POST', body: { link: 'x' }, ca })).status);
  }
  assert.equal(statuses[0], 401);
  assert.equal(statuses.at(-1), 429, 'passwords cannot be tried for ever');
});

test('the first link opens the operator’s page once; then there is a password, and services, users, names and settings to change', async (t) => {
  const { secure, ca, hub, state } = await trial(t);
  const link = hub.operatorLink?.split('#link=')[1] ?? '';
  const post = (path: string, body: unknown, Cookie = '', method = 'POST'): Promise<Answer> =>
    ask(`${secure}api/${path}`, { method, body, ca, headers: Cookie === '' ? {} : { Cookie } });
  const opened = await post('session', { link });
  assert.deepEqual([opened.status, JSON.parse(opened.text).needsPassword], [200, true]);
  const [set = ''] = opened.headers['set-cookie'] ?? [];
  assert.match(set, /^__Host-atoll=\S+; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Strict; Secure$/);
  const cookie = set.split(';')[0] ?? '';
  assert.equal((await post('session', { link })).status, 401, 'once');
  const get = async (path: string): Promise<unknown> => {
    const answer = await ask(`${secure}api/operator${path}`, { ca, headers: { Cookie: cookie } });
    assert.equal(answer.status, 200, answer.text);
    return JSON.parse(answer.text);
  };
  assert.equal((await post('operator/password', { password: 'short' }, cookie)).status, 400);
  assert.equal((await post('operator/password', { password: 'long enough' }, cookie)).status, 204);
  assert.equal((await post('session', { password: 'long enough!' })).status, 401);
  assert.equal((await post('session', { password: 'long enough' })).status, 200);
  assert.equal((await askHub(state, 'status')).operatorLink, undefined);

  const off = await post('operator/services/names', { isOn: false }, cookie);
  assert.deepEqual([off.status, JSON.parse(off.text).isOn], [200, false]);
  assert.equal((await askHub(state, 'join')).nameServer, undefined);
  const on = await post('operator/services/names', { isOn: true }, cookie);
  assert.equal(JSON.parse(on.text).isWell, true);
  assert.equal((await post('operator/services/dht', { isOn: false }, cookie)).status, 409);

  const users = await post('operator/turn-users', { name: 'anna', password: 'anna-anna' }, cookie);
  assert.deepEqual(JSON.parse(users.text), [
    { name: 'atoll', isOwn: true },
    { name: 'anna', isOwn: false },
  ]);
  assert.equal((await post('operator/turn-users/anna', undefined, cookie, 'DELETE')).status, 200);
  assert.equal((await post('operator/turn-users/anna', undefined, cookie, 'DELETE')).status, 404);
  assert.deepEqual(await get('/names'), { names: [] });
  assert.equal((await post('operator/reserved-names', { name: 'Principal' }, cookie)).text, '["principal"]');

  const fixed = await post('operator/settings', { namesPort: 1 }, cookie, 'PATCH');
  assert.equal(fixed.status, 400);
  assert.equal((await post('operator/settings', { turnPort: 'x' }, cookie, 'PATCH')).status, 400);
  assert.equal((await post('operator/settings', { hubName: 'School', turnPort: 4000 }, cookie, 'PATCH')).status, 200);
  assert.equal((await askHub(state, 'join')).name, 'School');
  const next = await readConfiguration({ state }, {}, undefined);
  assert.deepEqual([next.turnPort, next.hubName], [4000, 'School'], 'the next start takes them up');
  const log = (await get('/log')) as { lines: { message: string }[] };
  assert.ok(log.lines.some(({ message }) => message.includes('switched the names service off')));
  assert.equal(((await get('')) as { isPasswordSet: boolean }).isPasswordSet, true);
  assert.equal((await post('operator/certificate', { certificate: 'x', key: 'y' }, cookie)).status, 409);
  assert.equal((await post('session', undefined, cookie, 'DELETE')).status, 204);
  assert.equal((await ask(`${secure}api/operator`, { ca, headers: { Cookie: cookie } })).status, 401);
});

test('two browsers leave each other messages in a room, over HTTP too, and codes cannot be tried for ever', async (t) => {
  const { plain } = await trial(t);
  const post = (path: string, body?: unknown): Promise<Answer> =>
    ask(`${plain}api/quality${path}`, { method: 'POST', body });
  assert.equal((await ask(`${plain}quality`)).status, 200);
  const { code, seat } = JSON.parse((await post('')).text);
  assert.equal((await post(`/${code}/messages`, { seat, message: 'offer' })).status, 204);
  const other = JSON.parse((await post(`/${code}`)).text);
  const heard = await ask(`${plain}api/quality/${code}/messages?seat=${other.seat}&after=0`);
  assert.deepEqual(JSON.parse(heard.text), { messages: ['offer'] });
  const refusals = [
    await post(`/${code}`),
    await post('/nobody'),
    await post(`/${code}/messages`, { seat, message: 'x'.repeat(16_385) }),
    await post(`/${code}/messages`, { seat, message: 1 }),
    await ask(`${plain}api/quality/${code}/messages?seat=${seat}&after=-1`),
    await ask(`${plain}api/quality/${code}/messages?seat=guess`),
  ];
  assert.deepEqual(
    refusals.map(({ status }) => status),
    [409, 404, 413, 400, 400, 404],
  );
  let last = 0;
  for (let n = 0; n < 12 && last !== 429; n++) last = (await post('/guess')).status;
  assert.equal(last, 429);
});
