import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Clock, systemClock } from '@atoll/base';
import { TestFcm } from '@atoll/testkit';
import { FcmRoute, readServiceAccount } from './fcm.js';
import type { PushMessage } from './push-route.js';
import type { PushPayload } from './push-sender.js';

const messageTo = (token: string, payload: Partial<PushPayload> = {}): PushMessage => ({
  target: { token, platform: 'android', topic: '' },
  payload: { to: 'acc', ...payload },
  priority: 'high',
});

async function withFcm(
  run: (fcm: TestFcm, route: FcmRoute) => Promise<void>,
  clock: Clock = systemClock,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-fcm-'));
  await using fcm = await new TestFcm().listen();
  const path = join(folder, 'account.json');
  writeFileSync(path, fcm.serviceAccount);
  const route = new FcmRoute(clock, { account: readServiceAccount(path), url: fcm.url });
  try {
    await run(fcm, route);
  } finally {
    route.close();
    rmSync(folder, { recursive: true });
  }
}

test('Android phones get a data message of strings, with one access token for many', () =>
  withFcm(async (fcm, route) => {
    const payload = { key: '33', s: 's', t: 1795322549323, ids: '301,302', pt: ',audioCall', pong: true } as const;
    const sends = Array.from({ length: 20 }, () => route.send(messageTo('phone', payload)));
    assert.deepEqual(await Promise.all(sends), new Array(20).fill({ kind: 'sent' }));
    assert.equal(fcm.granted.length, 1);
    const data = { ids: '301,302', key: '33', pong: 'true', pt: ',audioCall', s: 's', t: '1795322549323', to: 'acc' };
    assert.deepEqual(JSON.parse(String(fcm.received.all[0]?.body)), {
      message: { token: 'phone', data, android: { priority: 'HIGH', ttl: '86400s' } },
    });
  }));

test("Firebase's errors are understood", () =>
  withFcm(async (fcm, route) => {
    fcm.unregistered.add('old');
    fcm.overQuota.add('busy');
    assert.deepEqual(await route.send(messageTo('old')), { kind: 'gone', reason: 'status 404 UNREGISTERED' });
    assert.deepEqual(await route.send(messageTo('nonsense')), { kind: 'gone', reason: 'status 400 INVALID_ARGUMENT' });
    assert.deepEqual(await route.send(messageTo('busy')), {
      kind: 'later',
      reason: 'status 429 QUOTA_EXCEEDED',
      scope: 'lane',
      afterMs: 90_000,
    });
    assert.equal((await route.send(messageTo('phone'))).kind, 'sent');
  }));

test('an access token that is refused, or nearly over, is replaced', () => {
  let offsetMs = 0;
  const clock = { nowMs: () => 0, unixMs: () => systemClock.unixMs() + offsetMs };
  return withFcm(async (fcm, route) => {
    assert.equal((await route.send(messageTo('phone'))).kind, 'sent');
    fcm.revokedBefore = 1;
    const refused = await route.send(messageTo('phone'));
    assert.ok(refused.kind === 'later' && refused.reason === 'status 401 UNAUTHENTICATED');
    assert.equal((await route.send(messageTo('phone'))).kind, 'sent');
    assert.equal(fcm.granted.length, 2);
    offsetMs = 56 * 60_000;
    assert.equal((await route.send(messageTo('phone'))).kind, 'sent');
    assert.equal(fcm.granted.length, 3);
  }, clock);
});

test('a service account that is refused, or a server that is not there, is a failure for now', () =>
  withFcm(async (fcm, route) => {
    const folder = mkdtempSync(join(tmpdir(), 'atoll-fcm-'));
    const path = join(folder, 'account.json');
    writeFileSync(path, fcm.serviceAccount.replace('push@test-project', 'other@test-project'));
    const stranger = new FcmRoute(systemClock, { account: readServiceAccount(path), url: fcm.url });
    assert.deepEqual(await stranger.send(messageTo('phone')), {
      kind: 'later',
      reason: 'no access token',
      scope: 'lane',
      afterMs: 60_000,
    });
    stranger.close();
    rmSync(folder, { recursive: true });
    assert.equal((await route.send(messageTo('phone'))).kind, 'sent');
  }));

test('a push with more ids than fit goes without them', () =>
  withFcm(async (fcm, route) => {
    const ids = Array.from({ length: 500 }, (_, at) => String(1e15 + at)).join(',');
    assert.equal((await route.send(messageTo('phone', { key: '33', ids, pt: ','.repeat(499) }))).kind, 'sent');
    assert.deepEqual(JSON.parse(String(fcm.received.all[0]?.body)).message.data, { key: '33', to: 'acc' });
    assert.deepEqual(await route.send(messageTo('phone', { s: 's'.repeat(5000) })), {
      kind: 'refused',
      reason: 'too large',
    });
  }));

test('a file that is no service account is named', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-fcm-'));
  const path = join(folder, 'account.json');
  for (const text of ['', '{}', '[]', '{"token_uri":"x"}', '{"token_uri":"https://a.example/","project_id":7}']) {
    writeFileSync(path, text);
    assert.throws(() => readServiceAccount(path), { code: 'PUSH_CREDENTIALS_UNUSABLE', message: /account\.json/ });
  }
  assert.throws(() => readServiceAccount(join(folder, 'none')), { code: 'PUSH_CREDENTIALS_UNUSABLE' });
  rmSync(folder, { recursive: true });
});
