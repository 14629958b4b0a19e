import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Scheduler } from '@atoll/base';
import { Value } from '@atoll/dht';
import { InfoHash } from '@atoll/identity';
import { PermanentPutFile } from '../server/permanent-put-file.js';
import type { PutOwner } from '../wire/requests.js';
import { PermanentPuts } from './permanent-puts.js';

const HOUR_MS = 3_600_000;
const KEY = InfoHash.of('key');
const OWNER: PutOwner = { token: 'tok', clientId: 'c1', sessionId: 's1', platform: 'android', topic: 'tp' };
const NOBODY: PutOwner = { token: '', clientId: '', sessionId: '', platform: 'none', topic: '' };

/** Permanent puts on a clock that the test moves, and what they said. */
function world(store = new PermanentPutFile(':memory:'), startUnixMs = 1_800_000_000_000) {
  let nowMs = 0;
  const said: string[] = [];
  const scheduler = new Scheduler();
  const clock = { nowMs: () => nowMs, unixMs: () => startUnixMs + nowMs };
  const puts = new PermanentPuts({
    clock,
    scheduler,
    store,
    onWarning: ({ value, owner }) => said.push(`warning ${value.id} to ${owner.clientId} in ${owner.sessionId}`),
    onEnded: ({ value }) => said.push(`end ${value.id}`),
  });
  const goTo = (hours: number): void => {
    nowMs = hours * HOUR_MS;
    scheduler.runDue(nowMs);
  };
  return { puts, said, goTo, store, clock };
}

test('a permanent put is warned of two hours before its end, and ends a day after the latest renewal', () => {
  const { puts, said, goTo } = world();
  puts.keep(KEY, Value.plain({ id: 1n, data: 'a' }), OWNER, 'x');
  puts.keep(KEY, Value.plain({ id: 2n, data: 'b' }), NOBODY, 'x');
  assert.deepEqual([puts.size, puts.keyCount, puts.countOf('x')], [2, 1, 2]);
  goTo(21.9);
  assert.deepEqual(said, []);
  goTo(22);
  assert.deepEqual(said, ['warning 1 to c1 in s1']);
  puts.keep(KEY, Value.plain({ id: 1n, data: 'a2' }), { ...OWNER, sessionId: '' }, 'x');
  goTo(24);
  assert.deepEqual(said.slice(1), ['end 2']);
  assert.equal(puts.get(KEY, 1n)?.value.data.toString(), 'a2');
  goTo(44);
  assert.deepEqual(said.slice(2), ['warning 1 to c1 in s1'], 'a renewal moves the warning, too, and keeps the session');
  goTo(46);
  assert.deepEqual(said.slice(3), ['end 1']);
  assert.deepEqual([puts.size, puts.keyCount, puts.countOf('x')], [0, 0, 0]);
});

test('without an id the same content of the same client is the same put', () => {
  const { puts } = world();
  puts.keep(KEY, Value.plain({ id: 5n, data: 'a' }), OWNER, 'x');
  assert.equal(puts.findSame(KEY, Value.plain({ data: 'a' }), OWNER)?.value.id, 5n);
  assert.equal(puts.findSame(KEY, Value.plain({ data: 'b' }), OWNER), undefined);
  assert.equal(puts.findSame(KEY, Value.plain({ data: 'a' }), { ...OWNER, clientId: 'c2' }), undefined);
});

test('permanent puts survive a restart with their ends; those that ended meanwhile do not', () => {
  const before = world();
  before.puts.keep(KEY, Value.plain({ id: 1n, data: 'old' }), OWNER, 'x');
  before.goTo(10);
  before.puts.keep(KEY, Value.plain({ id: 0xffff_ffff_ffff_ffffn, data: 'new' }), OWNER, 'y');
  const after = world(before.store, before.clock.unixMs() + 20 * HOUR_MS);
  after.puts.restore();
  assert.deepEqual(
    [...after.puts.all()].map(({ value, owner, address }) => [value.id, value.data.toString(), owner, address]),
    [[0xffff_ffff_ffff_ffffn, 'new', OWNER, 'y']],
  );
  after.goTo(4);
  assert.deepEqual(after.said.at(-1), `end ${0xffff_ffff_ffff_ffffn}`);
  assert.deepEqual([...before.store.all()], []);
  before.store.close();
});
