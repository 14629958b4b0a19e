import { setTimeout as wait } from 'node:timers/promises';
import { systemRandom } from '@atoll/base';
import { DhtNode, Value } from '@atoll/dht';
import { InfoHash } from '@atoll/identity';

/** Milliseconds of each operation. */
export interface Latencies {
  readonly put: number[];
  /** To the first value of a get. */
  readonly first: number[];
  /** To the end of a get: all nodes that should have the value were asked. */
  readonly done: number[];
  failed: number;
}

const VALUE_BYTES = 100;
const JOIN_MS = 3000;

/** Two nodes in one process, one puts and the other gets, one operation after the other. */
async function measure(port: number, warmUp: number, count: number): Promise<Latencies> {
  const bootstrap = [`127.0.0.1:${port}`];
  await using putter = await DhtNode.open({ port: 0, bootstrap });
  await using getter = await DhtNode.open({ port: 0, bootstrap });
  await wait(JOIN_MS);
  const result: Latencies = { put: [], first: [], done: [], failed: 0 };
  for (let number = 0; number < warmUp + count; number++) {
    const key = new InfoHash(systemRandom.bytes(InfoHash.bytes).latin1Slice());
    const startPut = performance.now();
    try {
      await putter.put(key, Value.plain({ data: systemRandom.bytes(VALUE_BYTES) }));
      const putMs = performance.now() - startPut;
      const startGet = performance.now();
      let firstMs = Number.NaN;
      for await (const _value of getter.values(key)) firstMs = performance.now() - startGet;
      const doneMs = performance.now() - startGet;
      if (number < warmUp) continue;
      if (Number.isNaN(firstMs)) throw new Error('not found');
      result.put.push(putMs);
      result.first.push(firstMs);
      result.done.push(doneMs);
    } catch {
      if (number >= warmUp) result.failed++;
    }
  }
  return result;
}

const [port = 0, warmUp = 0, count = 0] = process.argv.slice(2).map(Number);
console.log(JSON.stringify(await measure(port, warmUp, count)));
