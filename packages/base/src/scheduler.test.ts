import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Job, Scheduler } from './scheduler.js';

test('jobs run in the order of time, then of scheduling, whatever was moved or cancelled', () => {
  const action = fc.record({ what: fc.constantFrom('at', 'move', 'cancel'), which: fc.nat(20), dueMs: fc.nat(50) });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const scheduler = new Scheduler();
      const jobs: Job[] = [];
      const model = new Map<number, { dueMs: number; order: number }>();
      const ran: number[] = [];
      let order = 0;
      for (const { what, which, dueMs } of actions) {
        const job = jobs[which % (jobs.length || 1)];
        const index = which % (jobs.length || 1);
        if (what === 'at' || job === undefined) {
          const own = jobs.length;
          jobs.push(scheduler.at(dueMs, () => ran.push(own)));
          model.set(own, { dueMs, order: order++ });
        } else if (what === 'move') {
          scheduler.move(job, dueMs);
          if (model.get(index)?.dueMs !== dueMs) model.set(index, { dueMs, order: order++ });
        } else {
          scheduler.cancel(job);
          model.delete(index);
        }
        assert.equal(scheduler.size, model.size);
        assert.equal(scheduler.nextDueMs, Math.min(...[...model.values()].map((entry) => entry.dueMs)));
      }
      scheduler.runDue(100);
      const expected = [...model].sort(([, a], [, b]) => a.dueMs - b.dueMs || a.order - b.order).map(([own]) => own);
      assert.deepEqual(ran, expected);
    }),
  );
});

test('whoever arms the real timer hears of an earlier job only', () => {
  const heard: number[] = [];
  const scheduler = new Scheduler((dueMs) => heard.push(dueMs));
  scheduler.at(10, () => {});
  scheduler.at(20, () => {});
  const job = scheduler.at(30, () => {});
  scheduler.move(job, 5);
  assert.deepEqual(heard, [10, 5]);
});

test('a job may add another for the same instant', () => {
  const scheduler = new Scheduler();
  const ran: string[] = [];
  scheduler.at(1, () => {
    ran.push('first');
    scheduler.at(1, () => ran.push('second'));
  });
  scheduler.runDue(1);
  assert.deepEqual(ran, ['first', 'second']);
  assert.equal(scheduler.runFirst(), false);
});
