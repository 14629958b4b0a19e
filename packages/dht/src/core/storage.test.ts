import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Endpoint, Scheduler } from '@atoll/base';
import { InfoHash } from '@atoll/identity';
import { Value } from '../wire/value.js';
import { Storage, type StorageLimits, VALUE_OVERHEAD_BYTES } from './storage.js';
import { ValueTypes } from './value-types.js';

const KEY = InfoHash.of('key');
const OTHER_KEY = InfoHash.of('other key');
const FROM = new Endpoint('\x0a\0\0\x01', 4222);

function makeStorage(limits: StorageLimits = { maxKeys: 10, maxRemoteBytes: -1 }) {
  let nowMs = 0;
  const scheduler = new Scheduler();
  const removed: bigint[] = [];
  const storage = new Storage(
    {
      clock: { nowMs: () => nowMs, unixMs: () => nowMs },
      scheduler,
      types: new ValueTypes(),
      onStored: () => {},
      onRemoved: (stored) => removed.push(stored.value.id),
    },
    limits,
  );
  const pass = (ms: number): void => {
    nowMs += ms;
    scheduler.runDue(nowMs);
  };
  return { storage, removed, pass };
}

const value = (id: number, data = 'data'): Value => Value.plain({ id: BigInt(id), data });
const ids = (storage: Storage, key: InfoHash): bigint[] => [...storage.valuesOf(key)].map((stored) => stored.value.id);

test('one value under a key, then more, then fewer, then none', () => {
  const { storage, removed } = makeStorage();
  assert.deepEqual(ids(storage, KEY), []);
  assert.equal(storage.store(KEY, value(1), 0, FROM), true);
  assert.deepEqual(ids(storage, KEY), [1n]);
  assert.equal(storage.get(KEY, 2n), undefined);
  for (const id of [2, 3]) assert.equal(storage.store(KEY, value(id), 0, FROM), true);
  assert.deepEqual(ids(storage, KEY), [1n, 2n, 3n]);
  assert.equal(storage.countOf(KEY), 3);
  assert.equal(storage.get(KEY, 2n)?.value.id, 2n);
  for (const id of [1n, 3n, 2n]) assert.equal(storage.remove(KEY, id), true);
  assert.deepEqual(removed, [1n, 3n, 2n]);
  assert.equal(storage.has(KEY), false);
  assert.equal(storage.valueCount, 0);
  assert.equal(storage.storedRemoteBytes, 0);
});

test('another content under the same id takes its place', () => {
  const { storage } = makeStorage();
  storage.store(KEY, value(1, 'before'), 0, FROM);
  storage.store(KEY, value(1, 'after'), 0, FROM);
  assert.equal(storage.get(KEY, 1n)?.value.data.toString(), 'after');
  assert.equal(storage.countOf(KEY), 1);
  assert.equal(storage.storedRemoteBytes, 'after'.length + VALUE_OVERHEAD_BYTES);
});

test('values expire, each at its own time, and a refresh gives more', () => {
  const { storage, removed, pass } = makeStorage();
  storage.store(KEY, value(1), 0, FROM);
  storage.store(OTHER_KEY, value(2), 0, FROM);
  pass(9 * 60_000);
  assert.equal(storage.refresh(KEY, 1n), true);
  pass(2 * 60_000);
  assert.deepEqual(removed, [2n]);
  assert.equal(storage.has(OTHER_KEY), false);
  pass(10 * 60_000);
  assert.deepEqual(removed, [2n, 1n]);
});

test('beyond the limit of keys nothing new is taken; beyond that of bytes the largest owner gives', () => {
  const { storage } = makeStorage({ maxKeys: 1, maxRemoteBytes: 10 + VALUE_OVERHEAD_BYTES });
  storage.store(KEY, value(1, '12345678'), 0, FROM);
  assert.equal(storage.store(OTHER_KEY, value(1), 0, FROM), false);
  const other = new Endpoint('\x0a\0\0\x02', 4222);
  assert.equal(storage.store(KEY, value(2, '123'), 0, other), true);
  assert.deepEqual(ids(storage, KEY), [2n]);
  assert.equal(storage.storedRemoteBytes, 3 + VALUE_OVERHEAD_BYTES);
});
