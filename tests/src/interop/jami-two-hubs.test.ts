import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Value } from '@atoll/dht';
import { InfoHash, PrivateKey } from '@atoll/identity';
import { Jamid, Lan } from '@atoll/testkit';
import { ATOLL, startHub } from './atoll.js';
import { LibraryNode } from './library-node.js';

async function talkBothWays(alice: Jamid, bob: Jamid, conversation: string, words: string): Promise<void> {
  await alice.sendText(conversation, `${words} from alice`);
  await bob.waitForText(`${words} from alice`);
  await bob.sendText(conversation, `${words} from bob`);
  await alice.waitForText(`${words} from bob`);
}

test('two hubs are each other’s spare: when the power of one goes, people meet and talk through the other', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'atoll-two-hubs-'));
  const place = (name: string): string => join(folder, name);
  await using lan = await Lan.create({ hosts: 6 });
  const [a, b, c, p, one, two] = [lan.host(0), lan.host(1), lan.host(2), lan.host(3), lan.host(4), lan.host(5)];
  const [bootstrapOne, bootstrapTwo] = [`${one.address}:4222`, `${two.address}:4222`];
  const atTwo = ['--server', `http://${two.address}:8000`];
  try {
    const first = await startHub(one, place('one'), ['--bootstrap', bootstrapTwo]);
    await using _spare = await startHub(two, place('two'), ['--bootstrap', bootstrapOne]);
    await writeFile(place('key.pem'), (await PrivateKey.generateRsa(2048)).toPem());
    const names = (host: typeof a, ...args: string[]): string => host.exec(process.execPath, ATOLL, 'names', ...args);
    names(a, 'register', 'alice', '--key', place('key.pem'), '--server', `http://${one.address}:8000`);
    names(one, 'export', place('names.jsonl'), '--store', place('one/names.db'));
    names(two, 'import', place('names.jsonl'), '--store', place('two/names.db'));

    const bootstrap = `${bootstrapOne};${bootstrapTwo}`;
    await using alice = await Jamid.start(a, { displayName: 'alice', bootstrap });
    await using bob = await Jamid.start(b, { displayName: 'bob', bootstrap });
    const conversation = await alice.becomeContactOf(bob);
    await talkBothWays(alice, bob, conversation, 'both hubs');
    await using phone = await LibraryNode.start(p, {
      proxies: `http://${one.address}:8080,http://${two.address}:8080`,
    });
    await phone.listen(InfoHash.of('phone').toString());

    await first.kill();
    await talkBothWays(alice, bob, conversation, 'one hub');
    // Somebody who comes now finds the others, and they her.
    await using carol = await Jamid.start(c, { displayName: 'carol', bootstrap });
    const withCarol = await carol.becomeContactOf(bob);
    await talkBothWays(carol, bob, withCarol, 'newcomer');
    // A proxy client changes to the other proxy, with what it listens to.
    await using node = await LibraryNode.start(one, { bootstrap: [bootstrapTwo] });
    const value = Value.plain({ id: 7n, data: 'still heard' });
    await node.put(InfoHash.of('phone').toString(), value);
    await phone.heard(value);
    assert.match(names(a, 'lookup', 'alice', ...atTwo), /^[0-9a-f]{40}\n$/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
