import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ReadyFacts } from '@atoll/hub';
import { PrivateKey } from '@atoll/identity';
import { Lan } from '@atoll/testkit';
import { ATOLL, startHub } from './atoll.js';

test('a hub that is restored on another host has the id, the names and the TURN credentials of the first', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'atoll-backup-'));
  const place = (name: string): string => join(folder, name);
  await using lan = await Lan.create({ hosts: 2 });
  const [first, third] = [lan.host(0), lan.host(1)];
  const facts = async (name: string): Promise<ReadyFacts> =>
    JSON.parse(await readFile(place(name), 'utf8')) as ReadyFacts;
  try {
    await writeFile(place('key.pem'), (await PrivateKey.generateRsa(2048)).toPem());
    await writeFile(place('password'), 'correct horse\n');
    await using _hub = await startHub(first, place('state'), ['--ready-file', place('ready-1.json')]);
    const before = await facts('ready-1.json');
    const server = ['--server', before.names?.url ?? ''];
    first.exec(process.execPath, ATOLL, 'names', 'register', 'alice', '--key', place('key.pem'), ...server);
    // While it runs.
    const state = ['--state', place('state')];
    first.exec(process.execPath, ATOLL, 'backup', place('backup'), ...state, '--password-file', place('password'));
    assert.equal((await stat(place('backup'))).mode & 0o777, 0o600);
    const restore = (...more: string[]): string =>
      third.exec(process.execPath, ATOLL, 'restore', place('backup'), '--state', place('restored'), ...more);
    assert.throws(() => restore(), /sealed with a password/);
    restore('--password-file', place('password'));
    assert.throws(() => restore('--password-file', place('password')), /not empty/);
    await using _restored = await startHub(third, place('restored'), ['--ready-file', place('ready-3.json')]);
    const after = await facts('ready-3.json');
    assert.equal(after.dht.id, before.dht.id);
    const { user, password, realm } = before.turn ?? {};
    assert.deepEqual([after.turn?.user, after.turn?.password, after.turn?.realm], [user, password, realm]);
    const found = third.exec(process.execPath, ATOLL, 'names', 'lookup', 'alice', '--server', after.names?.url ?? '');
    assert.match(found, /^[0-9a-f]{40}\n$/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
