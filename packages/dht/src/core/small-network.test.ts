import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, Endpoint, systemRandom } from '@atoll/base';
import { InfoHash } from '@atoll/identity';
import { decodeMessage } from '../wire/message.js';
import { Value } from '../wire/value.js';
import { DhtCore } from './dht-core.js';

const NODES = 10;
const RTT_HALF_MS = 5;

/** Cores in memory, every datagram five milliseconds on its way. */
class Network {
  nowMs = 1000;
  readonly cores: DhtCore[] = [];
  /** Kinds of the requests sent since it was last emptied, with the time. */
  requests: string[] = [];
  private onWire: { dueMs: number; bytes: Buffer; from: Endpoint; to: Endpoint }[] = [];

  constructor() {
    for (let number = 0; number < NODES; number++) {
      const core = this.start(number);
      const [first] = this.cores;
      if (first !== undefined) core.insertNode(first.id, new Endpoint('\x0a\0\0\x01', 1));
      this.cores.push(core);
    }
  }

  /** A core at an address; with an id that was there before it is a node that was restarted. */
  start(number: number, id?: InfoHash): DhtCore {
    const clock: Clock = { nowMs: () => this.nowMs, unixMs: () => this.nowMs };
    const from = new Endpoint(`\x0a\0\0${String.fromCharCode(number + 1)}`, number + 1);
    const send = (bytes: Buffer, to: Endpoint): void => {
      const message = decodeMessage(bytes);
      if (typeof message !== 'string') this.requests.push(message.kind);
      this.onWire.push({ dueMs: this.nowMs + RTT_HALF_MS, bytes: Buffer.from(bytes), from, to });
    };
    return new DhtCore({ clock, random: systemRandom, send }, { families: [4], id });
  }

  /** Lets time pass until it is over or `isDone`. */
  pass(ms: number, isDone: () => boolean = () => false): void {
    const endMs = this.nowMs + ms;
    for (; this.nowMs < endMs && !isDone(); this.nowMs++) {
      const due = this.onWire.filter((packet) => packet.dueMs <= this.nowMs);
      this.onWire = this.onWire.filter((packet) => packet.dueMs > this.nowMs);
      for (const { bytes, from, to } of due) this.cores[to.port - 1]?.receive(bytes, from);
      for (const core of this.cores) core.tick();
    }
  }

  /** Puts a value; returns how long that took. */
  put(core: DhtCore, key: InfoHash, value: Value): number {
    const startMs = this.nowMs;
    let done: boolean | undefined;
    core.put(key, value, {}, (ok) => {
      done = ok;
    });
    this.pass(60_000, () => done !== undefined);
    assert.equal(done, true);
    return this.nowMs - startMs;
  }
}

const value = (id: bigint): Value => Value.plain({ id, data: 'hello' });

test('in a small network a put goes out at once, with tokens from before', () => {
  const network = new Network();
  network.pass(30_000);
  const [core] = network.cores as [DhtCore];
  // Each put is acknowledged by eight of the nine others: by now all have given a token.
  for (const key of ['first', 'another', 'a third', 'a fourth', 'a fifth'])
    network.put(core, InfoHash.of(key), value(1n));
  network.requests = [];
  const tookMs = network.put(core, InfoHash.of('second'), value(2n));
  assert.ok(tookMs < 4 * RTT_HALF_MS, `took ${tookMs} ms, more than one round trip`);
  assert.equal(network.requests.filter((kind) => kind === 'put').length, 8);
});

test('a token that is no longer good is replaced, and the value is put all the same', () => {
  const network = new Network();
  network.pass(30_000);
  const [core, ...others] = network.cores as [DhtCore, ...DhtCore[]];
  network.put(core, InfoHash.of('first'), value(1n));
  // All others are started anew under their ids: no token given before is valid any more.
  others.forEach((other, index) => {
    network.cores[index + 1] = network.start(index + 1, other.id);
  });
  network.requests = [];
  network.put(core, InfoHash.of('third'), value(3n));
  assert.ok(network.requests.includes('error'));
  const holders = network.cores.slice(1).filter((other) => other.storage.has(InfoHash.of('third')));
  assert.equal(holders.length, 8);
});
