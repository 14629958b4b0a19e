import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AtollError, errorCode, errorMessage } from '@atoll/base';
import { RUNNING_FILE } from './running-file.js';

const LOCK = 'lock';
/** How commands reach the hub that runs. */
export const CONTROL_FILE = 'control.json';
/** A backup that takes the place of the state at the next start. */
export const STAGED_FOLDER = 'restore';
/** The same while its files are being moved to where they belong. */
const MOVING_FOLDER = 'restore-moving';

/** Whether a file or folder of a state directory is of the moment, and no part of the state. */
export function isPassing(path: string): boolean {
  return [LOCK, CONTROL_FILE, RUNNING_FILE, STAGED_FOLDER, MOVING_FOLDER].includes(path) || path.endsWith('.new');
}

/** Everything one hub keeps, in one directory that only one hub uses at a time. */
export class StateDirectory {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * Makes the directory if needed, readable by its owner only, and takes it for this process. The lock of a process
   * that is gone is taken over. Fails with `HUB_STATE_IN_USE` or `HUB_STATE_UNUSABLE`.
   */
  static async take(path: string): Promise<StateDirectory> {
    try {
      await makeDirectory(path);
      await lock(join(path, LOCK), path);
      await applyStagedRestore(path);
    } catch (cause) {
      if (cause instanceof AtollError) throw cause;
      throw new AtollError('HUB_STATE_UNUSABLE', `The state directory ${path} cannot be used: ${errorMessage(cause)}`, {
        cause,
      });
    }
    return new StateDirectory(path);
  }

  /** A file or folder in the directory. */
  file(name: string): string {
    return join(this.path, name);
  }

  async release(): Promise<void> {
    await rm(this.file(LOCK), { force: true });
  }
}

/**
 * Puts a staged backup in the place of the state, if there is one. Cut off at any point, it goes on where it was at the
 * next start: until all of the old state is gone the backup lies aside as a whole, and what was moved then is new.
 */
export async function applyStagedRestore(path: string): Promise<void> {
  const entries = await readdir(path);
  const moving = join(path, MOVING_FOLDER);
  if (!entries.includes(MOVING_FOLDER)) {
    if (!entries.includes(STAGED_FOLDER)) return;
    for (const name of entries.filter((name) => ![LOCK, STAGED_FOLDER].includes(name))) {
      await rm(join(path, name), { recursive: true, force: true });
    }
    await syncFolder(path);
    await rename(join(path, STAGED_FOLDER), moving);
  }
  for (const name of await readdir(moving)) await rename(join(moving, name), join(path, name));
  await syncFolder(path);
  await rm(moving, { recursive: true });
}

/** Names in a folder survive a power loss only once the folder itself is on the disk. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    // Windows has no such thing, and orders renames by itself.
    if (!['EPERM', 'EISDIR', 'EINVAL'].includes(errorCode(error))) throw error;
  } finally {
    await folder.close();
  }
}

/** With its parents. Node's own way of doing so never ends below `/proc`, where nothing can be made. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return;
    if (errorCode(error) !== 'ENOENT' || dirname(path) === path) throw error;
    await makeDirectory(dirname(path));
    await mkdir(path, { mode: 0o700 });
  }
}

async function lock(path: string, directory: string): Promise<void> {
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      const file = await open(path, 'wx', 0o600);
      await file.writeFile(`${process.pid}\n`);
      await file.close();
      return;
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
    const owner = Number((await readFile(path, 'utf8').catch(() => '')).trim());
    if (owner > 0 && owner !== process.pid && isRunning(owner)) {
      throw new AtollError(
        'HUB_STATE_IN_USE',
        `Another hub (process ${owner}) uses the state directory ${directory}; stop it, or choose another with --state.`,
      );
    }
    await rm(path, { force: true });
  }
  throw new AtollError('HUB_STATE_IN_USE', `Another hub is taking the state directory ${directory} at this moment.`);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** Writes a file so that it is there whole or not at all, also after a power loss. Fails with `HUB_FILE_NOT_WRITTEN`. */
export async function writeAtomically(path: string, content: string | Uint8Array): Promise<void> {
  const draft = `${path}.${process.pid}.new`;
  try {
    const file = await open(draft, 'w', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    throw new AtollError('HUB_FILE_NOT_WRITTEN', `${path} cannot be written: ${errorMessage(cause)}`, { cause });
  }
}
