import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeetingPlace } from './meeting-place.js';

/** A place, and a clock that can be turned. */
function trial(): {
  place: MeetingPlace;
  clock: { nowMs: number };
  open: (address: string) => { code: string; seat: string };
} {
  const clock = { nowMs: 0 };
  const place = new MeetingPlace({ nowMs: () => clock.nowMs });
  const open = (address: string): { code: string; seat: string } => {
    const room = place.open(address);
    assert.ok(typeof room === 'object', String(room));
    return room;
  };
  return { place, clock, open };
}

test('two members hear each other, and nobody else comes in', () => {
  const { place, open } = trial();
  const { code, seat } = open('10.0.0.1');
  assert.match(code, /^[a-z2-9]{6}$/);
  assert.equal(place.say(code, seat, 'offer'), undefined, 'before the other one is there');
  const entered = place.enter(code);
  assert.ok(typeof entered === 'object');
  assert.deepEqual(place.hear(code, entered.seat, 0), ['offer']);
  assert.deepEqual(place.hear(code, entered.seat, 1), []);
  assert.equal(place.say(code, entered.seat, 'answer'), undefined);
  assert.deepEqual(place.hear(code, seat, 0), ['answer']);
  assert.equal(place.enter(code), 'taken');
  assert.equal(place.enter('nobody'), 'unknown');
  assert.equal(place.hear(code, 'guess', 0), 'unknown');
  assert.equal(place.say(code, '', 'x'), 'unknown');
});

test('a member says no more than devices have to', () => {
  const { place, open } = trial();
  const { code, seat } = open('10.0.0.1');
  assert.equal(place.say(code, seat, 'x'.repeat(16_385)), 'tooMuch');
  for (let n = 0; n < 16; n++) assert.equal(place.say(code, seat, 'x'.repeat(16_384)), undefined);
  assert.equal(place.say(code, seat, 'x'), 'tooMuch');
});

test('rooms end after ten minutes; one address has few of them, and all together not many', () => {
  const { place, clock, open } = trial();
  const first = open('fd00::1');
  for (let n = 2; n <= 5; n++) open(`fd00::${n}`);
  assert.equal(place.enter(first.code), 'unknown', 'all addresses of a /64 are one machine');
  const last = open('10.0.1.0');
  for (let n = 1; n < 28; n++) open(`10.0.1.${n}`);
  assert.equal(place.open('10.0.2.1'), 'full');
  clock.nowMs = 10 * 60_000;
  assert.equal(place.hear(last.code, last.seat, 0), 'unknown');
  open('10.0.2.1');
});
