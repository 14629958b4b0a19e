import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openDatabase } from '@atoll/database';
import { StateDirectory } from '../state-directory.js';
import { encodeBackup } from './backup-file.js';
import { restoreState, stageRestore } from './restore.js';
import { backUpState } from './state-backup.js';

let folder: string;
let state: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atoll-backup-test-'));
  state = join(folder, 'state');
  await mkdir(join(state, 'authority'), { recursive: true });
  await writeFile(join(state, 'key.pem'), 'a key');
  await writeFile(join(state, 'authority', 'ca.pem'), 'an authority');
  await writeFile(join(state, 'draft.4711.new'), 'half');
});
after(() => rm(folder, { recursive: true }));

const target = (name: string): string => join(folder, name);

test('what a hub keeps comes back from one file, databases with what was just written', async () => {
  await writeFile(join(state, 'lock'), `${process.pid}\n`);
  using database = openDatabase({ path: join(state, 'names.db'), migrations: ['CREATE TABLE names (name TEXT)'] });
  database.prepare('INSERT INTO names VALUES (?)').run('alice');
  const plain = await backUpState(state);
  const sealed = await backUpState(state, 'correct horse');
  database.prepare('INSERT INTO names VALUES (?)').run('late');
  assert.ok(!sealed.includes('authority'));
  for (const [name, backup, password] of [
    ['plain', plain, undefined],
    ['sealed', sealed, 'correct horse'],
  ] as const) {
    assert.equal(await restoreState(target(name), backup, { password }), 3);
    assert.deepEqual((await readdir(target(name))).sort(), ['authority', 'key.pem', 'names.db']);
    assert.equal(await readFile(join(target(name), 'authority', 'ca.pem'), 'utf8'), 'an authority');
    assert.equal((await stat(join(target(name), 'key.pem'))).mode & 0o777, 0o600);
    using restored = openDatabase({ path: join(target(name), 'names.db'), migrations: ['never run'] });
    assert.deepEqual(restored.prepare('SELECT name FROM names').all(), [{ name: 'alice' }]);
  }
  await writeFile(target('backup.tgz'), plain);
  const listed = execFileSync('tar', ['-tzf', target('backup.tgz')], { encoding: 'utf8' });
  assert.deepEqual(listed.split('\n'), ['MANIFEST.json', 'authority/ca.pem', 'key.pem', 'names.db', '']);
  await rm(join(state, 'lock'));
});

test('a backup that is damaged, sealed or not wanted changes nothing', async () => {
  const backup = await backUpState(state);
  const sealed = await backUpState(state, 'correct horse');
  const place = target('refused');
  const refuse = (bytes: Buffer, code: string, password?: string): Promise<void> =>
    assert.rejects(restoreState(place, bytes, { password }), { code });
  for (const at of [0, 20, backup.length >> 1, backup.length - 5]) {
    const damaged = Buffer.from(backup);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 0x55, at);
    await refuse(damaged, 'BACKUP_DAMAGED');
  }
  await refuse(backup.subarray(0, -1), 'BACKUP_DAMAGED');
  await refuse(Buffer.alloc(0), 'BACKUP_DAMAGED');
  await refuse(sealed, 'BACKUP_PASSWORD');
  await refuse(sealed, 'BACKUP_PASSWORD', 'wrong');
  for (const path of ['../outside', '/etc/x', 'a/../../b', 'a//b']) {
    await refuse(await encodeBackup([{ path, bytes: Buffer.from('x') }], undefined), 'BACKUP_DAMAGED');
  }
  assert.deepEqual(await readdir(place), []);
  await writeFile(join(place, 'mine'), '');
  await refuse(backup, 'RESTORE_NOT_EMPTY');
  await writeFile(join(place, 'lock'), '1\n');
  await refuse(backup, 'HUB_STATE_IN_USE');
  await rm(join(place, 'lock'));
  assert.deepEqual(await readdir(place), ['mine']);
  await restoreState(place, backup, { force: true });
  assert.deepEqual((await readdir(place)).sort(), ['authority', 'key.pem', 'names.db']);
  await assert.rejects(backUpState(target('nowhere')), { code: 'BACKUP_FAILED' });
});

test('a restore that was cut off goes on at the next start', async () => {
  const backup = await backUpState(state);
  const place = target('cut');
  const start = async (): Promise<string[]> => {
    await (await StateDirectory.take(place)).release();
    return (await readdir(place)).sort();
  };
  await mkdir(join(place, 'old-folder'), { recursive: true });
  await writeFile(join(place, 'key.pem'), 'old');
  await stageRestore(place, backup);
  assert.equal(await readFile(join(place, 'key.pem'), 'utf8'), 'old', 'the hub that runs keeps its state');
  // Cut off while the old state is being removed.
  await rm(join(place, 'old-folder'), { recursive: true });
  assert.deepEqual(await start(), ['authority', 'key.pem', 'names.db']);
  assert.equal(await readFile(join(place, 'key.pem'), 'utf8'), 'a key');
  // Cut off while files are being moved.
  await stageRestore(place, backup);
  for (const name of ['authority', 'key.pem', 'names.db']) await rm(join(place, name), { recursive: true });
  await rename(join(place, 'restore'), join(place, 'restore-moving'));
  await rename(join(place, 'restore-moving', 'key.pem'), join(place, 'key.pem'));
  assert.deepEqual(await start(), ['authority', 'key.pem', 'names.db']);
  assert.deepEqual(await start(), ['authority', 'key.pem', 'names.db']);
});
