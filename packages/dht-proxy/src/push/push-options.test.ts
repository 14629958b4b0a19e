import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pushSettings } from './push-options.js';

const FILES = { databasePath: 'push.db', vapidKeyPath: 'vapid.pem' };

test('without any option UnifiedPush works and no vendor is spoken to', () => {
  assert.deepEqual(pushSettings({}, FILES), {
    ...FILES,
    contact: '',
    unifiedPush: { isEnabled: true, allow: [], isHttpAllowed: false, authorityPath: undefined },
    fcm: undefined,
    apns: undefined,
    gateway: undefined,
  });
});

test('options of each way become its settings', () => {
  const settings = pushSettings(
    {
      fcmAccount: 'f.json',
      apnsKey: '/keys/AuthKey_ABCDE12345.p8',
      apnsTeam: 'T',
      bundleId: 'b',
      pushServer: '8088',
      pushServerForm: '2.4',
    },
    FILES,
  );
  assert.deepEqual(settings.fcm, { serviceAccountPath: 'f.json' });
  assert.deepEqual(settings.gateway, { server: '8088', bundleId: 'b', form: '2.4' });
  assert.deepEqual(settings.apns, {
    keyPath: '/keys/AuthKey_ABCDE12345.p8',
    keyId: 'ABCDE12345',
    teamId: 'T',
    bundleId: 'b',
    isSandbox: false,
  });
});

test('what does not go together is a usage error that names the option', () => {
  const bad = [
    [{ apnsTeam: 'T' }, /apns-key /],
    [{ apnsKey: 'AuthKey_ABCDE12345.p8' }, /apns-team/],
    [{ apnsKey: 'key.p8', apnsTeam: 'T' }, /apns-key-id/],
    [{ pushContact: 'me' }, /push-contact/],
    [{ pushServerForm: '3' }, /push-server-form/],
  ] as const;
  for (const [options, message] of bad) assert.throws(() => pushSettings(options, FILES), { code: 'USAGE', message });
});
