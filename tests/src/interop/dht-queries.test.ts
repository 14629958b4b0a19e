import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TypeId, Value } from '@atoll/dht';
import { InfoHash, PrivateKey } from '@atoll/identity';
import { Lan } from '@atoll/testkit';
import { PAIRS, startNode } from './atoll.js';
import { LibraryNode } from './library-node.js';

const KEY = 'catalog';
const zero = '0'.repeat(40);

// They wait for dead nodes and timers more than they work.
describe('queries', { concurrency: 2 }, () => {
  for (const [asker, keeper] of PAIRS) {
    test(`${keeper} answers the conditions and selections that ${asker} asks for`, async () => {
      const owner = await PrivateKey.generateRsa(2048);
      const text = Value.plain({ id: 0x11n, data: 'text', userType: 'text/plain' });
      const message = Value.plain({
        id: 0xffff_ffff_ffff_fff0n,
        type: TypeId.imMessage,
        data: 'message',
        userType: 'a/b',
      });
      const signed = Value.plain({ id: 0x33n, data: 'signed', userType: 'text/plain', seq: 7 }).signedBy(owner);

      await using lan = await Lan.create({ hosts: 3 });
      await using holder = await startNode(keeper, lan.host(0));
      lan.separate(lan.host(1), lan.host(2));
      const bootstrap = [holder.bootstrap];
      await using putter = await LibraryNode.start(lan.host(1), { bootstrap });
      for (const value of [text, message, signed]) await putter.put(KEY, value);
      await using node = await startNode(asker, lan.host(2), { args: ['-b', holder.bootstrap] });
      await node.connected();

      const found = async (where: string): Promise<string[]> =>
        (await node.get(KEY, where)).map((value) => /id:([0-9a-f]+)/.exec(value)?.[1] ?? '').sort();
      assert.deepEqual(await found(''), ['11', '33', 'fffffffffffffff0']);
      assert.deepEqual(await found('WHERE id=17'), ['11']);
      assert.deepEqual(await found(`where id=${0xffff_ffff_ffff_fff0n}`), ['fffffffffffffff0']);
      assert.deepEqual(await found(`WHERE value_type=${TypeId.imMessage}`), ['fffffffffffffff0']);
      assert.deepEqual(await found('WHERE user_type=text/plain'), ['11', '33']);
      assert.deepEqual(await found('WHERE user_type="text/plain",value_type=0,id=51'), ['33']);
      assert.deepEqual(await found(`WHERE owner_pk=${owner.publicKey.id}`), ['33']);
      assert.deepEqual(await found('WHERE id=99'), []);

      const fields = async (query: string): Promise<string[]> => (await node.query(KEY, query)).sort();
      assert.deepEqual(await fields('SELECT id'), ['Id:11', 'Id:33', 'Id:fffffffffffffff0']);
      assert.deepEqual(await fields('SELECT seq,id WHERE user_type=text/plain'), ['Id:11,Seq:0', 'Id:33,Seq:7']);
      assert.deepEqual(await fields('SELECT value_type,user_type WHERE id=17'), ['ValueType:0,UserType:text/plain']);
      assert.deepEqual(await fields('SELECT owner_pk WHERE id=17'), [`Owner:${zero}`]);
      assert.deepEqual(await fields('WHERE id=51'), [
        `Id:33,ValueType:0,Owner:${owner.publicKey.id},Seq:7,UserType:text/plain`,
      ]);
      assert.deepEqual(await fields('SELECT id WHERE id=99'), []);

      // A listen with a condition hears of nothing else. Listens of dhtnode 2.4.12 with a condition hear of nothing at all,
      // from its own kind neither.
      if (asker === 'dhtnode') return;
      await node.listen('letters', `WHERE value_type=${TypeId.imMessage}`);
      await holder.isListenedTo(InfoHash.key('letters').toString());
      await putter.put('letters', Value.plain({ id: 1n, data: 'unwanted', userType: 'text/plain' }));
      await putter.put(
        'letters',
        Value.plain({ id: 2n, type: TypeId.imMessage, data: 'wanted', userType: 'text/plain' }),
      );
      await node.heard('"wanted"');
      assert.doesNotMatch(node.process.output, /"unwanted"/);
    });
  }
});
