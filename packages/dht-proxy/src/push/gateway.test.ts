import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Clock, systemClock } from '@atoll/base';
import { TestGateway } from '@atoll/testkit';
import { type GatewayForm, GatewayRoute, gatewayBody, parseGateway } from './gateway.js';
import type { PushMessage } from './push-route.js';
import type { PushPayload } from './push-sender.js';

/** A notification as the gateway gets it. */
interface Recorded {
  readonly tokens: readonly [string];
  readonly platform: number;
  readonly topic?: string;
  readonly data: PushPayload;
  readonly priority?: string;
  readonly android?: { readonly priority?: string };
  readonly expiration?: number;
}

interface Body {
  readonly notifications: readonly [Recorded];
}

function vectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../vectors/push/${name}.json`, import.meta.url), 'utf8')) as T;
}

/** The push that a recorded notification was made from. */
function messageOf(recorded: Recorded, isHigh: boolean): PushMessage {
  return {
    target: {
      token: recorded.tokens[0],
      platform: recorded.platform === 2 ? 'android' : 'ios',
      topic: recorded.topic ?? '',
    },
    payload: recorded.data,
    priority: isHigh ? 'high' : 'normal',
  };
}

const bodyOf = (message: PushMessage, form: GatewayForm, unixMs: number): string =>
  gatewayBody(message, { bundleId: '', form }, unixMs);

for (const [name, { body_text: text }] of Object.entries(
  vectors<Record<string, { readonly body_text: string }>>('gateway-requests-2.4.12'),
)) {
  if (name.startsWith('unifiedpush')) continue;
  test(`a gateway of the time of 2.4 gets ${name} byte for byte`, () => {
    const [recorded] = (JSON.parse(text) as Body).notifications;
    const unixMs = recorded.expiration === undefined ? 0 : (recorded.expiration - 86_400) * 1000 + 597;
    assert.equal(bodyOf(messageOf(recorded, recorded.priority === 'high'), '2.4', unixMs), text);
  });
}

for (const [name, body] of Object.entries(
  vectors<{ readonly bodies: Record<string, Body> }>('gateway-bodies-newest').bodies,
)) {
  test(`a gateway gets “${name}” as the newest reference sends it`, () => {
    const [recorded] = body.notifications;
    // A timeout is asked for with normal priority; that iOS gets it as an alert is the gateway form's affair.
    const isHigh = (recorded.android?.priority ?? recorded.priority) === 'high' && recorded.data.timeout === undefined;
    const unixMs = recorded.expiration === undefined ? 0 : (recorded.expiration - 86_400) * 1000;
    assert.deepEqual(JSON.parse(bodyOf(messageOf(recorded, isHigh), 'current', unixMs)), body);
  });
}

test("clients without a topic get the operator's bundle id", () => {
  const message: PushMessage = {
    target: { token: 't', platform: 'none', topic: '' },
    payload: { to: 'a' },
    priority: 'normal',
  };
  const topicOf = (bundleId: string) =>
    JSON.parse(gatewayBody(message, { bundleId, form: 'current' }, 0)).notifications[0].topic;
  assert.equal(topicOf('org.example.bundle'), 'org.example.bundle');
  assert.equal(topicOf(''), undefined);
});

test('the push server is named as for the reference, or by URL', () => {
  assert.equal(parseGateway('8088').href, 'http://localhost:8088/');
  assert.equal(parseGateway('push.lan:8088').href, 'http://push.lan:8088/');
  assert.equal(parseGateway('[fd00::1]:8088').href, 'http://[fd00::1]:8088/');
  assert.equal(parseGateway('https://push.example.org/x').href, 'https://push.example.org/');
  for (const text of ['', 'push.lan', 'push.lan:', ':8088', 'push.lan:x', '0', '99999', 'ftp://push.lan:1']) {
    assert.throws(() => parseGateway(text), { code: 'USAGE' }, text);
  }
});

test('a real request reaches the gateway, and its answers are understood', async () => {
  await using gateway = await new TestGateway().listen();
  const clock: Clock = systemClock;
  const route = new GatewayRoute(clock, { url: new URL(gateway.url), bundleId: '', form: 'current' });
  const message: PushMessage = {
    target: { token: 'tok', platform: 'android', topic: '' },
    payload: { to: 'a', key: 'k', t: 5 },
    priority: 'high',
  };
  assert.deepEqual(await route.send(message), { kind: 'sent' });
  const [push] = gateway.received.all;
  assert.equal(push?.headers['content-type'], 'application/json');
  assert.equal(
    String(push?.body),
    '{"notifications":[{"android":{"priority":"high","ttl":"86400s"},"data":{"key":"k","t":5,"to":"a"},"platform":2,"tokens":["tok"]}]}',
  );
  gateway.nextAnswer = { status: 503, headers: { 'Retry-After': '7' } };
  assert.deepEqual(await route.send(message), { kind: 'later', reason: 'status 503', scope: 'lane', afterMs: 7000 });
  gateway.nextAnswer = { status: 400 };
  assert.deepEqual(await route.send(message), { kind: 'refused', reason: 'status 400' });
  route.close();
});
