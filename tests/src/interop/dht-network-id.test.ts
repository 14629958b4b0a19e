import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type DhtnodeProcess, Lan } from '@atoll/testkit';
import { PAIRS, startNode } from './atoll.js';

// They wait for dead nodes and timers more than they work.
describe('network ids', { concurrency: 2 }, () => {
  for (const [guest, host] of PAIRS) {
    test(`${host} takes ${guest} into its own network and leaves out one of another`, async () => {
      await using lan = await Lan.create({ hosts: 4 });
      await using keeper = await startNode(host, lan.host(0), { args: ['-n', '0x07'] });
      const join = (network: string[]): { args: string[] } => ({ args: [...network, '-b', keeper.bootstrap] });
      await using ofOther = await startNode(guest, lan.host(1), join(['-n', '8']));
      await using ofPublic = await startNode(guest, lan.host(2), join([]));
      await using ofSame = await startNode(guest, lan.host(3), join(['-n', '7']));
      await Promise.all([ofSame.connected(), keeper.connected()]);
      assert.ok(await ofSame.put('key', 'word'));
      assert.match((await keeper.get('key')).join(), /"word"/);
      const isLeftOut = async (stranger: DhtnodeProcess): Promise<void> => {
        assert.equal(await stranger.put('key', 'stranger'), undefined);
        assert.equal(await stranger.goodNodes(), 0);
        // It has its own value only.
        assert.match((await stranger.get('key')).join(), /^Value\[[^\]]*"stranger"\]$/);
      };
      await Promise.all([isLeftOut(ofOther), isLeftOut(ofPublic)]);
      assert.equal(await keeper.goodNodes(), 1);
      assert.equal((await keeper.get('key')).length, 1);
    });
  }
});
