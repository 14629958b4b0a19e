import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@atoll/base';
import { DEFAULT_PROXY_LIMITS, LimitKeeper } from './limits.js';

test('requests under way are limited, of one address and in all', () => {
  const keeper = new LimitKeeper(systemClock, { ...DEFAULT_PROXY_LIMITS, operationsPerAddress: 2, operations: 3 });
  keeper.operations.enter('a');
  assert.equal(keeper.refuseOperation('a'), undefined);
  keeper.operations.enter('a');
  assert.equal(keeper.refuseOperation('a')?.status, 429);
  assert.equal(keeper.refuseOperation('b'), undefined);
  keeper.operations.enter('b');
  assert.equal(keeper.refuseOperation('c')?.status, 503);
  keeper.operations.leave('a');
  assert.equal(keeper.refuseOperation('a'), undefined);
});

test('a proxy whose node holds enough takes no more values', () => {
  const keeper = new LimitKeeper(systemClock, { ...DEFAULT_PROXY_LIMITS, storedBytes: 1000 });
  assert.equal(keeper.refuseStorage(999), undefined);
  assert.equal(keeper.refuseStorage(1000)?.status, 503);
});
