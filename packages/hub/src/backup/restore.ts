import { chown, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AtollError, errorMessage } from '@atoll/base';
import { applyStagedRestore, isPassing, STAGED_FOLDER, StateDirectory, syncFolder } from '../state-directory.js';
import { decodeBackup } from './backup-file.js';

/**
 * Puts a backup into a state directory that no hub uses, which must be empty unless `force` is given: then the backup
 * takes the place of what is there. Fails with `BACKUP_PASSWORD`, `BACKUP_DAMAGED`, `RESTORE_NOT_EMPTY`,
 * `HUB_STATE_IN_USE` or `RESTORE_FAILED`, and has changed nothing then. Returns the number of files.
 */
export async function restoreState(
  path: string,
  backup: Buffer,
  options: { readonly password?: string | undefined; readonly force?: boolean } = {},
): Promise<number> {
  const state = await StateDirectory.take(path);
  try {
    const isEmpty = (await readdir(path)).every(isPassing);
    if (!isEmpty && options.force !== true) {
      throw new AtollError(
        'RESTORE_NOT_EMPTY',
        `The state directory ${path} is not empty; choose another with --state, or --force to lose what is in it.`,
      );
    }
    const count = await stageRestore(path, backup, options.password);
    await applyStagedRestore(path);
    return count;
  } finally {
    await state.release();
  }
}

/**
 * Lays a backup, checked and whole, into the state directory of a hub that runs: it takes the place of the state at the
 * hub's next start. Fails as {@link restoreState} does. Returns the number of files.
 */
export async function stageRestore(path: string, backup: Buffer, password?: string): Promise<number> {
  const files = await decodeBackup(backup, password);
  const draft = join(path, `${STAGED_FOLDER}.new`);
  try {
    await rm(draft, { recursive: true, force: true });
    await mkdir(draft, { mode: 0o700 });
    const folders = new Set([draft, path]);
    for (const file of files) {
      const target = join(draft, file.path);
      await mkdir(dirname(target), { recursive: true, mode: 0o700 });
      folders.add(dirname(target));
      const handle = await open(target, 'wx', 0o600);
      try {
        await handle.writeFile(file.bytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
    await rm(join(path, STAGED_FOLDER), { recursive: true, force: true });
    for (const folder of folders) await syncFolder(folder);
    await giveToOwner(path, draft);
    await rename(draft, join(path, STAGED_FOLDER));
    await syncFolder(path);
    return files.length;
  } catch (cause) {
    await rm(draft, { recursive: true, force: true }).catch(() => {});
    throw new AtollError('RESTORE_FAILED', `The backup cannot be unpacked in ${path}: ${errorMessage(cause)}`, {
      cause,
    });
  }
}

/** Root restores for the user that the hub runs as: the owner of the state directory. */
async function giveToOwner(path: string, draft: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = await stat(path);
  const entries = await readdir(draft, { recursive: true });
  for (const entry of ['', ...entries]) await chown(join(draft, entry), uid, gid);
}
