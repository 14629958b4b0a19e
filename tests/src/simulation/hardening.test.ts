import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Value } from '@atoll/dht';
import { Stranger } from './stranger.js';
import { Swarm } from './swarm.js';

const MINUTE = 60_000;

test('the id of a good node, used elsewhere, does not draw its traffic there', () => {
  const swarm = new Swarm({ delayMs: [5, 20] });
  const [victim, observer] = [swarm.add(), swarm.add()];
  swarm.world.runFor(MINUTE);
  const stranger = new Stranger(swarm);
  let asked = 0;
  stranger.onMessage = (message) => {
    if (message.kind !== 'reply' && message.kind !== 'error') asked++;
  };
  for (let i = 0; i < 20; i++) {
    stranger.send(stranger.as(victim.core.id).ping(i + 1), observer.endpoint);
    stranger.send(stranger.as(victim.core.id, true).replyAlive(i + 1, observer.endpoint), observer.endpoint);
    swarm.world.runFor(10_000);
  }
  const key = swarm.randomKey();
  observer.put(key, Value.plain({ id: 1n, data: 'for the real one' }));
  swarm.world.runFor(10_000);
  assert.equal(asked, 0);
  assert.equal(victim.core.storage.countOf(key), 1);
});

test('a node that moved to another address is followed within seconds', () => {
  const swarm = new Swarm({ delayMs: [5, 20] });
  const [first, observer] = [swarm.add(), swarm.add()];
  swarm.world.runFor(MINUTE);
  const { id } = first.core;
  swarm.remove(first);
  const moved = swarm.add({ id });
  swarm.world.runFor(4000);
  const key = swarm.randomKey();
  observer.put(key, Value.plain({ id: 1n, data: 'found again' }));
  swarm.world.runFor(2000);
  assert.equal(moved.core.storage.countOf(key), 1);
});
