import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { InfoHash } from '@atoll/identity';
import type { SubscribeRequest } from './push-sender.js';
import { SUBSCRIPTION_LIMITS, SubscriptionStore } from './subscription-store.js';

const requestFor = (token: string, key = 'key', clientId = 'acc', sessionId = 's'): SubscribeRequest => ({
  key: InfoHash.of(key),
  token,
  clientId,
  sessionId,
  platform: 'unifiedpush',
  topic: '',
});

test('subscriptions are there again after a restart, for their owner only', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-push-'));
  try {
    const path = join(folder, 'push.db');
    const first = new SubscriptionStore(path, SUBSCRIPTION_LIMITS);
    assert.equal(first.put(requestFor('a'), '10.0.0.1', 5000), 'new');
    assert.equal(first.put(requestFor('a', 'other'), '10.0.0.1', 6000), 'new');
    assert.equal(first.put(requestFor('a', 'key', 'acc', 'later session'), '10.0.0.1', 7000), 'renewed');
    for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o077, 0, name);
    first.close();
    const second = new SubscriptionStore(path, SUBSCRIPTION_LIMITS);
    assert.deepEqual([second.size, second.tokens], [2, 1]);
    const found = second.all().find(({ key }) => key.equals(InfoHash.of('key')));
    assert.deepEqual(found, { ...requestFor('a', 'key', 'acc', 'later session'), expiresUnixMs: 7000 });
    assert.ok(second.remove(requestFor('a')));
    assert.ok(!second.remove(requestFor('a')));
    assert.equal(second.size, 1);
    second.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('token, key and client tell subscriptions apart; bounds hold for each kind of owner', () => {
  const store = new SubscriptionStore(':memory:', { inAll: 8, perAddress: 4, perToken: 3 });
  assert.equal(store.put(requestFor('a', 'k1'), 'x', 1), 'new');
  assert.equal(store.put(requestFor('a', 'k2'), 'x', 1), 'new');
  assert.equal(store.put(requestFor('a', 'k1', 'other'), 'x', 1), 'new');
  const full = (found: ReturnType<SubscriptionStore['put']>): string =>
    typeof found === 'object' ? found.full : found;
  assert.match(full(store.put(requestFor('a', 'k3'), 'y', 1)), /token/);
  assert.equal(store.put(requestFor('a', 'k1'), 'x', 2), 'renewed');
  assert.equal(store.put(requestFor('b'), 'x', 1), 'new');
  assert.match(full(store.put(requestFor('c'), 'x', 1)), /address/);
  assert.equal(store.put(requestFor('b'), 'x', 2), 'renewed');
  // A phone that comes from elsewhere counts there.
  assert.equal(store.put(requestFor('b'), 'y', 2), 'renewed');
  assert.equal(store.put(requestFor('c'), 'x', 1), 'new');
  for (const token of ['d', 'e', 'f']) assert.equal(store.put(requestFor(token), 'z', 1), 'new');
  assert.match(full(store.put(requestFor('g'), 'q', 1)), /proxy/);
  assert.equal(store.removeToken('a').length, 3);
  assert.deepEqual([store.size, store.tokens], [5, 5]);
  assert.equal(store.put(requestFor('g'), 'x', 1), 'new');
  store.close();
});

test('ends and warnings come in their time, each warning once, and a renewal warns again', () => {
  const store = new SubscriptionStore(':memory:', SUBSCRIPTION_LIMITS);
  assert.deepEqual(store.next(), { endUnixMs: Number.POSITIVE_INFINITY, unsaidEndUnixMs: Number.POSITIVE_INFINITY });
  for (const [token, end] of [
    ['a', 100],
    ['b', 200],
    ['c', 300],
  ] as const)
    store.put(requestFor(token), '', end);
  assert.deepEqual(store.next(), { endUnixMs: 100, unsaidEndUnixMs: 100 });
  const tokens = (list: readonly SubscribeRequest[]): string[] => list.map(({ token }) => token);
  assert.deepEqual(tokens(store.markEnding(250, 1)), ['a']);
  assert.deepEqual(tokens(store.markEnding(250, 10)), ['b']);
  assert.deepEqual(tokens(store.markEnding(250, 10)), []);
  assert.deepEqual(store.next(), { endUnixMs: 100, unsaidEndUnixMs: 300 });
  store.put(requestFor('a'), '', 240);
  assert.deepEqual(tokens(store.markEnding(250, 10)), ['a']);
  assert.deepEqual(tokens(store.removeExpired(240, 1)), ['b']);
  assert.deepEqual(tokens(store.removeExpired(240, 10)), ['a']);
  assert.deepEqual(tokens(store.all()), ['c']);
  store.close();
});
