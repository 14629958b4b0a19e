import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DhtnodeProcess, eventually, Lan } from '@atoll/testkit';
import { startNode } from './atoll.js';

/**
 * Six real dhtnodes, cut into two halves for half a minute and joined again, do not find each other any more: each half
 * has given up the other, and nothing makes a node ask one that it has given up. (Measured: no value of the other half
 * within 400 seconds, tried every second by each of the six.) Six Atoll nodes, and three of each kind, found everything
 * 9 to 10 seconds after the cut was healed, because Atoll asks its lost nodes again after 10, 20, 40 … seconds.
 */
const LONGEST_MS = 120_000;

test('a LAN of three Atoll nodes and three dhtnodes is cut in two, both halves go on, and it heals', async () => {
  await using lan = await Lan.create({ hosts: 6 });
  await using first = await startNode('atoll', lan.host(0));
  const join = { args: ['-b', first.bootstrap] };
  await using atoll2 = await startNode('atoll', lan.host(1), join);
  await using atoll3 = await startNode('atoll', lan.host(3), join);
  await using real1 = await startNode('dhtnode', lan.host(2), join);
  await using real2 = await startNode('dhtnode', lan.host(4), join);
  await using real3 = await startNode('dhtnode', lan.host(5), join);
  const left = [first, atoll2, real1];
  const right = [atoll3, real2, real3];
  const all = [...left, ...right];
  await Promise.all(all.map((node) => node.connected()));
  // Everybody gets to know everybody: a lookup asks the eight nearest, which are all that are known.
  let lookups = 0;
  const knowsAll = async (node: DhtnodeProcess): Promise<boolean> => {
    await node.get(`nothing-${lookups++}`);
    return (await node.goodNodes()) === all.length - 1;
  };
  await Promise.all(all.map((node) => eventually(() => knowsAll(node), `${node.process.name} does not know all`)));

  lan.partition(lan.hosts.slice(3));
  const put = async (node: DhtnodeProcess, key: string): Promise<void> => {
    assert.ok(await node.put(key, key), `${node.process.name} could not put`);
  };
  const find = async (node: DhtnodeProcess, key: string): Promise<void> => {
    const isThere = async (): Promise<boolean> => (await node.get(key)).join().includes(`"${key}"`);
    await eventually(isThere, `${node.process.name} did not find ${key}`, LONGEST_MS);
  };
  const putBySide = async (side: DhtnodeProcess[], name: string): Promise<string[]> => {
    const keys = side.map((_, i) => `${name}-${i}`);
    await Promise.all(side.map((node, i) => put(node, keys[i] ?? '')));
    for (const key of keys) await Promise.all(side.map((node) => find(node, key)));
    return keys;
  };
  const [ofLeft, ofRight] = await Promise.all([putBySide(left, 'left'), putBySide(right, 'right')]);
  for (const node of left) assert.deepEqual(await node.get('right-0'), []);
  for (const node of right) assert.deepEqual(await node.get('left-0'), []);

  lan.healAll();
  const findAll = async (side: DhtnodeProcess[], keys: string[]): Promise<void> => {
    await Promise.all(
      side.map(async (node) => {
        for (const key of keys) await find(node, key);
      }),
    );
  };
  await Promise.all([findAll(left, ofRight), findAll(right, ofLeft)]);
});
