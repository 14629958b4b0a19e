import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { test } from 'node:test';
import { systemClock } from '@atoll/base';
import { createCertificate, PrivateKey } from '@atoll/identity';
import { TestApns } from '@atoll/testkit';
import { ApnsRoute } from './apns.js';
import type { PushMessage } from './push-route.js';
import type { PushPayload, PushPriority } from './push-sender.js';

const TOKEN = 'ab'.repeat(32);

async function startApns(): Promise<{ apns: TestApns; authorities: readonly string[] }> {
  const key = await PrivateKey.generateRsa(2048);
  const certificate = await createCertificate({
    name: 'localhost',
    key,
    isCa: false,
    validFromMs: systemClock.unixMs() - 1000,
  });
  const apns = await new TestApns({ key: key.toPem(), cert: certificate.toPem() }).listen();
  return { apns, authorities: [certificate.toPem()] };
}

function routeTo(apns: TestApns, authorities: readonly string[], clock = systemClock): ApnsRoute {
  return new ApnsRoute(clock, {
    key: { key: createPrivateKey(apns.keyFile), keyId: apns.keyId, teamId: apns.teamId },
    bundleId: 'org.example.bundle',
    isSandbox: false,
    url: apns.url,
    authorities,
  });
}

function messageFor(
  priority: PushPriority,
  payload: Partial<PushPayload> = {},
  topic = '',
  token = TOKEN,
): PushMessage {
  return { target: { token, platform: 'ios', topic }, payload: { to: 'acc', ...payload }, priority };
}

test('iPhones get alerts, background pushes and VoIP pushes as the reference asks for them, on one connection', async () => {
  const { apns, authorities } = await startApns();
  await using _ = apns;
  const route = routeTo(apns, authorities);
  const values = { key: '33', s: 's', t: 1795322549323, ids: '301', pt: '' };
  const outcomes = await Promise.all([
    route.send(messageFor('high', values)),
    route.send(messageFor('normal', values, 'org.example.own')),
    route.send(messageFor('normal', { timeout: '33', s: 's' })),
    route.send(messageFor('high', values, 'org.example.voip')),
    route.send(messageFor('normal', values, 'org.example.voip')),
  ]);
  assert.deepEqual(outcomes, new Array(5).fill({ kind: 'sent' }));
  assert.equal(apns.connections, 1);
  const seen = apns.received.all.map(({ path, headers, body }) => {
    assert.equal(path, `/3/device/${TOKEN}`);
    const { aps, ...data } = JSON.parse(String(body));
    return [headers['apns-topic'], headers['apns-push-type'], headers['apns-priority'], aps, data];
  });
  const alert = { alert: { title: 'hello' }, 'mutable-content': 1 };
  const background = { 'content-available': 1 };
  const data = { to: 'acc', ...values };
  assert.deepEqual(seen, [
    ['org.example.bundle', 'alert', '10', alert, data],
    ['org.example.own', 'background', '5', background, data],
    ['org.example.bundle', 'alert', '10', alert, { timeout: '33', s: 's', to: 'acc' }],
    ['org.example.voip', 'voip', '10', alert, data],
    ['org.example.voip', 'voip', '10', background, data],
  ]);
  const expiration = Number(apns.received.all[0]?.headers['apns-expiration']);
  assert.ok(Math.abs(expiration - systemClock.unixMs() / 1000 - 86_400) < 60);
  route.close();
});

test("Apple's refusals are understood", async () => {
  const { apns, authorities } = await startApns();
  await using _ = apns;
  const route = routeTo(apns, authorities);
  apns.unregistered.add(TOKEN);
  assert.deepEqual(await route.send(messageFor('high')), { kind: 'gone', reason: 'status 410 Unregistered' });
  apns.unregistered.clear();
  apns.busy.add(TOKEN);
  const busy = await route.send(messageFor('high'));
  assert.deepEqual(busy, { kind: 'later', reason: 'status 429 TooManyRequests', scope: 'token' });
  apns.busy.clear();
  const bad = await route.send(messageFor('high', {}, '', 'ab'.repeat(20)));
  assert.deepEqual(bad, { kind: 'gone', reason: 'status 400 BadDeviceToken' });
  const expectations = [
    [{ status: 400, reason: 'DeviceTokenNotForTopic' }, 'gone', undefined],
    [{ status: 403, reason: 'InvalidProviderToken' }, 'later', 'lane'],
    [{ status: 403, reason: 'ExpiredProviderToken' }, 'later', 'lane'],
    [{ status: 429, reason: 'TooManyProviderTokenUpdates' }, 'later', 'lane'],
    [{ status: 503, reason: 'Shutdown' }, 'later', 'lane'],
    [{ status: 400, reason: 'PayloadEmpty' }, 'refused', undefined],
  ] as const;
  for (const [refusal, kind, scope] of expectations) {
    apns.refusal = refusal;
    const outcome = await route.send(messageFor('high'));
    assert.equal(outcome.kind, kind, refusal.reason);
    if (outcome.kind === 'later') assert.equal(outcome.scope, scope, refusal.reason);
  }
  apns.refusal = undefined;
  assert.deepEqual(await route.send(messageFor('high')), { kind: 'sent' });
  route.close();
});

test('after a goodbye or a broken connection the next push goes over a new one', async () => {
  const { apns, authorities } = await startApns();
  await using _ = apns;
  const route = routeTo(apns, authorities);
  assert.equal((await route.send(messageFor('high'))).kind, 'sent');
  for (const end of [() => apns.goAway(), () => apns.breakConnections()]) {
    const before = apns.connections;
    end();
    // The end may still be on its way; a push that meets it is worth another try.
    for (let attempt = 0; attempt < 100 && apns.connections === before; attempt++) {
      const outcome = await route.send(messageFor('high'));
      assert.ok(
        outcome.kind === 'sent' || (outcome.kind === 'later' && outcome.scope === 'lane'),
        JSON.stringify(outcome),
      );
    }
    assert.equal(apns.connections, before + 1);
    assert.equal((await route.send(messageFor('high'))).kind, 'sent');
  }
  route.close();
});

test('a server that is not there, or shows a wrong certificate, is a failure for now', async () => {
  const { apns, authorities } = await startApns();
  const route = routeTo(apns, []);
  const untrusted = await route.send(messageFor('high'));
  assert.ok(untrusted.kind === 'later' && untrusted.scope === 'lane', JSON.stringify(untrusted));
  const late = routeTo(apns, authorities);
  await apns[Symbol.asyncDispose]();
  const gone = await late.send(messageFor('high'));
  assert.ok(gone.kind === 'later' && gone.scope === 'lane', JSON.stringify(gone));
  assert.equal(apns.received.all.length, 0);
  route.close();
  late.close();
});

test('a provider token is used for most of an hour, then made anew', async () => {
  const { apns, authorities } = await startApns();
  await using _ = apns;
  let offsetMs = -55 * 60_000;
  const clock = { nowMs: () => 0, unixMs: () => systemClock.unixMs() + offsetMs };
  const route = routeTo(apns, authorities, clock);
  await route.send(messageFor('high'));
  offsetMs += 45 * 60_000;
  await route.send(messageFor('high'));
  offsetMs += 6 * 60_000;
  await route.send(messageFor('high'));
  const bearers = apns.received.all.map(({ headers, status }) => {
    assert.equal(status, 200);
    return headers.authorization;
  });
  assert.equal(bearers[0], bearers[1]);
  assert.notEqual(bearers[1], bearers[2]);
  route.close();
});

test('tokens and topics that Apple could not know are refused before anything is sent', async () => {
  const { apns, authorities } = await startApns();
  await using _ = apns;
  const route = routeTo(apns, authorities);
  const refusal = (token: string, topic = '') => route.refusal({ token, platform: 'ios', topic })?.status;
  assert.equal(refusal(TOKEN), undefined);
  assert.equal(refusal(TOKEN.toUpperCase(), 'cx.ring'), undefined);
  for (const token of ['', 'abc', 'zz'.repeat(32), `${TOKEN}/../x`, 'ab'.repeat(200), `${TOKEN}\r\n`])
    assert.equal(refusal(token), 400, token);
  for (const topic of ['a b', 'a\r\nb', 'é', 'a'.repeat(300)]) assert.equal(refusal(TOKEN, topic), 400, topic);
  route.close();
});
