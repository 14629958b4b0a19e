import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualNetwork } from './virtual-network.js';

/** Two hosts, of which one counts off 200 datagrams to the other; what arrived, with the time. */
function run(seed: number): string[] {
  const world = new VirtualNetwork({ seed, loss: 0.3, delayMs: [10, 40] });
  const arrived: string[] = [];
  const from = world.host().open(1000, () => {});
  const to = world
    .host()
    .open(2000, (bytes, source) => arrived.push(`${world.clock.nowMs().toFixed(3)} ${source} ${bytes[0]}`));
  for (let i = 0; i < 200; i++) world.after(i, () => from.send(Buffer.from([i]), to.endpoint));
  world.runFor(1000);
  return arrived;
}

test('the same seed gives the same run, another seed another one', () => {
  assert.deepEqual(run(7), run(7));
  assert.notDeepEqual(run(7), run(8));
  assert.ok(run(7).length > 110 && run(7).length < 170, 'three of ten are lost');
  const numbers = run(7).map((line) => Number(line.split(' ')[2]));
  assert.notDeepEqual(
    numbers,
    [...numbers].sort((a, b) => a - b),
    'datagrams overtake each other',
  );
});

test('islands, pulled cables and hosts that left are out of reach', () => {
  const world = new VirtualNetwork({ delayMs: [1, 1] });
  const [a, b] = [world.host(), world.host()];
  let heard = 0;
  const from = a.open(1, () => {});
  const to = b.open(1, () => heard++);
  const say = (): number => {
    heard = 0;
    from.send(Buffer.from('x'), to.endpoint);
    world.runFor(10);
    return heard;
  };
  assert.equal(say(), 1);
  world.split([b]);
  assert.equal(say(), 0);
  world.split([a, b], 0);
  b.isUp = false;
  assert.equal(say(), 0);
  b.isUp = true;
  assert.equal(say(), 1);
  let rang = 0;
  b.alarm(() => rang++)(world.clock.nowMs() + 5);
  b.leave();
  assert.equal(say(), 0);
  assert.equal(rang, 0);
  assert.equal(world.stats.unreachable, 3);
});

test('alarms ring when time comes, as moved last', () => {
  const world = new VirtualNetwork();
  const host = world.host();
  const rang: number[] = [];
  const set = host.alarm(() => rang.push(world.clock.nowMs()));
  set(50);
  set(20);
  world.runFor(30);
  set(100);
  assert.equal(
    world.runUntil(() => rang.length === 2, 1000),
    true,
  );
  assert.deepEqual(rang, [20, 100]);
  assert.equal(
    world.runUntil(() => rang.length === 3, 1000),
    false,
  );
  assert.equal(world.clock.nowMs(), 1100);
});

test('a forged source is what the receiver sees', () => {
  const world = new VirtualNetwork();
  const victim = world.host().open(4222, () => {});
  let source = '';
  const target = world.host().open(4222, (_bytes, from) => {
    source = from.toString();
  });
  world.inject(Buffer.from('x'), victim.endpoint, target.endpoint);
  world.runFor(100);
  assert.equal(source, victim.endpoint.toString());
});
