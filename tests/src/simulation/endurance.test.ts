import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulateEndurance } from './endurance.js';

test('a node under load grows in nothing', () => {
  const result = simulateEndurance({ hours: 6, peers: 12 });
  assert.ok(result.received > 5000, `${result.received} datagrams`);
  for (const [name, size] of Object.entries(result.quietAfter)) {
    // Remembered addresses of the last second depend on chance, all else on nothing any more.
    if (name !== 'limiters')
      assert.ok(size <= (result.quietBefore[name] ?? 0) + 1, `${size} ${name} when all is quiet`);
  }
  for (const name of ['keys', 'values', 'remoteBytes', 'remoteListeners', 'fragments', 'requests', 'listenGroups']) {
    assert.equal(result.quietAfter[name], 0, name);
  }
  for (const [name, size] of Object.entries(result.largestAfter)) {
    const before = result.largestBefore[name] ?? 0;
    assert.ok(size <= 2 * before + 20 || name.endsWith('Bytes'), `${name} grew from ${before} to ${size}`);
  }
  assert.ok(result.heapAfterMb <= result.heapBeforeMb * 1.2 + 2, `${result.heapBeforeMb} → ${result.heapAfterMb} MB`);
});
