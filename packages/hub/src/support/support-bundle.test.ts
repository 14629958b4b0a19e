import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { openNameStore } from '@atoll/name-server';
import { decodeArchive } from '../backup/tape-archive.js';
import { readConfiguration } from '../configuration.js';
import { Redaction } from './redaction.js';
import { makeSupportBundle } from './support-bundle.js';

const ID = 'a'.repeat(40);

test('secrets, names and ids are struck out wherever they stand', () => {
  const redaction = new Redaction({ secrets: ['hunter22', 'p@ss word'], names: ['alice', 'mé'] });
  const struck = redaction.strike(
    [
      'hunter22 in a line, p%40ss%20word in a URL',
      '{"turnPassword":"x\\"y","realm":"atoll"} token=abc,next password: zzz',
      'Authorization: Bearer abc.def',
      'postgres://user:word@host/names',
      '-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----',
      `${ID} ${'b'.repeat(64)} ${ID} GET /name/bob alice, Alice and malice, mé`,
    ].join('\n'),
  );
  for (const secret of ['hunter22', 'p%40ss', 'x\\"y', 'abc', 'zzz', 'word@', 'MHc', ID, 'bob', ' Alice', ' mé']) {
    assert.ok(!struck.includes(secret), `${secret} in ${struck}`);
  }
  assert.match(struck, /\[id 1\] \[id 2\] \[id 1\] GET \/name\/\[name\] \[name\], \[name\] and malice, \[name\]/);
  assert.match(struck, /"realm":"atoll"/);
});

test('a support bundle holds what helps, and no planted secret or name', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'atoll-support-'));
  try {
    const secrets = ['turn-s3cret-planted', 'database-s3cret-planted', 'log-s3cret-planted', 'user-s3cret-planted'];
    const address = 'c'.repeat(40);
    const empty = Buffer.alloc(0);
    const record = { name: 'planted-name', address, owner: address, publicKey: empty, signature: empty };
    const store = await openNameStore(join(folder, 'names.db'), undefined);
    await store.import([{ ...record, isWaiting: false, registeredUnixMs: 0 }], 'test');
    await store.close();
    await writeFile(join(folder, 'turn-credentials.json'), JSON.stringify({ user: 'atoll', password: secrets[0] }));
    const user = { name: 'guest', password: secrets[3] };
    await writeFile(join(folder, 'turn-users.json'), JSON.stringify([user]));
    await writeFile(join(folder, 'database-password'), `${secrets[1]}\n`);
    const log = join(folder, 'hub.log');
    await writeFile(
      log,
      `planted-name asked; ${secrets[0]} ${secrets[1]} ${secrets[3]} password=${secrets[2]} ${address} ${hostname()}\n`,
    );
    const given = { state: folder, namesStorePasswordFile: join(folder, 'database-password') };
    const configuration = await readConfiguration(given, {}, undefined);
    const findings = { isWell: false, findings: [{ id: 'disk-full', severity: 'fault' as const, sentence: 'Full.' }] };
    const bundle = await makeSupportBundle({ version: '1', configuration, findings, logs: [log] });
    const files = decodeArchive(gunzipSync(bundle)) ?? assert.fail('it is an archive');
    const all = files.map(({ bytes }) => bytes.toString('utf8')).join('\n');
    for (const planted of [...secrets, 'planted-name', address]) assert.ok(!all.includes(planted), planted);
    for (const wanted of ['disk-full', '"dhtPort": 4222', 'asked;', '"node": "v', 'names.db']) {
      assert.ok(all.includes(wanted), wanted);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
