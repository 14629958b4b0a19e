import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Endpoint, systemRandom } from '@atoll/base';
import { InfoHash } from '@atoll/identity';
import { Query } from '../wire/query.js';
import { Value } from '../wire/value.js';
import { DhtCore } from './dht-core.js';

const MINUTE = 60_000;
const KEY = InfoHash.of('key');

/** Cores on one wire that can be cut, and a clock that jumps from one thing to do to the next. */
class Wire {
  nowMs = 1_000_000;
  isCut = false;
  readonly cores: DhtCore[] = [];
  private readonly flying: { bytes: Buffer; from: Endpoint; to: number }[] = [];

  add(): DhtCore {
    const number = this.cores.length;
    const from = addressOf(number);
    const core = new DhtCore(
      {
        clock: { nowMs: () => this.nowMs, unixMs: () => this.nowMs },
        random: systemRandom,
        send: (bytes, to) => {
          if (!this.isCut) this.flying.push({ bytes: Buffer.from(bytes), from, to: (to.ip.charCodeAt(3) ?? 1) - 1 });
        },
      },
      { families: [4] },
    );
    this.cores.push(core);
    return core;
  }

  run(untilMs: number): void {
    for (;;) {
      const packet = this.flying.shift();
      if (packet !== undefined) {
        this.cores[packet.to]?.receive(packet.bytes, packet.from);
        continue;
      }
      const next = Math.min(...this.cores.map((core) => core.nextWakeMs));
      if (next > untilMs) break;
      this.nowMs = Math.max(this.nowMs, next);
      for (const core of this.cores) core.tick();
    }
    this.nowMs = untilMs;
  }
}

function addressOf(number: number): Endpoint {
  return new Endpoint(String.fromCharCode(10, 0, 0, number + 1), 4222);
}

test('nodes that lost each other find each other again, without a bootstrap, soon after they can', () => {
  const wire = new Wire();
  const [a, b] = [wire.add(), wire.add()];
  a.insertNode(b.id, addressOf(1));
  wire.run(wire.nowMs + MINUTE);
  assert.equal(a.connectivity.get(4), 'connected');

  wire.isCut = true;
  let ended = 0;
  for (const core of [a, b]) core.get(KEY, Query.all, { onDone: () => ended++ });
  wire.run(wire.nowMs + MINUTE);
  assert.equal(ended, 2);
  a.put(KEY, Value.plain({ id: 1n, data: 'of a' }), { isPermanent: true }, () => {});
  wire.run(wire.nowMs + 20 * MINUTE);
  assert.equal(a.connectivity.get(4), 'disconnected');
  assert.deepEqual([a.sizes.lostNodes, b.sizes.lostNodes], [1, 1]);

  wire.isCut = false;
  wire.run(wire.nowMs + 5 * MINUTE + 10_000);
  assert.equal(a.connectivity.get(4), 'connected');
  assert.deepEqual([a.sizes.lostNodes, b.sizes.lostNodes], [0, 0]);
  assert.equal(b.storage.get(KEY, 1n)?.value.data.toString(), 'of a', 'the permanent put was taken up again');
});

test('a node that stays away is given up after half a day', () => {
  const wire = new Wire();
  const [a, b] = [wire.add(), wire.add()];
  a.insertNode(b.id, addressOf(1));
  wire.run(wire.nowMs + MINUTE);
  wire.isCut = true;
  a.get(KEY, Query.all, {});
  wire.run(wire.nowMs + 60 * MINUTE);
  assert.equal(a.sizes.lostNodes, 1);
  const { sent } = a.stats;
  wire.run(wire.nowMs + 60 * MINUTE);
  assert.ok(a.stats.sent - sent <= 3 * 12 + 3, 'asked every five minutes, three times each');
  wire.run(wire.nowMs + 12 * 60 * MINUTE);
  assert.equal(a.sizes.lostNodes, 0);
});
