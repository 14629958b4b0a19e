import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TypeId, Value } from '@atoll/dht';
import { InfoHash } from '@atoll/identity';
import { Lan } from '@atoll/testkit';
import { PAIRS, startNode } from './atoll.js';
import { LibraryNode } from './library-node.js';

const MINUTE = 60_000;
const KEY = InfoHash.key('watched').toString();
const text = (id: bigint, data: string, type: number = TypeId.userData): Value =>
  Value.plain({ id, type, data, userType: 'text/plain' });

// They wait for dead nodes and timers more than they work.
describe('listeners and permanent values', { concurrency: 3 }, () => {
  for (const [listener, keeper] of PAIRS) {
    test(`${listener} hears from ${keeper} of values that come and of values that go`, async () => {
      await using lan = await Lan.create({ hosts: 3 });
      await using holder = await startNode(keeper, lan.host(0));
      lan.separate(lan.host(1), lan.host(2));
      await using putter = await LibraryNode.start(lan.host(1), { bootstrap: [holder.bootstrap] });
      await putter.put(KEY, text(1n, 'before'));
      await using node = await startNode(listener, lan.host(2), { args: ['-b', holder.bootstrap] });
      await node.connected();
      const token = await node.listen(KEY);
      await node.heard('"before"');
      await putter.put(KEY, text(2n, 'after'));
      await node.heard('"after"');
      // Made almost ten minutes ago: the holder lets it go in seconds, the listener by itself would keep it ten minutes.
      await putter.put(KEY, text(3n, 'old'), { createdUnixMs: Date.now() - 10 * MINUTE + 8000 });
      await node.heard('"old"');
      await node.heard('"old"', true);
      assert.deepEqual((await node.get(KEY)).length, 2);

      await node.command(`cl ${KEY} ${token}`, />> /);
      await using other = await startNode(listener, lan.host(1), { port: 4223, args: ['-b', holder.bootstrap] });
      await other.connected();
      await putter.put(KEY, text(4n, 'unheard'));
      await other.listen(KEY);
      await other.heard('"unheard"');
      assert.doesNotMatch(node.process.output, /"unheard"/);
    });
  }

  test('a permanent value outlives its type, on dhtnode and on atoll', async () => {
    const outlive = async (keeper: 'dhtnode' | 'atoll'): Promise<void> => {
      await using lan = await Lan.create({ hosts: 3 });
      await using holder = await startNode(keeper, lan.host(0));
      lan.separate(lan.host(1), lan.host(2));
      const bootstrap = [holder.bootstrap];
      await using putter = await LibraryNode.start(lan.host(1), { bootstrap });
      await using watcher = await LibraryNode.start(lan.host(2), { bootstrap });
      await watcher.listen(KEY);
      await holder.isListenedTo(KEY);
      // ICE candidates live a minute. What is put once goes then; what was put before it, to stay, is still there.
      await putter.put(KEY, text(1n, 'stays', TypeId.iceCandidates), { isPermanent: true });
      const once = text(2n, 'goes', TypeId.iceCandidates);
      await putter.put(KEY, once);
      await watcher.heard(once);
      await watcher.heard(once, true, 2 * MINUTE);
      assert.equal(await holder.storedValues(KEY), 1);
      await watcher.kill();
      await using fresh = await LibraryNode.start(lan.host(2), { bootstrap });
      assert.deepEqual((await fresh.get(KEY)).map(String), [`${text(1n, 'stays', TypeId.iceCandidates)}`]);
    };
    await Promise.all([outlive('dhtnode'), outlive('atoll')]);
  });
});
