import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Scheduler } from '@atoll/base';
import { PushQueue, type PushQueueLimits, type QueuedPush } from './push-queue.js';
import type { PushMessage, PushOutcome } from './push-route.js';
import type { PushPriority } from './push-sender.js';

const SENT: PushOutcome = { kind: 'sent' };
const later = (scope: 'token' | 'lane', afterMs?: number): PushOutcome => ({
  kind: 'later',
  reason: 'x',
  scope,
  afterMs,
});

const LIMITS: PushQueueLimits = {
  sends: 10,
  sendsPerLane: 3,
  waiting: 100,
  waitingPerLane: 50,
  waitingPerToken: 4,
  remembered: 20,
};

/** A queue on a virtual clock, whose attempts the test ends. */
class Bench {
  nowMs = 0;
  readonly scheduler = new Scheduler();
  readonly started: QueuedPush[] = [];
  readonly gone: string[] = [];
  readonly queue: PushQueue;

  constructor(limits: Partial<PushQueueLimits> = {}) {
    this.queue = new PushQueue(
      {
        clock: { nowMs: () => this.nowMs, unixMs: () => this.nowMs },
        random: { bytes: Buffer.alloc, uint32: () => 0, uniform: (_low, high) => high },
        scheduler: this.scheduler,
        start: (push) => this.started.push(push),
        onGone: (token) => this.gone.push(token),
      },
      { ...LIMITS, ...limits },
    );
  }

  offer(token: string, lane = 'host', to = 'a', priority: PushPriority = 'high'): string | undefined {
    const message: PushMessage = { target: { token, platform: 'unifiedpush', topic: '' }, payload: { to }, priority };
    return this.queue.offer(message, lane);
  }

  /** Ends the oldest attempt under way; returns what it was for. */
  end(outcome: PushOutcome = SENT): string {
    const push = this.started.shift();
    assert.ok(push, 'nothing is under way');
    this.queue.finish(push, outcome);
    return `${push.message.target.token}:${push.message.payload.to}`;
  }

  pass(ms: number): void {
    const end = this.nowMs + ms;
    while (this.scheduler.nextDueMs <= end) {
      this.nowMs = Math.max(this.nowMs, this.scheduler.nextDueMs);
      this.scheduler.runDue(this.nowMs);
    }
    this.nowMs = end;
  }
}

test('pushes of a phone go one after the other, in order', () => {
  const bench = new Bench();
  for (const to of ['1', '2', '3']) bench.offer('phone', 'host', to);
  assert.equal(bench.started.length, 1);
  assert.deepEqual([bench.end(), bench.end(), bench.end()], ['phone:1', 'phone:2', 'phone:3']);
  assert.deepEqual([bench.queue.size, bench.queue.underWay], [0, 0]);
});

test('a host gets one push at a time until one has passed, then a few, and never more', () => {
  const bench = new Bench();
  for (let phone = 0; phone < 9; phone++) bench.offer(`phone${phone}`);
  assert.equal(bench.started.length, 1);
  bench.end();
  assert.equal(bench.started.length, 3);
  bench.end();
  assert.equal(bench.started.length, 3);
  assert.equal(bench.queue.underWay, 3);
});

test('all hosts together have a bound, and hosts take turns', () => {
  const bench = new Bench({ sends: 4 });
  for (let phone = 0; phone < 9; phone++) bench.offer(`phone${phone}`, 'busy');
  bench.end();
  assert.equal(bench.started.length, 3);
  for (const host of ['a', 'b', 'c']) bench.offer('phone', host);
  assert.equal(bench.queue.underWay, 4);
  const order = Array.from({ length: 6 }, () => {
    const lane = bench.started[0]?.lane;
    bench.end();
    return lane;
  });
  assert.deepEqual(order.slice(3), ['a', 'b', 'c']);
  assert.ok(bench.queue.underWay <= 4);
});

test('a phone that fails waits, ever longer, and delays nobody else', () => {
  const bench = new Bench();
  bench.offer('bad');
  const gaps: number[] = [];
  for (let attempt = 0; attempt < 6; attempt++) {
    assert.equal(bench.end(later('token')), 'bad:a');
    bench.offer('good');
    assert.equal(bench.end(), 'good:a');
    const before = bench.nowMs;
    bench.pass(bench.scheduler.nextDueMs - bench.nowMs);
    gaps.push(bench.nowMs - before);
  }
  assert.deepEqual(gaps.slice(0, 5), [5000, 10_000, 20_000, 40_000, 80_000]);
  assert.equal(bench.started.length, 0);
  assert.equal(bench.queue.counts.get('dropped: given up'), 1);
});

test('a host that fails makes all its phones wait; a success makes it good again', () => {
  const bench = new Bench();
  bench.offer('one');
  bench.offer('two');
  bench.offer('other', 'elsewhere');
  bench.end(later('lane'));
  bench.end();
  assert.equal(bench.started.length, 0);
  bench.offer('three');
  assert.equal(bench.started.length, 0);
  bench.pass(4999);
  assert.equal(bench.started.length, 0);
  bench.pass(1);
  assert.equal(bench.started.length, 1);
  bench.end();
  assert.equal(bench.started.length, 2);
  bench.end();
  bench.end();
  assert.equal(bench.queue.size, 0);
});

test('a push service may ask for a longer wait, but not for ever', () => {
  const bench = new Bench();
  bench.offer('phone');
  bench.end(later('token', 60_000));
  bench.pass(59_999);
  assert.equal(bench.started.length, 0);
  bench.pass(1);
  assert.equal(bench.started.length, 1);
  bench.end(later('token', 1e12));
  bench.pass(3600_000);
  // It is too old by now; the next one goes.
  assert.equal(bench.queue.counts.get('dropped: given up'), 1);
  bench.offer('phone');
  assert.equal(bench.started.length, 1);
});

test('a token that is gone loses everything that waits, and its owner is told once', () => {
  const bench = new Bench();
  for (const to of ['1', '2', '3']) bench.offer('phone', 'host', to);
  bench.end({ kind: 'gone', reason: 'status 410' });
  assert.deepEqual(bench.gone, ['phone']);
  assert.deepEqual([bench.queue.size, bench.started.length], [0, 0]);
});

test('what is refused is not repeated, and the next one waits a little', () => {
  const bench = new Bench();
  bench.offer('phone', 'host', '1');
  bench.offer('phone', 'host', '2');
  bench.end({ kind: 'refused', reason: 'status 400' });
  assert.equal(bench.started.length, 0);
  bench.pass(5000);
  assert.equal(bench.end(), 'phone:2');
});

test('a phone that gets too much keeps the newest, the urgent before the others', () => {
  const bench = new Bench();
  bench.offer('phone', 'host', 'first');
  bench.offer('phone', 'host', 'a', 'high');
  bench.offer('phone', 'host', 'b', 'normal');
  for (const to of ['c', 'd', 'e', 'f']) bench.offer('phone', 'host', to);
  const order = Array.from({ length: 5 }, () => bench.end());
  assert.deepEqual(order, ['phone:first', 'phone:c', 'phone:d', 'phone:e', 'phone:f']);
});

test('host and queue have bounds, and a refused offer leaves nothing behind', () => {
  const bench = new Bench({ waiting: 30, waitingPerLane: 10 });
  for (let phone = 0; phone < 11; phone++) assert.equal(bench.offer(`phone${phone}`), undefined);
  assert.equal(bench.offer('one-more'), 'too many of a host');
  for (let host = 0; host < 5; host++)
    for (let phone = 0; phone < 10; phone++) bench.offer(`phone${phone}`, `host${host}`);
  assert.equal(bench.queue.size, 30);
  assert.equal(bench.offer('phone', 'new'), 'too many');
});

test('thousands of hosts that fail are remembered within a bound, and all is forgotten at last', () => {
  const bench = new Bench({ sends: 5000, waiting: 5000 });
  for (let host = 0; host < 2000; host++) {
    bench.offer('phone', `host${host}`);
    bench.end({ kind: 'refused', reason: 'loopback' });
  }
  assert.ok(bench.scheduler.size <= 2 * LIMITS.remembered, String(bench.scheduler.size));
  bench.pass(3600_000);
  assert.equal(bench.scheduler.size, 0);
});

test('whatever happens, bounds hold and nothing is lost or sent twice', () => {
  for (let seed = 1; seed < 60; seed++) {
    let state = seed;
    const chance = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % below;
    };
    const bench = new Bench({ sends: 5, waiting: 1000, waitingPerLane: 1000, waitingPerToken: 1000 });
    let offered = 0;
    let ended = 0;
    for (let step = 0; step < 400; step++) {
      if (chance(2) === 0) {
        if (bench.offer(`phone${chance(5)}`, `host${chance(4)}`, String(step)) === undefined) offered++;
      } else if (bench.started.length > 0) {
        const outcome = [SENT, SENT, later('token'), later('lane'), { kind: 'refused', reason: 'x' } as const][
          chance(5)
        ];
        bench.end(outcome);
        if (outcome?.kind !== 'later') ended++;
      } else bench.pass(chance(20_000));
      const lanes = new Map<string, number>();
      const tokens = new Set<string>();
      for (const { lane, message } of bench.started) {
        lanes.set(lane, (lanes.get(lane) ?? 0) + 1);
        const name = `${lane} ${message.target.token}`;
        assert.ok(!tokens.has(name));
        tokens.add(name);
      }
      assert.ok(bench.started.length <= 5 && [...lanes.values()].every((count) => count <= 3));
      assert.equal(bench.queue.underWay, bench.started.length);
      const dropped = bench.queue.counts.get('dropped: given up') ?? 0;
      assert.equal(offered, ended + dropped + bench.queue.size + bench.queue.underWay);
    }
    for (let rounds = 0; rounds < 10_000 && bench.queue.size + bench.queue.underWay > 0; rounds++) {
      if (bench.started.length > 0) bench.end();
      else bench.pass(10_000);
    }
    assert.equal(bench.queue.size + bench.queue.underWay, 0);
    bench.pass(7200_000);
    assert.equal(bench.scheduler.size, 0);
  }
});

test('after the stop nothing begins, and what is under way ends quietly', () => {
  const bench = new Bench();
  bench.offer('phone');
  bench.offer('phone');
  bench.queue.stop();
  assert.equal(bench.offer('phone'), 'stopped');
  bench.end(later('lane'));
  bench.pass(3600_000);
  assert.deepEqual([bench.started.length, bench.queue.size, bench.queue.underWay], [0, 0, 0]);
});
