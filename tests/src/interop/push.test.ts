import assert from 'node:assert/strict';
import { createECDH, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { decryptWebPush } from '@atoll/dht-proxy';
import { Certificate, InfoHash } from '@atoll/identity';
import { eventually, type Host, Jamid, Lan } from '@atoll/testkit';
import { PushProxy, type PushProxySettings } from './push-proxy.js';
import { type PushSeen, PushServices } from './push-services.js';

const CLIENT = fileURLToPath(new URL('push-client-main.js', import.meta.url));
const HOUR_MS = 3600_000;
const KEY = '3333333333333333333333333333333333333333';

/** A proxy on one host, the push services on another, a folder for both, and hosts for phones and people. */
async function withLab(run: (lab: Lab) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'atoll-push-'));
  await using lan = await Lan.create({ hosts: 4 });
  const [proxyHost, servicesHost, phoneHost, otherHost] = [lan.host(0), lan.host(1), lan.host(2), lan.host(3)];
  await using services = await PushServices.start(servicesHost, folder);
  const { distributor, fcm, apns, apnsKeyId, apnsTeam } = services.facts;
  const settings: PushProxySettings = {
    folder,
    options: {
      pushAllow: [new URL(distributor).host],
      pushContact: 'mailto:operator@example.org',
      fcmAccount: join(folder, 'service-account.json'),
      apnsKey: join(folder, `AuthKey_${apnsKeyId}.p8`),
      apnsTeam,
      bundleId: 'org.example.bundle',
    },
    overrides: { fcmUrl: fcm, apnsUrl: apns, apnsAuthorities: [services.authority] },
    clockAheadMs: 0,
  };
  try {
    await run({ services, settings, proxyHost, servicesHost, phoneHost, otherHost });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Lab {
  readonly services: PushServices;
  readonly settings: PushProxySettings;
  readonly proxyHost: Host;
  readonly servicesHost: Host;
  readonly phoneHost: Host;
  readonly otherHost: Host;
}

/** One request to the proxy from a host, as a client of whatever kind makes it; status and body. */
function ask(from: Host, proxy: Host, method: string, path: string, body: object): { status: number; body: string } {
  const url = `http://${proxy.address}:8080${path}`;
  const answer = from.exec(process.execPath, CLIENT, method, url, JSON.stringify(body));
  const [status = '', ...lines] = answer.split('\n');
  return { status: Number(status), body: lines.join('\n') };
}

test('a Jami phone asleep is woken by a contact request: UnifiedPush, plain and encrypted, Firebase, Apple', () =>
  withLab(async ({ services, settings, proxyHost, phoneHost, otherHost }) => {
    let proxy = await PushProxy.start(proxyHost, settings);
    const viaProxy = {
      'Account.proxyEnabled': 'true',
      'Account.proxyServer': `http://${proxyHost.address}:8080`,
      'Account.dhtProxyListUrl': '',
    };
    await using phone = await Jamid.start(phoneHost, { displayName: 'phone', bootstrap: '', settings: viaProxy });
    const uri = await phone.uri();
    const inbox = await inboxOf(phone);
    const keys = createECDH('prime256v1');
    keys.generateKeys();
    const auth = randomBytes(16);
    const ways = [
      { service: 'distributor', path: '/up/plain', token: `${services.facts.distributor}/up/plain`, topic: '' },
      {
        service: 'distributor',
        path: '/up/keys',
        token: `${services.facts.distributor}/up/keys`,
        topic: `${keys.getPublicKey('base64url')}|${auth.toString('base64url')}`,
      },
      {
        service: 'fcm',
        path: '/v1/projects/test-project/messages:send',
        token: `${'f'.repeat(22)}:${'A'.repeat(140)}`,
        topic: '',
      },
      { service: 'apns', path: `/3/device/${'ab'.repeat(32)}`, token: 'ab'.repeat(32), topic: '' },
    ] as const;
    await using people = await Jamid.start(otherHost, {
      displayName: 'people',
      bootstrap: `${proxyHost.address}:4222`,
    });
    for (const [number, { service, path, token, topic }] of ways.entries()) {
      await phone.fallAsleep();
      await phone.wakeUp({ proxyPushToken: token, proxyPushiOSTopic: topic });
      // Its inbox, its requests, its announcement.
      await eventually(async () => (await proxy.counts()).tokens === number + 1, 'the phone did not subscribe');
      await eventually(() => phone.log.includes('using push notifications'), 'the phone does not use push');
      await phone.fallAsleep();
      // Power fails at the hub while the phone sleeps.
      await proxy.process.kill();
      proxy = await PushProxy.start(proxyHost, settings);
      assert.equal(proxy.tokensAtStart, number + 1);
      const mark = services.mark;
      const stranger = number === 0 ? people.account : await people.addAccount(`stranger ${number}`);
      const strangerUri = await people.uriOf(stranger);
      await people.call('addContact', 'ss', [stranger, uri]);
      await people.call('sendTrustRequest', 'ssay', [stranger, uri, []]);
      const open = topic === '' ? undefined : (body: Buffer) => decryptWebPush(body, keys.getPrivateKey(), auth);
      const push = await services.waitForPush(
        (each) => each.service === service && each.path === path && dataOf(each, open).key === inbox,
        mark,
      );
      assert.ok(push.status >= 200 && push.status < 300, String(push.status));
      assert.equal(dataOf(push, open).to, phone.account);
      await phone.wakeUp();
      await phone.bus.waitFor('incomingTrustRequest', (args) => args.includes(strangerUri), 90_000);
    }
    await proxy[Symbol.asyncDispose]();
  }));

/** The data object of a push, however the service packs it. */
function dataOf(push: PushSeen, open?: (body: Buffer) => Buffer | string): Readonly<Record<string, unknown>> {
  const body = Buffer.from(push.body, 'base64');
  const found = JSON.parse(String(open?.(body) ?? body)) as Record<string, unknown>;
  return push.service === 'fcm' ? (found.message as { data: Record<string, unknown> }).data : found;
}

const at = (path: string) => (push: PushSeen) => push.path === path;

/** Key that contact requests for a device are put at. */
async function inboxOf(phone: Jamid): Promise<string> {
  const certificate = Certificate.decode(Buffer.from(await phone.deviceCertificate()));
  assert.ok(certificate);
  return InfoHash.of(`inbox:${certificate.publicKey.id}`).toString();
}

test('subscriptions end by themselves, and when the push service does not know the phone any more', () =>
  withLab(async ({ services, settings, proxyHost, phoneHost }) => {
    const endpoint = `${services.facts.distributor}/up`;
    const subscribe = (path: string) =>
      ask(phoneHost, proxyHost, 'SUBSCRIBE', `/key/${KEY}`, {
        key: `${endpoint}/${path}`,
        client_id: path,
        session_id: 'sess',
        platform: 'unifiedpush',
        topic: '',
      });
    const put = (data: string) =>
      ask(phoneHost, proxyHost, 'POST', `/key/${KEY}`, {
        id: '0',
        type: 0,
        data: Buffer.from(data).toString('base64'),
      });
    let proxy = await PushProxy.start(proxyHost, settings);
    await eventually(() => subscribe('stays').status === 200, 'the proxy does not serve');
    assert.equal(subscribe('gone').status, 200);
    await services.answer({ path: '/up/gone', status: 410 });
    assert.equal((await proxy.counts()).tokens, 2);
    assert.equal(put('first').status, 200);
    await services.waitForPush(at('/up/stays'));
    await services.waitForPush(at('/up/gone'));
    await eventually(async () => (await proxy.counts()).tokens === 1, 'a dead token was kept');
    const unknown = services.mark;
    assert.equal(put('second').status, 200);
    await services.waitForPush(at('/up/stays'), unknown);
    assert.ok(services.pushes(unknown).every(({ path }) => path === '/up/stays'));
    await proxy.process.stop();

    // Two hours before the end the phone is told; after the end there is nothing left to tell it.
    const warned = services.mark;
    proxy = await PushProxy.start(proxyHost, { ...settings, clockAheadMs: 23 * HOUR_MS });
    assert.equal(proxy.tokensAtStart, 1);
    await eventually(
      () => services.pushes(warned).some(({ body }) => Buffer.from(body, 'base64').includes(`"timeout":"${KEY}"`)),
      'no warning came',
    );
    await proxy.process.stop();
    const ended = services.mark;
    proxy = await PushProxy.start(proxyHost, { ...settings, clockAheadMs: 25 * HOUR_MS });
    assert.equal(proxy.tokensAtStart, 0);
    assert.equal(subscribe('new').status, 200);
    assert.equal(put('third').status, 200);
    await services.waitForPush(at('/up/new'), ended);
    assert.ok(services.pushes(ended).every(({ path }) => path === '/up/new'));
    await proxy[Symbol.asyncDispose]();
  }));

test('endpoints of strangers reach nothing but push services', () =>
  withLab(async ({ services, settings, proxyHost, servicesHost, phoneHost, otherHost }) => {
    const trap =
      "require('net').createServer(s=>{console.log('reached');s.destroy()}).listen(+process.argv[1],'0.0.0.0',()=>console.log('open'))";
    const traps = [proxyHost, otherHost, servicesHost].map((host) =>
      host.spawn(process.execPath, ['-e', trap, '9443']),
    );
    try {
      for (const each of traps) await each.waitForOutput(/open/);
      await using proxy = await PushProxy.start(proxyHost, settings);
      const inside = proxyHost.address;
      const hosts = [
        '127.0.0.1',
        '127.1',
        '127.8.8.8',
        '0x7f.1',
        '0x7f000001',
        '2130706433',
        '017700000001',
        '0177.0.0.1',
        '127.0.0.1.',
        'localhost',
        'LOCALHOST.',
        'a.localhost',
        '0',
        '0.0.0.0',
        '[::]',
        '[::1]',
        '[::ffff:127.0.0.1]',
        '[::ffff:7f00:1]',
        '[::127.0.0.1]',
        '[64:ff9b::7f00:1]',
        '[2002:7f00:1::]',
        '169.254.169.254',
        '0xa9fea9fe',
        '[fd00:ec2::254]',
        '[fe80::1]',
        '224.0.0.1',
        '255.255.255.255',
        inside,
        `[::ffff:${inside}]`,
        `[64:ff9b::${inside}]`,
        otherHost.address,
        servicesHost.address,
        `user@${inside}`,
        '１２７.０.０.１',
        '%31%32%37.0.0.1',
        'ntfy',
        '100.100.100.200',
      ];
      const endpoints = [
        ...hosts.flatMap((host) => [`http://${host}:9443/up`, `https://${host}:9443/up`]),
        `http://${inside}:8080/key/${KEY}`,
        'gopher://127.0.0.1:9443/',
        'file:///etc/passwd',
        '//127.0.0.1:9443/',
        `http://${inside}\\@127.0.0.1:9443/`,
        `http:127.0.0.1:9443/`,
        `http://127.0.0.1:9443#@${servicesHost.address}/`,
      ];
      assert.ok(endpoints.length > 70);
      const redirect = `${services.facts.distributor}/up/redirect`;
      await services.answer({ path: '/up/redirect', status: 307, headers: { Location: `http://${inside}:9443/` } });
      const good = `${services.facts.distributor}/up/good`;
      const subscribe = (key: string) =>
        ask(phoneHost, proxyHost, 'SUBSCRIBE', `/key/${KEY}`, {
          key,
          client_id: 'c',
          session_id: 's',
          platform: 'unifiedpush',
          topic: '',
        }).status;
      await eventually(() => subscribe(good) === 200, 'the proxy does not serve');
      assert.equal(subscribe(redirect), 200);
      for (const endpoint of endpoints) assert.equal(subscribe(endpoint), 403, endpoint);
      // A permanent put brings a target of its own.
      for (const endpoint of endpoints.slice(0, 10)) {
        const permanent = { key: endpoint, client_id: 'c', session_id: 's', platform: 'unifiedpush', topic: '' };
        ask(phoneHost, proxyHost, 'POST', `/key/${KEY}`, { id: '7', type: 0, data: 'eA==', permanent });
        ask(phoneHost, proxyHost, 'POST', '/node/pingPush', permanent);
      }
      const mark = services.mark;
      assert.equal(ask(phoneHost, proxyHost, 'POST', `/key/${KEY}`, { id: '9', type: 0, data: 'eA==' }).status, 200);
      await services.waitForPush(at('/up/redirect'), mark);
      await services.waitForPush(at('/up/good'), mark);
      await eventually(
        async () => (await proxy.counts()).words.has('refused: status 307'),
        'the redirect was not taken for a refusal',
      );
      assert.equal((await proxy.counts()).tokens, 2);
      for (const each of traps) assert.ok(!each.output.includes('reached'), each.name);
      // The traps do work.
      otherHost.exec('bash', '-c', `exec 3<>/dev/tcp/${inside}/9443; cat <&3`);
      await traps[0]?.waitForOutput(/reached/);
    } finally {
      for (const each of traps) await each.kill();
    }
  }));
