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

test('answers name nodes of other addresses beside a crowd of one', () => {
  const swarm = new Swarm({ delayMs: [5, 20] });
  swarm.grow(30, 10);
  const [asked] = swarm.nodes;
  assert.ok(asked);
  const key = swarm.randomKey();
  const stranger = new Stranger(swarm);
  stranger.onMessage = (message, from) => {
    // A thousand ids of one address that are all good: each answers whatever it is asked.
    for (const id of crowd) {
      if (message.kind === 'ping') stranger.send(stranger.as(id).replyAlive(message.tid, from), from);
      else stranger.send(stranger.as(id).replyFind(message.tid, from, {}, 'x'.repeat(32)), from);
    }
  };
  const crowd = Array.from({ length: 100 }, () => stranger.idNear(key));
  for (let round = 0; round < 5; round++) {
    for (const id of crowd) stranger.send(stranger.as(id).ping(stranger.tid()), asked.endpoint);
    swarm.world.runFor(20_000);
  }
  const nearest = asked.core.table(4)?.closestGood(key, 8, swarm.world.clock.nowMs()) ?? [];
  assert.equal(nearest.length, 8);
  const ofStranger = nearest.filter(({ endpoint }) => endpoint.key === stranger.endpoint.key);
  assert.equal(ofStranger.length, 2);
});

test('invented nodes around a key do not end a search that others can answer', () => {
  const swarm = new Swarm({ delayMs: [5, 20] });
  swarm.grow(30, 10);
  const key = swarm.randomKey();
  const [putter, asker] = swarm.nodes;
  assert.ok(putter && asker);
  putter.put(key, Value.plain({ id: 1n, data: 'still there' }));
  swarm.world.runFor(10_000);
  const stranger = new Stranger(swarm);
  for (let i = 0; i < 60; i++) {
    const nowhere = stranger.endpoint.withPort(10_000 + i);
    asker.core.insertNode(stranger.idNear(key), nowhere);
  }
  const before = asker.core.table(4)?.count(swarm.world.clock.nowMs()).good ?? 0;
  const [found] = swarm.gather(1, 1, (_index, done: (count: number) => void) =>
    asker.get(key, ({ values }) => done(values.length)),
  );
  assert.equal(found, 1);
  const after = asker.core.table(4)?.count(swarm.world.clock.nowMs()).good ?? 0;
  assert.ok(after >= before / 2, `${before} good nodes became ${after}`);
});

test('a flood of ids pushes out its own, not the good nodes that are remembered', () => {
  const swarm = new Swarm({ delayMs: [5, 20] });
  swarm.grow(60, 10);
  const [target] = swarm.nodes;
  assert.ok(target);
  const stranger = new Stranger(swarm);
  for (let round = 0; round < 40; round++) {
    for (let i = 0; i < 500; i++) {
      stranger.send(stranger.as(swarm.randomKey()).ping(stranger.tid()), target.endpoint);
    }
    swarm.world.runFor(1000);
  }
  assert.ok((target.core.sizes.nodes ?? 0) <= 8192 + 16);
  const good = target.core.table(4)?.count(swarm.world.clock.nowMs()).good ?? 0;
  assert.ok(good >= 20, `${good} good nodes are left`);
});
