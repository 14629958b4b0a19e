import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Query, Value } from '@atoll/dht';
import type { InfoHash } from '@atoll/identity';
import { Swarm, type SwarmNode } from './swarm.js';

const MINUTE = 60_000;
/** Long enough for everything to expire: idle searches stay 62 minutes, nodes an hour. */
const QUIET_MS = 150 * MINUTE;

export interface EnduranceOptions {
  readonly hours: number;
  readonly peers: number;
  readonly seed?: number;
}

export interface EnduranceResult {
  readonly hours: number;
  /** Datagrams that the one node received. */
  readonly received: number;
  /** Counts of the node's structures when all is quiet: after the first hour and after all. */
  readonly quietBefore: Readonly<Record<string, number>>;
  readonly quietAfter: Readonly<Record<string, number>>;
  /** Largest counts in the first and in the second half of the load. */
  readonly largestBefore: Readonly<Record<string, number>>;
  readonly largestAfter: Readonly<Record<string, number>>;
  /** Heap of the process after collection, in MB: the same two quiet moments. */
  readonly heapBeforeMb: number;
  readonly heapAfterMb: number;
}

/** One node that never rests among peers that come and go: gets, puts, listens and large values, by it and at it. */
export function simulateEndurance(options: EnduranceOptions): EnduranceResult {
  const swarm = new Swarm({ seed: options.seed ?? 5, loss: 0.05 });
  const { world } = swarm;
  const one = swarm.add();
  swarm.grow(options.peers, 5);
  const load = new Load(swarm, one);
  load.runFor(60 * MINUTE);
  load.rest();
  const quietBefore = one.core.sizes;
  const heapBeforeMb = heapMb();
  const halfMs = Math.max(1, (options.hours - 1) / 2) * 60 * MINUTE;
  const largestBefore = load.runFor(halfMs);
  const largestAfter = load.runFor(halfMs);
  load.rest();
  return {
    hours: Math.round(world.clock.nowMs() / (60 * MINUTE)),
    received: one.core.stats.received,
    quietBefore,
    quietAfter: one.core.sizes,
    largestBefore,
    largestAfter,
    heapBeforeMb,
    heapAfterMb: heapMb(),
  };
}

class Load {
  private readonly swarm: Swarm;
  private readonly one: SwarmNode;
  private readonly listens = new Set<() => void>();
  private readonly puts: { node: SwarmNode; key: InfoHash; id: bigint }[] = [];
  private readonly keys: InfoHash[];
  private nextId = 1n;

  constructor(swarm: Swarm, one: SwarmNode) {
    this.swarm = swarm;
    this.one = one;
    this.keys = Array.from({ length: 200 }, () => swarm.randomKey());
  }

  /** The largest counts seen in the node. */
  runFor(ms: number): Record<string, number> {
    const largest: Record<string, number> = {};
    const end = this.swarm.world.clock.nowMs() + ms;
    while (this.swarm.world.clock.nowMs() < end) {
      this.swarm.churnFor(MINUTE, 0.2, 10 * MINUTE, (node) => node !== this.one);
      for (let i = 0; i < 6; i++) this.act();
      for (const [name, size] of Object.entries(this.one.core.sizes))
        largest[name] = Math.max(largest[name] ?? 0, size);
    }
    return largest;
  }

  /** Everything ends, and time enough for it to be forgotten. */
  rest(): void {
    for (const cancel of this.listens) cancel();
    this.listens.clear();
    for (const { node, key, id } of this.puts.splice(0)) node.core.cancelPut(key, id);
    this.swarm.world.runFor(QUIET_MS);
  }

  private act(): void {
    const { random } = this.swarm;
    const key = random.pick(this.keys);
    const node = random.below(3) === 0 ? this.one : random.pick(this.swarm.nodes);
    switch (random.below(4)) {
      case 0:
        node.get(key, () => {});
        return;
      case 1:
        node.put(key, Value.plain({ id: this.nextId++, data: random.bytes(random.below(3000)) }));
        return;
      case 2: {
        const put = { node, key, id: this.nextId++ };
        node.put(key, Value.plain({ id: put.id, data: 'permanent' }), true);
        this.puts.push(put);
        if (this.puts.length <= 20) return;
        const [oldest] = this.puts.splice(0, 1);
        oldest?.node.core.cancelPut(oldest.key, oldest.id);
        return;
      }
      default: {
        const cancel = node.core.listen(key, Query.all, () => true);
        if (cancel === undefined) return;
        this.listens.add(cancel);
        if (this.listens.size <= 20) return;
        const [oldest] = this.listens;
        if (oldest === undefined) return;
        this.listens.delete(oldest);
        oldest();
      }
    }
  }
}

function heapMb(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return Math.round(process.memoryUsage().heapUsed / 100_000) / 10;
}
