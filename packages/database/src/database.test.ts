import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDatabase } from './database.js';

const MIGRATIONS = ['CREATE TABLE word (name TEXT PRIMARY KEY, size INTEGER NOT NULL, bytes BLOB) STRICT'];

function inFolder(run: (folder: string) => void | Promise<void>): () => Promise<void> {
  return async () => {
    const folder = mkdtempSync(join(tmpdir(), 'atoll-database-'));
    try {
      await run(folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
}

test('rows go in and come out as they were', () => {
  using database = openDatabase({ path: ':memory:', migrations: MIGRATIONS });
  const insert = database.prepare('INSERT INTO word VALUES (?, ?, ?)');
  assert.equal(insert.run('é', 2, Buffer.from([1, 0, 255])), 1);
  insert.run('b', Number.MAX_SAFE_INTEGER, null);
  const find = database.prepare<{ name: string; size: number; bytes: Uint8Array | null }>(
    'SELECT name, size, bytes FROM word WHERE name = ?',
  );
  const row = find.get('é');
  assert.deepEqual([row?.size, Buffer.from(row?.bytes ?? [])], [2, Buffer.from([1, 0, 255])]);
  assert.equal(find.get('b')?.size, Number.MAX_SAFE_INTEGER);
  assert.equal(find.get('none'), undefined);
  const names = database.prepare<{ name: string }>('SELECT name FROM word ORDER BY name');
  assert.deepEqual(
    names.all().map(({ name }) => name),
    ['b', 'é'],
  );
  assert.deepEqual(
    [...names.iterate()].map(({ name }) => name),
    ['b', 'é'],
  );
  assert.throws(() => insert.run('b', 1, null), /UNIQUE/);
  const byBytes = database.prepare<{ name: string }>('SELECT name FROM word WHERE bytes IS ?');
  assert.equal(byBytes.get(Buffer.from([1, 0, 255]))?.name, 'é', 'bytes alone');
  assert.deepEqual(byBytes.all(null), [{ name: 'b' }], 'null alone');
});

test('a transaction keeps all or nothing, also when nested', () => {
  using database = openDatabase({ path: ':memory:', migrations: MIGRATIONS });
  const insert = database.prepare('INSERT INTO word VALUES (?, 0, NULL)');
  const count = database.prepare<{ n: number }>('SELECT count(*) AS n FROM word');
  assert.throws(() =>
    database.transaction(() => {
      insert.run('a');
      database.transaction(() => insert.run('b'));
      throw new Error('no');
    }),
  );
  assert.equal(count.get()?.n, 0);
  assert.equal(
    database.transaction(() => insert.run('a')),
    1,
  );
  assert.equal(count.get()?.n, 1);
});

test(
  'migrations run once each, and a file of a newer version is left alone',
  inFolder((folder) => {
    const path = join(folder, 'x.db');
    openDatabase({ path, migrations: MIGRATIONS }).close();
    const later = [...MIGRATIONS, 'ALTER TABLE word ADD COLUMN note TEXT'];
    const database = openDatabase({ path, migrations: later });
    database.exec("INSERT INTO word VALUES ('a', 1, NULL, 'n')");
    database.close();
    openDatabase({ path, migrations: later }).close();
    assert.throws(() => openDatabase({ path, migrations: MIGRATIONS }), { code: 'DATABASE_NEWER' });
    assert.equal(statSync(path).mode & 0o777, 0o600);
  }),
);

test(
  'a file that is no database, or in no folder, is named with the user and the mode',
  inFolder((folder) => {
    const path = join(folder, 'x.db');
    writeFileSync(path, 'this is a letter and not a database at all, whatever its name says');
    chmodSync(path, 0o644);
    assert.throws(
      () => openDatabase({ path, migrations: MIGRATIONS }),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'DATABASE_UNUSABLE');
        assert.match(error.message, /x\.db cannot be used by \S+ \(its mode is 0644\)/);
        return true;
      },
    );
    assert.throws(() => openDatabase({ path: join(folder, 'none', 'x.db') }), { code: 'DATABASE_UNUSABLE' });
  }),
);

test(
  'what was acknowledged is there after a kill -9',
  inFolder(async (folder) => {
    const path = join(folder, 'x.db');
    const script = `
      const { openDatabase } = await import(${JSON.stringify(new URL('./database.js', import.meta.url).href)});
      const database = openDatabase({ path: ${JSON.stringify(path)}, migrations: ${JSON.stringify(MIGRATIONS)} });
      const insert = database.prepare('INSERT INTO word VALUES (?, ?, NULL)');
      for (let i = 0; ; i++) {
        insert.run('w' + i, i);
        await new Promise((done) => process.stdout.write(i + '\\n', done));
      }`;
    const writer = spawn(process.execPath, ['--input-type=module', '-e', script]);
    let printed = '';
    for await (const chunk of writer.stdout) {
      printed += chunk;
      if (printed.split('\n').length > 50) break;
    }
    writer.kill('SIGKILL');
    if (writer.exitCode === null && writer.signalCode === null) await once(writer, 'exit');
    const last = Number(printed.split('\n').at(-2));
    using database = openDatabase({ path, migrations: MIGRATIONS });
    const count = database.prepare<{ n: number }>('SELECT count(*) AS n FROM word WHERE size <= ?').get(last)?.n;
    assert.equal(count, last + 1);
  }),
);
