import { mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AtollError, errorCode, errorMessage } from '@atoll/base';
import { openDatabase } from '@atoll/database';
import { isPassing } from '../state-directory.js';
import { encodeBackup } from './backup-file.js';
import type { ArchivedFile } from './tape-archive.js';

const SQLITE_MAGIC = 'SQLite format 3\0';

/**
 * Everything that a hub keeps in its state directory, as one file, whether the hub runs or not: databases as they are at
 * one instant, other files as they were last written. Sealed when there is a password. Fails with `BACKUP_FAILED`.
 */
export async function backUpState(path: string, password?: string): Promise<Buffer> {
  const drafts = await mkdtemp(join(tmpdir(), 'atoll-backup-'));
  try {
    const files: ArchivedFile[] = [];
    for (const name of await filesBelow(path)) {
      files.push({ path: name, bytes: await read(join(path, name), join(drafts, `${files.length}.db`)) });
    }
    if (files.length === 0) throw new AtollError('BACKUP_FAILED', `There is no state of a hub in ${path}.`);
    return await encodeBackup(files, password);
  } catch (cause) {
    if (cause instanceof AtollError) throw cause;
    throw new AtollError('BACKUP_FAILED', `The state in ${path} cannot be backed up: ${errorMessage(cause)}`, {
      cause,
    });
  } finally {
    await rm(drafts, { recursive: true, force: true });
  }
}

/** Paths of what is to be kept, relative to the folder, in a fixed order. */
async function filesBelow(folder: string, below = ''): Promise<string[]> {
  const entries = await readdir(join(folder, below), { withFileTypes: true });
  const paths: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    // A database's journals are in the copy of the database.
    if (isPassing(path) || /-(wal|shm|journal)$/.test(path)) continue;
    if (entry.isDirectory()) paths.push(...(await filesBelow(folder, path)));
    else if (entry.isFile() || entry.isSymbolicLink()) paths.push(path);
  }
  return paths;
}

async function read(path: string, draft: string): Promise<Buffer> {
  if (!(await isDatabase(path))) return readFile(path);
  using database = openDatabase({ path });
  database.exec(`VACUUM INTO '${draft.replaceAll("'", "''")}'`);
  const bytes = await readFile(draft);
  await rm(draft);
  return bytes;
}

async function isDatabase(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(SQLITE_MAGIC.length), 0, SQLITE_MAGIC.length, 0);
    return buffer.toString('latin1', 0, bytesRead) === SQLITE_MAGIC;
  } catch (error) {
    if (errorCode(error) === 'EISDIR') return false;
    throw error;
  } finally {
    await file.close();
  }
}
