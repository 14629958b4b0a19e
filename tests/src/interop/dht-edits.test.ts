import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Value } from '@atoll/dht';
import { generateIdentity, InfoHash, PrivateKey, saveIdentity } from '@atoll/identity';
import { Lan } from '@atoll/testkit';
import { startNode } from './atoll.js';
import { LibraryNode } from './library-node.js';

const textOf = (values: readonly Value[]): string[] => values.map((value) => `${value.data} v${value.seq}`);

// They wait for dead nodes and timers more than they work.
describe('edits of signed values', { concurrency: 4 }, () => {
  for (const keeper of ['dhtnode', 'atoll'] as const) {
    test(`${keeper} takes newer versions of a signed value from its owner, and nothing else in its place`, async () => {
      const [owner, stranger] = await Promise.all([PrivateKey.generateRsa(2048), PrivateKey.generateRsa(2048)]);
      const version = (seq: number, data: string, by: PrivateKey = owner): Value =>
        Value.plain({ id: 5n, seq, data, userType: 'text/plain' }).signedBy(by);
      const plain = (data: string): Value => Value.plain({ id: 5n, data, userType: 'text/plain' });
      const forged = version(1, 'forged').withSignature(version(1, 'other').signature ?? Buffer.alloc(0));

      await using lan = await Lan.create({ hosts: 4 });
      await using holder = await startNode(keeper, lan.host(0));
      const bootstrap = [holder.bootstrap];
      // Whoever reads does not reach the writer: what is heard is what the holder kept.
      lan.separate(lan.host(1), lan.host(2));
      lan.separate(lan.host(1), lan.host(3));
      await using writer = await LibraryNode.start(lan.host(1), { bootstrap });
      await using listener = await LibraryNode.start(lan.host(2), { bootstrap });
      await listener.listen('edited');
      await holder.isListenedTo(InfoHash.key('edited').toString());
      const put = async (key: string, ...values: Value[]): Promise<void> => {
        for (const value of values) await writer.put(key, value);
      };
      await put('edited', version(5, 'first'), version(6, 'second'), version(3, 'older'));
      await listener.heard(version(5, 'first'));
      await listener.heard(version(6, 'second'));
      await put('same-version', version(5, 'first'), version(5, 'other'));
      await put('of-a-stranger', version(5, 'first'), version(9, 'stolen', stranger));
      // dhtnode 2.4.12 looks at the owner of the new value without asking whether it has one, and dies.
      if (keeper === 'atoll') await put('unsigned', version(5, 'first'), plain('unsigned'));
      await put('plain', plain('first'), plain('second'), version(9, 'signed'));
      await put('forged', forged);

      await using library = await LibraryNode.start(lan.host(3), { bootstrap });
      assert.deepEqual(textOf(await library.get('edited')), ['second v6']);
      assert.deepEqual(textOf(await library.get('same-version')), ['first v5']);
      assert.deepEqual(textOf(await library.get('of-a-stranger')), ['first v5']);
      if (keeper === 'atoll') assert.deepEqual(textOf(await library.get('unsigned')), ['first v5']);
      assert.deepEqual(textOf(await library.get('plain')), ['first v0']);
      assert.deepEqual(await library.get('forged'), []);
      await library.kill();
      await using real = await startNode('dhtnode', lan.host(3), { args: ['-b', holder.bootstrap] });
      await real.connected();
      assert.deepEqual(await real.get('edited'), ['Value[id:5 signed (v6) data(text/plain):"second"]']);
      assert.deepEqual(await real.get('of-a-stranger'), ['Value[id:5 signed (v5) data(text/plain):"first"]']);
      assert.deepEqual(await real.get('forged'), []);
    });

    test(`an owner that comes back finds its last version on ${keeper} and signs the next`, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'atoll-owner-'));
      try {
        const identityPath = join(folder, 'owner');
        await saveIdentity(identityPath, await generateIdentity('owner', Date.now(), { bits: 2048 }));
        await using lan = await Lan.create({ hosts: 3 });
        await using holder = await startNode(keeper, lan.host(0));
        const settings = { bootstrap: [holder.bootstrap], identityPath };
        const card = (data: string): Value => Value.plain({ id: 9n, data, userType: 'text/plain' });
        const first = await LibraryNode.start(lan.host(1), settings);
        assert.equal((await first.putSigned('card', card('hello'))).seq, 0);
        await first.kill();
        await using second = await LibraryNode.start(lan.host(2), settings);
        assert.equal((await second.putSigned('card', card('hello again'))).seq, 1);
        assert.deepEqual(await holder.get('card'), ['Value[id:9 signed (v1) data(text/plain):"hello again"]']);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  }
});
