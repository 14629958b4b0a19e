import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AddressLimits } from './address-limits.js';

test('tokens are taken, and come back with time', () => {
  let nowMs = 0;
  const limits = new AddressLimits({ nowMs: () => nowMs }, { perSecond: 2, burst: 3 });
  assert.deepEqual(
    [1, 2, 3, 4].map(() => limits.take('10.0.0.1')),
    [true, true, true, false],
  );
  assert.equal(limits.take('10.0.0.2'), true, 'another address has its own');
  assert.equal(limits.retryAfterSeconds('10.0.0.1', 3), 2);
  nowMs = 500;
  assert.deepEqual([limits.take('10.0.0.1'), limits.take('10.0.0.1')], [true, false]);
  nowMs = 60_000;
  assert.deepEqual([limits.take('10.0.0.1', 4), limits.take('10.0.0.1', 3)], [false, true]);
});

test('one IPv6 network is one client', () => {
  const limits = new AddressLimits({ nowMs: () => 0 }, { perSecond: 1, burst: 2 });
  assert.deepEqual([limits.take('2001:db8::1'), limits.take('2001:db8::ffff:2')], [true, true]);
  assert.equal(limits.take('2001:db8:0:0:5::'), false);
  assert.equal(limits.take('2001:db8:0:1::1'), true);
});

test('the table of addresses is bounded, the one longest quiet is forgotten', () => {
  let nowMs = 0;
  const limits = new AddressLimits({ nowMs: () => nowMs }, { perSecond: 0.001, burst: 1, maxAddresses: 3 });
  for (const address of ['a', 'b', 'c']) limits.take(address);
  nowMs = 2000;
  assert.equal(limits.take('a'), false);
  limits.take('d');
  assert.equal(limits.size, 3);
  assert.equal(limits.take('a'), false, 'still known');
  assert.equal(limits.take('b'), true, 'forgotten');
});
