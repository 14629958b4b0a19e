import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_LISTENER_LIMITS, DEFAULT_STORAGE_LIMITS, Query, Value } from '@atoll/dht';
import { decodeTree, encodeTree, Float } from '@atoll/msgpack';
import { Stranger } from './stranger.js';
import { Swarm } from './swarm.js';

const MINUTE = 60_000;

test('a stranger under the id of a good node takes nothing away from it', () => {
  const swarm = new Swarm({ delayMs: [5, 20] });
  const [victim, observer] = [swarm.add(), swarm.add()];
  swarm.world.runFor(MINUTE);
  const stranger = new Stranger(swarm);
  stranger.onMessage = (message, from) => {
    const encoder = stranger.as(victim.core.id);
    if (message.kind === 'ping') stranger.send(encoder.replyAlive(message.tid, from), from);
    else if (message.kind === 'put') stranger.send(encoder.replyValue(message.tid, from, 1n), from);
    else stranger.send(encoder.replyFind(message.tid, from, {}, 'x'.repeat(32)), from);
  };
  for (let i = 0; i < 20; i++) {
    stranger.send(stranger.as(victim.core.id).ping(i + 1), observer.endpoint);
    stranger.send(stranger.as(victim.core.id, true).replyAlive(i + 1, observer.endpoint), observer.endpoint);
    swarm.world.runFor(10_000);
  }
  const key = swarm.randomKey();
  observer.put(key, Value.plain({ id: 1n, data: 'for the real one' }));
  swarm.world.runFor(10_000);
  assert.equal(victim.core.storage.countOf(key), 1);
  const good = [...(observer.core.table(4)?.nodes() ?? [])].filter((node) => node.isGood(swarm.world.clock.nowMs()));
  assert.ok(good.some((node) => node.endpoint.key === victim.endpoint.key));
});

test('an id that is used first by a stranger is still found where it is', () => {
  const swarm = new Swarm({ delayMs: [5, 20] });
  const [first, observer] = [swarm.add(), swarm.add()];
  swarm.world.runFor(MINUTE);
  const stranger = new Stranger(swarm);
  const id = swarm.randomKey();
  stranger.onMessage = (message, from) => {
    if (message.kind === 'ping') stranger.send(stranger.as(id).replyAlive(message.tid, from), from);
  };
  for (let i = 0; i < 5; i++) {
    for (const port of [4222, 4223, 4224, 4225]) {
      swarm.world.inject(stranger.as(id).ping(i + 1), stranger.endpoint.withPort(port), observer.endpoint);
    }
    swarm.world.runFor(2000);
  }
  assert.ok(observer.core.cachedNodes(4) <= 3, 'not more than two records for one id at one address');
  const real = swarm.add({ id });
  swarm.world.runFor(4000);
  const key = swarm.randomKey();
  observer.put(key, Value.plain({ id: 1n, data: 'found' }));
  swarm.world.runFor(5000);
  assert.deepEqual(
    [first, real].map(({ core }) => core.storage.countOf(key)),
    [1, 1],
  );
});

for (const isSameHost of [false, true]) {
  const where = isSameHost ? 'port' : 'address';
  test(`a node that starts anew at another ${where} is followed within seconds`, () => {
    const swarm = new Swarm({ delayMs: [5, 20] });
    const [first, observer] = [swarm.add(), swarm.add()];
    swarm.world.runFor(MINUTE);
    const key = swarm.randomKey();
    observer.put(key, Value.plain({ id: 1n, data: 'before' }), true);
    observer.core.listen(swarm.randomKey(), Query.all, () => true);
    swarm.world.runFor(MINUTE);
    assert.equal(first.core.storage.countOf(key), 1);
    const { id } = first.core;
    const address = isSameHost ? first.endpoint.host : undefined;
    swarm.remove(first);
    const moved = swarm.add({ id }, address, isSameHost ? 5000 : undefined);
    swarm.world.runFor(4000);
    observer.put(key, Value.plain({ id: 2n, data: 'after' }));
    swarm.world.runFor(2000);
    assert.deepEqual(
      [moved.core.storage.get(key, 1n), moved.core.storage.get(key, 2n)].map((stored) => stored?.value.data.toString()),
      ['before', 'after'],
    );
    assert.equal(
      [...(observer.core.table(4)?.nodes() ?? [])].filter((node) => node.endpoint.key === moved.endpoint.key).length,
      1,
    );
  });
}

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
  assert.equal(ofStranger.length, 1);
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

/** A node and a stranger with a token for it. */
function nodeAndStranger(options: Parameters<Swarm['add']>[0] = {}) {
  const swarm = new Swarm({ delayMs: [5, 20] });
  const node = swarm.add(options);
  const stranger = new Stranger(swarm);
  return { swarm, node, stranger, token: stranger.tokenOf(node.endpoint) };
}

test('a value made at no time at all expires like any other', () => {
  const { swarm, node, stranger, token } = nodeAndStranger();
  const key = swarm.randomKey();
  const value = Value.plain({ id: 1n, data: 'forever?' });
  const [packet] = stranger.as(swarm.randomKey()).put(1, key, value, 1, token);
  const tree = decodeTree(packet ?? Buffer.alloc(0)) as Map<string, Map<string, unknown>>;
  tree.get('a')?.set('c', new Float(Number.NaN));
  stranger.send(encodeTree(tree as never), node.endpoint);
  swarm.world.runFor(MINUTE);
  assert.equal(node.core.storage.countOf(key), 1);
  swarm.world.runFor(10 * MINUTE);
  assert.equal(node.core.storage.countOf(key), 0);
});

test('values without content fill the quota too, and those of others stay', () => {
  const limits = { ...DEFAULT_STORAGE_LIMITS, maxRemoteBytes: 256 * 1024 };
  const { swarm, node, stranger, token } = nodeAndStranger({ storageLimits: limits });
  const honest = new Stranger(swarm);
  const key = swarm.randomKey();
  const [put] = honest
    .as(swarm.randomKey())
    .put(1, key, Value.plain({ id: 9n, data: 'honest' }), undefined, honest.tokenOf(node.endpoint));
  honest.send(put ?? Buffer.alloc(0), node.endpoint);
  for (let i = 0; i < 4000; i++) {
    const nothing = Value.plain({ id: BigInt(i + 1) });
    stranger.send(
      stranger.as(swarm.randomKey()).put(i + 1, swarm.randomKey(), nothing, undefined, token),
      node.endpoint,
    );
    if (i % 500 === 0) swarm.world.runFor(1000);
  }
  swarm.world.runFor(1000);
  assert.ok((node.core.sizes.values ?? 0) <= 1024, `${node.core.sizes.values} values`);
  assert.ok(node.core.storage.get(key, 9n) !== undefined);
});

test('listeners of one address neither multiply the pushes of a key nor take the room of others', () => {
  const limits = { ...DEFAULT_LISTENER_LIMITS, maxListeners: 4000 };
  const { swarm, node, stranger, token } = nodeAndStranger({ listenerLimits: limits });
  const key = swarm.randomKey();
  const flood = (target: () => ReturnType<Swarm['randomKey']>, count: number): void => {
    for (let i = 0; i < count; i++) {
      stranger.send(stranger.as(swarm.randomKey()).listen(i + 1, target(), token, i + 1, undefined), node.endpoint);
      if (i % 500 === 499) swarm.world.runFor(1000);
    }
    swarm.world.runFor(1000);
  };
  flood(() => key, 1000);
  assert.equal(node.core.listenerCount(key), 128);
  flood(() => swarm.randomKey(), 5000);
  assert.equal(node.core.sizes.remoteListeners, 4000);
  const honest = swarm.add();
  swarm.world.runFor(10_000);
  const heard: string[] = [];
  honest.core.listen(key, Query.all, (values) => {
    heard.push(...values.map((value) => value.data.toString()));
    return true;
  });
  swarm.world.runFor(5000);
  assert.equal(node.core.sizes.remoteListeners, 4000);
  node.put(key, Value.plain({ id: 5n, data: 'heard' }));
  swarm.world.runFor(5000);
  assert.deepEqual(heard, ['heard']);
});

test('pushes of large values to listeners that do not answer are held within a bound', () => {
  const { swarm, node, stranger, token } = nodeAndStranger();
  const key = swarm.randomKey();
  for (let i = 0; i < 128; i++) {
    stranger.send(stranger.as(swarm.randomKey()).listen(i + 1, key, token, i + 1, undefined), node.endpoint);
  }
  swarm.world.runFor(500);
  let most = 0;
  for (let i = 0; i < 20; i++) {
    node.put(key, Value.plain({ id: BigInt(i + 1), data: Buffer.alloc(60_000) }));
    most = Math.max(most, node.core.sizes.requestBytes ?? 0);
    swarm.world.runFor(20);
  }
  assert.ok(most > 32 * 1024 * 1024 && most <= 65 * 1024 * 1024, `${most} bytes`);
  swarm.world.runFor(MINUTE);
  assert.ok((node.core.sizes.requestBytes ?? 0) < 10_000);
  assert.ok((node.core.drops.get('push: too much waits') ?? 0) > 0);
});

test('fragments hold memory only for who shows where he is, and only so much', () => {
  const { swarm, node, stranger, token } = nodeAndStranger();
  const value = Value.plain({ id: 1n, data: Buffer.alloc(60_000) });
  const header = (tid: number, withToken: string): Buffer =>
    stranger.as(swarm.randomKey()).put(tid, swarm.randomKey(), value, undefined, withToken)[0] ?? Buffer.alloc(0);
  for (let i = 0; i < 300; i++) stranger.send(header(i + 1, 'forged'.padEnd(32)), node.endpoint);
  swarm.world.runFor(500);
  assert.equal(node.core.sizes.fragments, 0);
  for (let i = 0; i < 300; i++) stranger.send(header(i + 1000, token), node.endpoint);
  swarm.world.runFor(500);
  assert.equal(node.core.sizes.fragments, 64);
  assert.ok((node.core.sizes.fragmentBytes ?? 0) <= 4 * 1024 * 1024);
  // Parts of nothing, from many forged addresses.
  const [, part] = stranger.as(swarm.randomKey()).put(7, swarm.randomKey(), value, undefined, token);
  for (let i = 0; i < 1000; i++) {
    swarm.world.inject(part ?? Buffer.alloc(0), stranger.endpoint.withPort(10_000 + i), node.endpoint);
  }
  swarm.world.runFor(500);
  assert.equal(node.core.sizes.fragments, 128);
  // An honest large value finds room meanwhile, and all is forgotten afterwards.
  const honest = swarm.add();
  swarm.world.runFor(8000);
  const key = swarm.randomKey();
  honest.put(key, value.withId(2n));
  swarm.world.runFor(3000);
  assert.equal(node.core.storage.countOf(key), 1);
  swarm.world.runFor(15_000);
  assert.equal(node.core.sizes.fragments, 0);
  assert.equal(node.core.sizes.fragmentBytes, 0);
});

test('what a listened-to node pushes is remembered within a bound', () => {
  const swarm = new Swarm({ delayMs: [5, 20] });
  const node = swarm.add();
  const stranger = new Stranger(swarm);
  const id = swarm.randomKey();
  const key = swarm.randomKey();
  let socketId = 0;
  stranger.onMessage = (message, from) => {
    const encoder = stranger.as(id);
    if (message.kind === 'listen') {
      socketId = message.socketId ?? 0;
      stranger.send(encoder.replyListen(message.tid, from, 'x'.repeat(32)), from);
    } else if (message.kind === 'ping') stranger.send(encoder.replyAlive(message.tid, from), from);
    else if (message.kind === 'find') stranger.send(encoder.replyFind(message.tid, from, {}, 'x'.repeat(32)), from);
  };
  stranger.send(stranger.as(id).ping(1), node.endpoint);
  swarm.world.runFor(10_000);
  let added = 0;
  let gone = 0;
  node.core.listen(key, Query.all, (values, isExpired) => {
    if (isExpired) gone += values.length;
    else added += values.length;
    return true;
  });
  swarm.world.runFor(5000);
  assert.notEqual(socketId, 0);
  for (let i = 0; i < 300; i++) {
    const value = Value.plain({ id: BigInt(i + 1), data: Buffer.alloc(60_000) });
    const packets = stranger.as(id).updateValues(10 + i, key, socketId, [value], undefined, 'x'.repeat(32));
    stranger.send(packets, node.endpoint);
    swarm.world.runFor(200);
  }
  assert.equal(added, 300);
  assert.ok(added - gone <= (8 * 1024 * 1024) / 60_000 + 1, `${added - gone} values are remembered`);
});
