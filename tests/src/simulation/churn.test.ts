import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulateChurn } from './churn.js';

const MINUTE = 60_000;

test('values put permanently are found an hour later though packets get lost and nodes come and go', () => {
  const result = simulateChurn({
    nodes: 250,
    loss: 0.2,
    values: 150,
    getsPerValue: 8,
    waitMs: 60 * MINUTE,
    share: 0.1,
  });
  assert.ok(result.gets >= 500, `${result.gets} gets`);
  assert.ok(result.foundShare >= 0.999, `${result.found} of ${result.gets} gets`);
  assert.ok(result.replicas >= 6, `${result.replicas} copies among the nearest eight`);
});
