import assert from 'node:assert/strict';
import { createECDH, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Clock, silentLogger, systemClock, systemRandom } from '@atoll/base';
import { createCertificate, InfoHash, PrivateKey } from '@atoll/identity';
import { TestApns, TestDistributor, TestFcm, TestGateway } from '@atoll/testkit';
import { DirectPushService } from './direct-push-service.js';
import type { PushPlatform, PushSubscription, SubscribeRequest } from './push-sender.js';
import type { PushServiceSettings } from './push-settings.js';
import { decryptWebPush } from './web-push-encryption.js';

const HOUR_MS = 3600_000;
const KEY = InfoHash.of('inbox');

/** All push services on loopback, and proxies' push layers that use them. */
class Bench implements AsyncDisposable {
  readonly distributor = new TestDistributor();
  readonly fcm = new TestFcm();
  readonly gateway = new TestGateway();
  readonly ended: string[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), 'atoll-push-'));
  private readonly services: DirectPushService[] = [];

  static async start(): Promise<Bench> {
    const bench = new Bench();
    await bench.distributor.listen();
    await bench.fcm.listen();
    await bench.gateway.listen();
    writeFileSync(join(bench.folder, 'account.json'), bench.fcm.serviceAccount);
    return bench;
  }

  settings(more: Partial<PushServiceSettings> = {}): PushServiceSettings {
    return {
      databasePath: join(this.folder, 'push.db'),
      vapidKeyPath: join(this.folder, 'vapid.pem'),
      contact: 'mailto:operator@example.org',
      unifiedPush: { isEnabled: true, allow: [], isHttpAllowed: false },
      fcm: { serviceAccountPath: join(this.folder, 'account.json') },
      gateway: { server: this.gateway.url, bundleId: 'org.example.bundle', form: 'current' },
      ...more,
    };
  }

  async service(
    more: Partial<PushServiceSettings> = {},
    clock: Clock = systemClock,
    overrides: ConstructorParameters<typeof DirectPushService>[2] = {},
  ): Promise<{ service: DirectPushService; kept: readonly PushSubscription[] }> {
    const service = new DirectPushService(
      { clock, random: systemRandom, logger: silentLogger, ownPorts: () => [] },
      this.settings(more),
      { fcmUrl: this.fcm.url, loopbackPorts: [this.distributor.port], ...overrides },
    );
    this.services.push(service);
    const kept = await service.start({ onEnded: (subscription) => this.ended.push(subscription.token) });
    return { service, kept };
  }

  endpoint(path: string): string {
    return `${this.distributor.url}${path}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const service of this.services) await service.stop();
    await this.distributor[Symbol.asyncDispose]();
    await this.fcm[Symbol.asyncDispose]();
    await this.gateway[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true });
  }
}

const request = (token: string, platform: PushPlatform, topic = ''): SubscribeRequest => ({
  key: KEY,
  token,
  platform,
  topic,
  clientId: 'acc',
  sessionId: 'sess',
});

test('each phone is reached its own way, directly where there are credentials, else through the gateway', async () => {
  await using bench = await Bench.start();
  const { service } = await bench.service();
  const fcmToken = `${'f'.repeat(22)}:${'A'.repeat(140)}`;
  const targets = [
    request(bench.endpoint('/up/plain'), 'unifiedpush'),
    request(bench.endpoint('/up/unsaid'), 'none', 'cx.ring'),
    request('android-token', 'android'),
    request(fcmToken, 'none', 'cx.ring'),
    request('ios-token', 'ios'),
    request('token-of-what', 'none'),
  ];
  for (const target of targets) {
    assert.equal(service.refusal(target), undefined);
    service.notify(target, { key: KEY.toString(), s: 'sess', t: 5, to: 'acc' }, 'high');
  }
  const text = `{"key":"${KEY}","s":"sess","t":5,"to":"acc"}`;
  for (const path of ['/up/plain', '/up/unsaid']) {
    const push = await bench.distributor.received.waitFor((found) => found.path === path);
    assert.equal(String(push.body), text);
    assert.deepEqual([push.headers.ttl, push.headers.urgency, push.status], ['86400', 'high', 201]);
    assert.equal(push.headers['content-encoding'], undefined);
  }
  for (const token of ['android-token', fcmToken]) {
    await bench.fcm.received.waitFor(({ body, status }) => status === 200 && String(body).includes(`"${token}"`));
  }
  for (const token of ['ios-token', 'token-of-what']) {
    await bench.gateway.received.waitFor(
      ({ body }) => String(body).includes(`"platform":1`) && String(body).includes(token),
    );
  }
  assert.deepEqual(
    [service.stats.android, service.stats.ios, service.stats.unifiedPush],
    new Array(3).fill({ high: 2, normal: 0 }),
  );
});

test('a client with Web Push keys gets what only it can read, signed by a key that it can know', async () => {
  await using bench = await Bench.start();
  const { service } = await bench.service();
  const phone = createECDH('prime256v1');
  phone.generateKeys();
  const auth = randomBytes(16);
  const target = request(
    bench.endpoint('/up/keys'),
    'unifiedpush',
    `${phone.getPublicKey('base64url')}|${auth.toString('base64url')}`,
  );
  service.notify(target, { to: 'acc', pong: true }, 'normal');
  const { headers, body } = await bench.distributor.received.waitFor(() => true);
  assert.equal(String(decryptWebPush(body, phone.getPrivateKey(), auth)), '{"pong":true,"to":"acc"}');
  assert.equal(headers['content-encoding'], 'aes128gcm');
  assert.equal(headers.urgency, 'normal');
  assert.ok(headers.authorization?.endsWith(`, k=${service.vapidPublicKey}`));
  assert.equal(statSync(join(bench.folder, 'vapid.pem')).mode & 0o777, 0o600);
  assert.equal(service.refusal({ ...target, topic: 'AAAA|BBBB' })?.status, 400);
});

test('subscriptions survive a restart; those that ended meanwhile do not', async () => {
  await using bench = await Bench.start();
  let offsetMs = 0;
  const clock = { nowMs: () => systemClock.nowMs(), unixMs: () => systemClock.unixMs() + offsetMs };
  const { service: first, kept: none } = await bench.service({}, clock);
  assert.equal(none.length, 0);
  const old = request(bench.endpoint('/up/old'), 'unifiedpush');
  const young = request(bench.endpoint('/up/young'), 'unifiedpush');
  assert.equal(first.subscribe(old).outcome, 'new');
  offsetMs = 20 * HOUR_MS;
  assert.equal(first.subscribe(young).outcome, 'new');
  assert.equal(first.subscribe({ ...young, sessionId: 'next' }).outcome, 'renewed');
  await first.stop();
  offsetMs = 25 * HOUR_MS;
  const { service: second, kept } = await bench.service({}, clock);
  assert.deepEqual(
    kept.map(({ token, sessionId }) => [token, sessionId]),
    [[young.token, 'next']],
  );
  assert.equal(second.stats.tokens, 1);
  assert.deepEqual(bench.ended, []);
  assert.equal(second.unsubscribe(young), true);
  assert.equal(second.unsubscribe(young), false);
});

test('a phone is warned two hours before the end, once, and at the end its subscription is over', async () => {
  await using bench = await Bench.start();
  let offsetMs = 0;
  const clock = { nowMs: () => systemClock.nowMs(), unixMs: () => systemClock.unixMs() + offsetMs };
  const { service } = await bench.service({}, clock);
  const phone = request(bench.endpoint('/up/phone'), 'unifiedpush');
  service.subscribe(phone);
  offsetMs = 22 * HOUR_MS - 1000;
  // Any event makes the layer look at the clock.
  service.subscribe(request(bench.endpoint('/up/other'), 'unifiedpush'));
  const warning = await bench.distributor.received.waitFor(() => true);
  assert.equal(warning.path, '/up/phone');
  assert.equal(String(warning.body), `{"s":"sess","timeout":"${KEY}","to":"acc"}`);
  offsetMs = 24 * HOUR_MS;
  service.subscribe(request(bench.endpoint('/up/other'), 'unifiedpush'));
  await service.stop();
  const { kept } = await bench.service({}, clock);
  assert.deepEqual(
    kept.map(({ token }) => token),
    [bench.endpoint('/up/other')],
  );
  assert.equal(bench.distributor.received.all.length, 1);
});

test('a push service that does not know a phone any more ends all its subscriptions', async () => {
  await using bench = await Bench.start();
  const { service } = await bench.service();
  const gone = bench.endpoint('/up/gone');
  bench.distributor.answers.set('/up/gone', { status: 410 });
  for (const name of ['a', 'b']) service.subscribe({ ...request(gone, 'unifiedpush'), key: InfoHash.of(name) });
  service.subscribe(request(bench.endpoint('/up/stays'), 'unifiedpush'));
  service.notify(request(gone, 'unifiedpush'), { to: 'acc' }, 'high');
  await bench.distributor.received.waitFor(({ status }) => status === 410);
  while (bench.ended.length < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(bench.ended, [gone, gone]);
  assert.equal(service.stats.tokens, 1);
});

test('what is refused is refused at once, with a status and a reason', async () => {
  await using bench = await Bench.start();
  const { service } = await bench.service({ fcm: undefined, gateway: undefined, limits: { perAddress: 1 } });
  const refused = (target: SubscribeRequest, address?: string): number | undefined => {
    const result = service.subscribe(target, address);
    return result.outcome === 'refused' ? result.status : undefined;
  };
  assert.equal(refused(request('https://192.168.1.1/up', 'unifiedpush')), 403);
  assert.equal(refused(request('http://169.254.169.254/latest', 'unifiedpush')), 403);
  assert.equal(refused(request('http://127.0.0.1:1/', 'none')), 403);
  assert.equal(refused(request('tok', 'android')), 501);
  assert.equal(refused(request('tok', 'ios')), 501);
  assert.equal(refused(request('tok', 'none')), 501);
  const good = request(bench.endpoint('/up/a'), 'unifiedpush');
  assert.equal(refused({ ...good, clientId: 'x'.repeat(1000) }), 400);
  assert.equal(refused(good, 'one'), undefined);
  assert.equal(refused({ ...good, clientId: 'other' }, 'one'), 429);
  assert.equal(refused({ ...good, clientId: 'other' }, 'two'), undefined);
  service.notify(request('https://192.168.1.1/up', 'unifiedpush'), { to: 'acc' }, 'high');
  assert.equal(service.counts.size, 0);
  await service.stop();
  const { service: withoutUnifiedPush } = await bench.service({
    unifiedPush: { isEnabled: false, allow: [], isHttpAllowed: false },
  });
  assert.equal(withoutUnifiedPush.refusal(good)?.status, 501);
});

test('a stranger who names this machine in any way reaches nothing on it', async () => {
  let connections = 0;
  const inside = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => inside.listen(0, '127.0.0.1', resolve));
  inside.unref();
  const { port } = inside.address() as { port: number };
  await using bench = await Bench.start();
  const names = { resolve: async () => ['127.0.0.1'], ownAddresses: () => [] };
  const { service } = await bench.service({}, systemClock, { names });
  const hosts = [
    '127.0.0.1',
    '127.1',
    '0x7f.1',
    '2130706433',
    '017700000001',
    '[::1]',
    '[::ffff:127.0.0.1]',
    'localhost',
    '0',
    '[::]',
  ];
  for (const host of hosts) {
    for (const scheme of ['http', 'https']) {
      const target = request(`${scheme}://${host}:${port}/`, 'unifiedpush');
      assert.equal(service.refusal(target)?.status, 403, target.token);
      service.notify(target, { to: 'acc' }, 'high');
    }
  }
  const named = request(`https://innocent.example.org:${port}/`, 'unifiedpush');
  assert.equal(service.refusal(named), undefined);
  service.notify(named, { to: 'acc' }, 'high');
  while (!service.counts.has('refused: the endpoint has a loopback address'))
    await new Promise((resolve) => setImmediate(resolve));
  assert.equal(connections, 0);
  inside.close();
});

test('Apple is spoken to directly with the key of the operator', async () => {
  await using bench = await Bench.start();
  const key = await PrivateKey.generateRsa(2048);
  const certificate = await createCertificate({
    name: 'localhost',
    key,
    isCa: false,
    validFromMs: systemClock.unixMs() - 1000,
  });
  await using apns = await new TestApns({ key: key.toPem(), cert: certificate.toPem() }).listen();
  const keyPath = join(bench.folder, 'AuthKey.p8');
  writeFileSync(keyPath, apns.keyFile);
  const { keyId, teamId } = apns;
  const { service } = await bench.service(
    { apns: { keyPath, keyId, teamId, bundleId: 'org.example.bundle', isSandbox: false } },
    systemClock,
    { apnsUrl: apns.url, apnsAuthorities: [certificate.toPem()] },
  );
  const token = 'cd'.repeat(32);
  service.subscribe(request(token, 'ios'));
  service.notify(request(token, 'ios'), { to: 'acc' }, 'high');
  await apns.received.waitFor(({ status }) => status === 200);
  apns.unregistered.add(token);
  service.notify(request(token, 'none'), { to: 'acc' }, 'high');
  await apns.received.waitFor(({ status }) => status === 410);
  while (bench.ended.length < 1) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(bench.ended, [token]);
  assert.equal(bench.gateway.received.all.length, 0);
});

test('settings that cannot work fail at the start with the file named', async () => {
  await using bench = await Bench.start();
  const start = (more: Partial<PushServiceSettings>) => () =>
    new DirectPushService(
      { clock: systemClock, random: systemRandom, logger: silentLogger, ownPorts: () => [] },
      bench.settings(more),
    );
  const none = join(bench.folder, 'none');
  const apns = { keyPath: none, keyId: 'a', teamId: 'b', bundleId: 'c', isSandbox: true };
  assert.throws(start({ fcm: { serviceAccountPath: none } }), { code: 'PUSH_CREDENTIALS_UNUSABLE', message: /none/ });
  assert.throws(start({ apns }), { code: 'PUSH_CREDENTIALS_UNUSABLE', message: /none/ });
  assert.throws(start({ unifiedPush: { isEnabled: true, allow: [], isHttpAllowed: false, authorityPath: none } }), {
    code: 'PUSH_CREDENTIALS_UNUSABLE',
  });
  assert.throws(start({ unifiedPush: { isEnabled: true, allow: ['127.0.0.1'], isHttpAllowed: false } }), {
    code: 'USAGE',
  });
  assert.throws(start({ gateway: { server: 'x', bundleId: '', form: 'current' } }), { code: 'USAGE' });
});
