import { type LookupTrace, Swarm, type SwarmNode } from './swarm.js';

const MINUTE = 60_000;

export interface LookupOptions {
  readonly nodes: number;
  readonly lookups: number;
  readonly loss?: number;
  readonly seed?: number;
}

export interface LookupResult {
  readonly nodes: number;
  /** Requests one after the other that led to the node nearest to the key: mean, and the most. */
  readonly hops: number;
  readonly mostHops: number;
  /** Requests sent per lookup, mean. */
  readonly messages: number;
  /** The same of nodes that joined two minutes before and know nearly nobody. */
  readonly newcomerHops: number;
  readonly newcomerMessages: number;
  /** Share of lookups that came to the node that is nearest of all. */
  readonly foundNearest: number;
}

/** How far a lookup goes in a network of a size: hops grow with the logarithm of it (protocol/dht.md 18). */
export function simulateLookups(options: LookupOptions): LookupResult {
  const swarm = new Swarm({ seed: options.seed ?? 1, loss: options.loss ?? 0 });
  swarm.grow(options.nodes, Math.max(5, options.nodes / 100), 10 * MINUTE);
  const ask = (askers: (index: number) => SwarmNode): LookupTrace[] =>
    swarm.gather(options.lookups, 10, (index, done: (trace: LookupTrace) => void) => {
      askers(index).trace(swarm.randomKey(), done);
    });
  const settled = ask(() => swarm.anybody((node) => node.tap === undefined));
  const newcomers: SwarmNode[] = [];
  while (newcomers.length < options.lookups / 4) newcomers.push(swarm.add());
  swarm.world.runFor(2 * MINUTE);
  const fresh = swarm.gather(newcomers.length, 10, (index, done: (trace: LookupTrace) => void) => {
    (newcomers[index] as SwarmNode).trace(swarm.randomKey(), done);
  });
  return {
    nodes: options.nodes,
    hops: mean(settled.map(({ hops }) => hops)),
    mostHops: Math.max(...settled.map(({ hops }) => hops)),
    messages: mean(settled.map(({ messages }) => messages)),
    newcomerHops: mean(fresh.map(({ hops }) => hops)),
    newcomerMessages: mean(fresh.map(({ messages }) => messages)),
    foundNearest: mean(settled.map(({ foundNearest }) => (foundNearest ? 1 : 0))),
  };
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
