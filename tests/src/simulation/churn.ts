import { Value } from '@atoll/dht';
import type { InfoHash } from '@atoll/identity';
import { Swarm, type SwarmNode } from './swarm.js';

const MINUTE = 60_000;

export interface ChurnOptions {
  readonly nodes: number;
  readonly loss: number;
  /** Values put permanently, each by a node of its own choice. */
  readonly values: number;
  readonly getsPerValue: number;
  /** Time between the puts and the gets. */
  readonly waitMs: number;
  /** Share of the nodes replaced every ten minutes, also before the puts and during the gets. */
  readonly share: number;
  /** Churn before the puts, 10 minutes when left out: time for the nodes that joined all at once to be replaced by others. */
  readonly warmUpMs?: number;
  readonly seed?: number;
  /** Hears how far it is, every five virtual minutes. */
  readonly onProgress?: (virtualMinutes: number, datagrams: number) => void;
}

export interface ChurnResult {
  readonly nodes: number;
  readonly replaced: number;
  readonly putsAcknowledged: number;
  readonly puts: number;
  /** Values whose putters still live. */
  readonly valuesLeft: number;
  readonly gets: number;
  readonly found: number;
  readonly foundShare: number;
  /** ms of virtual time from the question to the end of a get. */
  readonly getMedianMs: number;
  readonly getP99Ms: number;
  /** Replicas among the eight nodes nearest to the key, of values whose putters live; mean. */
  readonly replicas: number;
  readonly datagrams: number;
  readonly virtualMinutes: number;
}

interface Put {
  readonly node: SwarmNode;
  readonly key: InfoHash;
  readonly value: Value;
}

/** Permanent puts in a network that loses packets and whose nodes come and go, and gets a while later. */
export function simulateChurn(options: ChurnOptions): ChurnResult {
  const swarm = new Swarm({ seed: options.seed ?? 1, loss: options.loss });
  const { world, random } = swarm;
  swarm.grow(options.nodes, Math.max(5, options.nodes / 60));
  let replaced = 0;
  const churn = (ms: number): void => {
    const end = world.clock.nowMs() + ms;
    while (world.clock.nowMs() < end) {
      const sliceMs = Math.min(5 * MINUTE, end - world.clock.nowMs());
      if (options.share > 0) replaced += swarm.churnFor(sliceMs, options.share, 10 * MINUTE);
      else world.runFor(sliceMs);
      options.onProgress?.(world.clock.nowMs() / MINUTE, world.stats.sent);
    }
  };
  churn(options.warmUpMs ?? 10 * MINUTE);
  const puts: Put[] = [];
  let acknowledged = 0;
  for (let i = 0; i < options.values; i++) {
    const put = {
      node: random.pick(swarm.nodes),
      key: swarm.randomKey(),
      value: Value.plain({ id: BigInt(i + 1), data: `value ${i}` }),
    };
    puts.push(put);
    world.after(random.uniform(0, MINUTE), () => {
      if (put.node.isAlive) put.node.put(put.key, put.value, true, (ok) => (acknowledged += ok ? 1 : 0));
    });
  }
  churn(options.waitMs + MINUTE);
  const left = puts.filter((put) => put.node.isAlive);
  const replicas = left.map(
    (put) => swarm.nearest(put.key, 8).filter((node) => node.core.storage.get(put.key, put.value.id)).length,
  );
  const asked: { ok: boolean; tookMs: number }[] = [];
  const seconds = Math.max(30, (left.length * options.getsPerValue) / (options.nodes / 10));
  for (const put of left) {
    for (let i = 0; i < options.getsPerValue; i++) {
      world.after(random.uniform(0, seconds * 1000), () => {
        // Its putter may leave while others look for it, and so may the one who looks.
        if (!put.node.isAlive) return;
        const asker = swarm.anybody((node) => node !== put.node && node.isConnected);
        asker.get(put.key, ({ values, tookMs }) => {
          asked.push({ ok: values.some((value) => value.equals(put.value)), tookMs });
        });
      });
    }
  }
  churn(seconds * 1000);
  world.runFor(2 * MINUTE);
  const times = asked.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  const found = asked.filter(({ ok }) => ok).length;
  return {
    nodes: options.nodes,
    replaced,
    puts: puts.length,
    putsAcknowledged: acknowledged,
    valuesLeft: left.length,
    gets: asked.length,
    found,
    foundShare: found / asked.length,
    getMedianMs: Math.round(times[times.length >> 1] ?? 0),
    getP99Ms: Math.round(times[Math.floor(times.length * 0.99)] ?? 0),
    replicas: replicas.reduce((sum, count) => sum + count, 0) / replicas.length,
    datagrams: world.stats.sent,
    virtualMinutes: Math.round(world.clock.nowMs() / MINUTE),
  };
}
