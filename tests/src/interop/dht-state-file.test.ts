import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { InfoHash } from '@atoll/identity';
import { Lan } from '@atoll/testkit';
import { PAIRS, startNode } from './atoll.js';

const KEY = InfoHash.key('kept').toString();

// They wait for dead nodes and timers more than they work.
describe('state files', { concurrency: 2 }, () => {
  for (const [writer, reader] of PAIRS) {
    test(`${reader} goes on with the id, port and nodes that ${writer} left in a state file`, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'atoll-state-'));
      const file = join(folder, 'state');
      try {
        await using lan = await Lan.create({ hosts: 3 });
        await using keeper = await startNode(reader, lan.host(0));
        const first = await startNode(writer, lan.host(1), { port: 0, args: ['-f', file, '-b', keeper.bootstrap] });
        await first.connected();
        assert.ok(await keeper.put(KEY, 'word'));
        assert.equal(await first.storedValues(KEY), 1);
        await first.stop();
        const [port = ''] = (await readFile(`${file}_port.txt`, 'utf8')).split('\n');
        assert.match(first.process.output, new RegExp(`running on port ${port}\n`));

        // Nobody tells it where the network is.
        await using second = await startNode(reader, lan.host(1), { port: 0, args: ['-f', file] });
        assert.equal(second.id, first.id);
        assert.match(second.process.output, new RegExp(`running on port ${port}\n`));
        await second.connected();
        assert.match((await second.get(KEY)).join(), /"word"\]$/);
        // dhtnode 2.4.12 skips values as newer nodes write them; Atoll reads both forms.
        if (reader === 'atoll') assert.equal(await second.storedValues(KEY), 1);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  }
});
