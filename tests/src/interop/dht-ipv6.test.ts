import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Lan } from '@atoll/testkit';
import { PAIRS, startNode } from './atoll.js';

// They wait for dead nodes and timers more than they work.
describe('IPv6', { concurrency: 2 }, () => {
  for (const [other, keeper] of PAIRS) {
    test(`${other} and ${keeper} are one network on IPv6 alone`, async () => {
      await using lan = await Lan.create({ hosts: 3, ipv6: true });
      for (const host of lan.hosts) host.exec('ip', '-4', 'addr', 'flush', 'dev', 'eth0');
      await using holder = await startNode(keeper, lan.host(0));
      lan.separate(lan.host(1), lan.host(2));
      const join = { args: ['-b', holder.bootstrap6] };
      await using putter = await startNode(other, lan.host(1), join);
      await using reader = await startNode(other, lan.host(2), join);
      await Promise.all([putter.connected(1, 6), reader.connected(1, 6)]);
      assert.equal(await reader.goodNodes(4), 0);
      const word = 'word'.repeat(2000);
      await reader.listen('six');
      const id = await putter.put('six', word);
      await reader.heard(`"${word}"`);
      assert.deepEqual(await reader.get('six'), [`Value[id:${id} data(text/plain):"${word}"]`]);
      const addresses = await reader.command('la', /Reported public addresses:\n\[([0-9a-f:]+)\]\n/);
      assert.equal(addresses[1], lan.host(2).address6);
    });
  }
});
