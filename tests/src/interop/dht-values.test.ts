import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { Value } from '@atoll/dht';
import { InfoHash } from '@atoll/identity';
import { type DhtnodeProcess, Lan, PythonDht } from '@atoll/testkit';
import { PAIRS, startNode } from './atoll.js';

/** Largest packed value that OpenDHT takes (protocol/dht.md 9). */
const MAX_PACKED_BYTES = 65_536 + 32;

/** A word of so many characters, no two parts of it equal: a part that is missing or out of place shows. */
function wordOf(length: number): string {
  let word = '';
  for (let i = 0; word.length < length; i++) word += createHash('sha256').update(`${length} ${i}`).digest('hex');
  return word.slice(0, length);
}

/** Length of the longest text that fits into a value as dhtnode puts texts. */
function longestText(): number {
  const overhead =
    Value.plain({ id: 2n ** 64n - 1n, data: wordOf(60_000), userType: 'text/plain' }).packed.length - 60_000;
  return MAX_PACKED_BYTES - overhead;
}

const SIZES = [1, 599, 1024, 8 * 1024, 56 * 1024, longestText()];

async function putAll(node: DhtnodeProcess, prefix: string): Promise<Map<string, string>> {
  const printed = new Map<string, string>();
  for (const size of SIZES) {
    const id = await node.put(`${prefix}-${size}`, wordOf(size));
    assert.ok(id, `${size} bytes`);
    printed.set(`${prefix}-${size}`, `Value[id:${id} data(text/plain):"${wordOf(size)}"]`);
  }
  return printed;
}

// They wait for dead nodes and timers more than they work.
describe('values of all sizes', { concurrency: 3 }, () => {
  for (const [other, holder] of PAIRS) {
    test(`values of all sizes go from ${other} over ${holder} to ${other}, asked for and pushed`, async () => {
      await using lan = await Lan.create({ hosts: 3 });
      await using keeper = await startNode(holder, lan.host(0));
      const join = { args: ['-b', keeper.bootstrap] };
      // They see each other only through the node in the middle.
      lan.separate(lan.host(1), lan.host(2));
      await using putter = await startNode(other, lan.host(1), join);
      await using reader = await startNode(other, lan.host(2), join);
      await Promise.all([putter.connected(), reader.connected()]);

      for (const size of SIZES) await reader.listen(`there-${size}`);
      await reader.listen('here-8192');
      const there = await putAll(putter, 'there');
      const here = await putAll(keeper, 'here');
      for (const size of SIZES) await reader.heard(`"${wordOf(size)}"`);
      for (const [key, value] of [...there, ...here]) assert.deepEqual(await reader.get(key), [value], key);

      const tooLong = wordOf(longestText() + 1);
      await putter.put('too-long', tooLong);
      assert.deepEqual(await reader.get('too-long'), []);
      assert.equal(await keeper.storedValues(InfoHash.key('too-long').toString()), 0);
    });
  }

  test('values of all sizes go between the Python binding and an Atoll node, asked for and pushed', async () => {
    await using lan = await Lan.create({ hosts: 3 });
    await using keeper = await startNode('atoll', lan.host(0));
    lan.separate(lan.host(1), lan.host(2));
    await using putter = await PythonDht.start(lan.host(1));
    await using reader = await PythonDht.start(lan.host(2));
    await Promise.all([putter.bootstrap(keeper.bootstrap), reader.bootstrap(keeper.bootstrap)]);
    await keeper.connected(2);
    for (const size of SIZES) {
      const key = InfoHash.key(`python-${size}`).toString();
      const data = Buffer.from(wordOf(size), 'latin1');
      await reader.listen(key);
      assert.ok(await putter.put(key, data), `${size} bytes`);
      await reader.waitForValue(data);
      assert.deepEqual(await reader.get(key), [data]);
      const [held = ''] = await keeper.get(key);
      assert.ok(
        held.endsWith(size < 1024 ? `data:${data.toString('hex')}]` : `data:${size} bytes]`),
        held.slice(0, 99),
      );
    }
    const word = wordOf(8192);
    assert.ok(await keeper.put('from-atoll', word));
    assert.deepEqual(await reader.get(InfoHash.key('from-atoll').toString()), [Buffer.from(word)]);
  });
});
