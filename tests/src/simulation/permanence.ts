import { TypeId, Value } from '@atoll/dht';
import { Swarm } from './swarm.js';

const MINUTE = 60_000;

export interface PermanenceResult {
  /** Share of gets that found the value, asked every five minutes. */
  readonly found: number;
  readonly gets: number;
  /** Copies after cancelling and one more life of the type: none. */
  readonly copiesAfterCancel: number;
}

/** A permanent put of a value that lives ten minutes, watched for hours (protocol/dht.md 18.3). */
export function simulatePermanence(options: { nodes: number; hours: number; loss: number }): PermanenceResult {
  const swarm = new Swarm({ seed: 3, loss: options.loss });
  const { world, random } = swarm;
  swarm.grow(options.nodes, 5);
  const putter = random.pick(swarm.nodes);
  const key = swarm.randomKey();
  const value = Value.plain({ id: 7n, data: 'stays' });
  putter.put(key, value, true);
  world.runFor(MINUTE);
  let found = 0;
  let gets = 0;
  for (let minute = 0; minute < options.hours * 60; minute += 5) {
    world.runFor(5 * MINUTE);
    const asker = swarm.anybody((node) => node !== putter);
    const [hit] = swarm.gather(1, 1, (_index, done: (found: boolean) => void) =>
      asker.get(key, ({ values }) => done(values.some((one) => one.equals(value)))),
    );
    gets++;
    if (hit) found++;
  }
  putter.core.cancelPut(key, value.id);
  world.runFor(11 * MINUTE);
  const copiesAfterCancel = swarm.nodes.filter((node) => node.core.storage.get(key, value.id) !== undefined).length;
  return { found: found / gets, gets, copiesAfterCancel };
}

export interface MaintenanceResult {
  readonly replaced: number;
  /** Share of values still found by gets at the end. */
  readonly found: number;
}

/**
 * Values of a type that lives for days, put once by nodes that leave: with maintain-storage those who keep them hand
 * them on as nodes come and go (protocol/dht.md 12.7).
 */
export function simulateMaintenance(options: {
  nodes: number;
  hours: number;
  values: number;
  loss: number;
  maintainsStorage: boolean;
}): MaintenanceResult {
  const swarm = new Swarm({ seed: 4, loss: options.loss, core: { maintainsStorage: options.maintainsStorage } });
  const { world } = swarm;
  swarm.grow(options.nodes, 5);
  const putters = Array.from({ length: 5 }, () => swarm.add());
  world.runFor(2 * MINUTE);
  const puts = Array.from({ length: options.values }, (_, i) => ({
    key: swarm.randomKey(),
    value: Value.plain({ id: BigInt(i + 1), type: TypeId.trustRequest, data: 'for days' }),
  }));
  for (const [i, { key, value }] of puts.entries()) putters[i % putters.length]?.put(key, value);
  world.runFor(MINUTE);
  for (const putter of putters) swarm.remove(putter);
  const replaced = swarm.churnFor(options.hours * 60 * MINUTE, 0.1, 10 * MINUTE);
  const results = swarm.gather(puts.length, 10, (index, done: (found: boolean) => void) => {
    const { key, value } = puts[index] as (typeof puts)[number];
    swarm.anybody((node) => node.isConnected).get(key, ({ values }) => done(values.some((one) => one.equals(value))));
  });
  return { replaced, found: results.filter((hit) => hit).length / results.length };
}
