import { Value } from '@atoll/dht';
import type { InfoHash } from '@atoll/identity';
import { Swarm, type SwarmNode } from './swarm.js';

const MINUTE = 60_000;

export interface IslandOptions {
  readonly nodes: number;
  readonly valuesPerSide: number;
  /** How long the two halves are apart. */
  readonly apartMs: number;
  readonly loss?: number;
  readonly seed?: number;
}

export interface IslandResult {
  readonly nodes: number;
  /** Share of values of the own side found while apart. */
  readonly foundApart: number;
  /** Share of values of the other side found while apart; of values put before the split. */
  readonly foundForeignApart: number;
  readonly foundOldApart: number;
  /** Minutes after the healing until at least 99 % of the other side's values were found from each side. */
  readonly minutesToMerge: number;
  /** Share found at the end. */
  readonly foundMerged: number;
}

interface Put {
  readonly key: InfoHash;
  readonly value: Value;
  readonly island: number;
}

/** A network that is cut into two halves, each of which goes on, and that is healed. Newcomers join all the time. */
export function simulateIslands(options: IslandOptions): IslandResult {
  const swarm = new Swarm({ seed: options.seed ?? 1, loss: options.loss ?? 0 });
  const { world, random } = swarm;
  swarm.grow(options.nodes, Math.max(5, options.nodes / 60));
  let nextId = 1n;
  const put = (island: number, node: SwarmNode): Put => {
    const made = { key: swarm.randomKey(), value: Value.plain({ id: nextId++, data: 'island' }), island };
    node.put(made.key, made.value, true);
    return made;
  };
  const old = Array.from({ length: options.valuesPerSide }, () => put(0, random.pick(swarm.nodes)));
  world.runFor(2 * MINUTE);
  const half = random.sample(swarm.nodes, Math.floor(options.nodes / 2)).map((node) => node.host);
  world.split(half);
  world.runFor(15 * MINUTE);
  const puts: Put[] = [];
  for (const island of [0, 1]) {
    for (let i = 0; i < options.valuesPerSide; i++) {
      puts.push(
        put(
          island,
          swarm.anybody((node) => node.host.island === island && node.isConnected),
        ),
      );
    }
  }
  world.runFor(Math.max(2 * MINUTE, options.apartMs - 15 * MINUTE));
  const origin = new Map(swarm.nodes.map((node) => [node, node.host.island]));
  const ask = (wanted: readonly Put[], isAsker: (node: SwarmNode, put: Put) => boolean): number => {
    const results = swarm.gather(wanted.length, 20, (index, done: (found: boolean) => void) => {
      const one = wanted[index] as Put;
      const asker = swarm.anybody((node) => origin.has(node) && isAsker(node, one));
      asker.get(one.key, ({ values }) => done(values.some((value) => value.equals(one.value))));
    });
    return results.filter((found) => found).length / results.length;
  };
  const foundApart = ask(puts, (node, one) => origin.get(node) === one.island);
  const foundForeignApart = ask(puts, (node, one) => origin.get(node) !== one.island);
  // A value put before the split lives where its putter is, and its copies on the other side expire.
  const foundOldApart = ask(old, () => true);
  world.split(half, 0);
  const healedMs = world.clock.nowMs();
  let foundMerged = 0;
  let minutesToMerge = Number.POSITIVE_INFINITY;
  while (world.clock.nowMs() < healedMs + 60 * MINUTE) {
    swarm.churnFor(MINUTE, 0.1, 10 * MINUTE, (node) => !origin.has(node));
    foundMerged = ask(puts, (node, one) => origin.get(node) !== one.island);
    if (foundMerged < 0.99) continue;
    minutesToMerge = (world.clock.nowMs() - healedMs) / MINUTE;
    break;
  }
  return { nodes: options.nodes, foundApart, foundForeignApart, foundOldApart, minutesToMerge, foundMerged };
}
