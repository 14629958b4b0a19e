import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, Endpoint, type RandomSource, systemRandom } from '@atoll/base';
import { InfoHash } from '@atoll/identity';
import { DhtCore } from './core/dht-core.js';
import { Query } from './wire/query.js';
import { Value } from './wire/value.js';

/** Nodes that play the network: enough that answers carry full lists. */
const NODES = 12;
/** Puts and gets played, each about forty datagrams: by then the compiler has taken up the code of all of them. */
const OPERATIONS = 100;
const VALUE_BYTES = 100;
/** Virtual time that passes with each datagram. */
const STEP_MS = 0.1;

let isDone = false;

/**
 * Plays puts and gets in a network of cores in memory, a little in each turn of the event loop, once in a process.
 *
 * Code that ran a few times only is interpreted, at a tenth of the speed: without this the first thousand queries of a
 * new node would wait for it. It ends early when `isNeeded` says no: a busy node warms up by itself. Nothing leaves the process.
 */
export async function rehearse(isNeeded: () => boolean = () => true): Promise<void> {
  if (isDone) return;
  isDone = true;
  const network = new RehearsalNetwork();
  for (let number = 0; number < OPERATIONS; number++) {
    if (!isNeeded()) break;
    network.play(number);
    await nextTurn();
  }
  network.close();
}

class RehearsalNetwork {
  private nowMs = 0;
  private readonly cores: DhtCore[] = [];
  private readonly onWire: { readonly bytes: Buffer; readonly from: Endpoint; readonly to: Endpoint }[] = [];

  constructor() {
    const clock: Clock = { nowMs: () => this.nowMs, unixMs: () => this.nowMs };
    const random: RandomSource = systemRandom;
    for (let number = 0; number < NODES; number++) {
      // Addresses of the documentation's network (RFC 5737), one for each core.
      const own = new Endpoint(`\xc0\x00\x02${String.fromCharCode(number + 1)}`, number + 1);
      const send = (bytes: Buffer, to: Endpoint): void => {
        this.onWire.push({ bytes: Buffer.from(bytes), from: own, to });
      };
      const core = new DhtCore({ clock, random, send }, { families: [4] });
      const [first] = this.cores;
      if (first !== undefined) core.insertNode(first.id, new Endpoint('\xc0\x00\x02\x01', 1));
      this.cores.push(core);
    }
  }

  /** One put and one get, and what the cores do meanwhile. */
  play(number: number): void {
    const key = new InfoHash(systemRandom.bytes(InfoHash.bytes).latin1Slice());
    const id = BigInt(number + 1) << 32n;
    this.core(number).put(key, Value.plain({ id, data: systemRandom.bytes(VALUE_BYTES) }), {}, () => {});
    this.deliver();
    this.core(number + 1).get(key, Query.all, {});
    this.deliver();
    this.nowMs += 1000;
    this.deliver();
  }

  close(): void {
    for (const core of this.cores) core.close();
  }

  private core(number: number): DhtCore {
    return this.cores[number % NODES] as DhtCore;
  }

  private deliver(): void {
    for (const core of this.cores) core.tick();
    for (let packet = this.onWire.shift(); packet !== undefined; packet = this.onWire.shift()) {
      this.nowMs += STEP_MS;
      const core = this.core(packet.to.port - 1);
      core.receive(packet.bytes, packet.from);
      if (core.nextWakeMs <= this.nowMs) core.tick();
    }
  }
}
