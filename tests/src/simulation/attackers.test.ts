import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALL_ATTACKS, ATTACKED_LIMITS, simulateAttack } from './attackers.js';

test('strangers at their worst: memory stays bounded, honest gets succeed', () => {
  const result = simulateAttack({ nodes: 40, addresses: 4, values: 12, minutes: 1, loss: 0.02 });
  assert.ok(result.attackDatagrams > 20_000);
  assert.ok(result.foundShare >= 0.99, `${result.found} of ${result.gets} gets`);
  assert.equal(result.forgedStored, 0);
  const bounds: Record<string, number> = {
    nodes: 8192 + 2048,
    keys: ATTACKED_LIMITS.storageLimits.maxKeys,
    remoteBytes: ATTACKED_LIMITS.storageLimits.maxRemoteBytes,
    values: ATTACKED_LIMITS.storageLimits.maxRemoteBytes / 256 + 20,
    remoteListeners: ATTACKED_LIMITS.listenerLimits.maxListeners,
    requestBytes: 64 * 1024 * 1024,
    fragments: 512 + 64,
    fragmentBytes: 40 * 1024 * 1024,
    limiters: 16_384,
    blocked: 4096,
    searches: 40,
    jobs: 2000,
  };
  for (const [name, bound] of Object.entries(bounds)) {
    assert.ok(
      (result.largest[name] ?? Number.NaN) <= bound,
      `${result.largest[name]} ${name}, at most ${bound} allowed`,
    );
  }
});

for (const attack of ALL_ATTACKS) {
  test(`${attack}, alone: honest gets succeed`, () => {
    let gets = 0;
    let found = 0;
    for (const seed of [1, 2, 3]) {
      const result = simulateAttack({
        nodes: 40,
        addresses: 4,
        values: 12,
        minutes: 1,
        loss: 0.02,
        attacks: [attack],
        seed,
      });
      assert.equal(result.forgedStored, 0);
      gets += result.gets;
      found += result.found;
    }
    assert.ok(found / gets >= 0.99, `${found} of ${gets} gets`);
  });
}
