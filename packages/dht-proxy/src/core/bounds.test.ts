import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ListenCallback, Value } from '@atoll/dht';
import { InfoHash } from '@atoll/identity';
import { KeyWatches, type WatchEvent } from './key-watches.js';
import { ValueCache } from './value-cache.js';

const MOST = 4096;

function values(count: number): Value[] {
  return Array.from({ length: count }, (_, at) => Value.plain({ id: BigInt(at + 1), data: 'x' }));
}

test('a client remembers so many values of a key: the oldest count as gone', () => {
  const cache = new ValueCache();
  for (const value of values(MOST + 2)) assert.ok(cache.add(value));
  assert.deepEqual(
    cache.trim().map(({ id }) => id),
    [1n, 2n],
  );
  assert.equal(cache.size, MOST);
  assert.deepEqual(cache.trim(), []);
});

test('of a key with more values than it remembers, a proxy tells those who join no more than that', () => {
  const key = InfoHash.of('spam');
  let tell: ListenCallback = () => true;
  const watches = new KeyWatches((_key, callback) => {
    tell = callback;
    return () => {};
  });
  const heard: [number, number] = [0, 0];
  const watcher = (who: 0 | 1) => ({
    changed: (event: WatchEvent): void => {
      heard[who] += event.values.length;
    },
    ended: (): void => {},
  });
  watches.watch(key, watcher(0));
  tell(values(MOST + 100), false);
  watches.watch(key, watcher(1));
  assert.deepEqual(heard, [MOST + 100, MOST]);
});
