import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AtollError, errorCode, errorMessage } from '@atoll/base';

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
      await lock(join(path, 'lock'), path);
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
    await rm(this.file('lock'), { force: true });
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
export async function writeAtomically(path: string, text: string): Promise<void> {
  const draft = `${path}.${process.pid}.new`;
  try {
    const file = await open(draft, 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (cause) {
    throw new AtollError('HUB_FILE_NOT_WRITTEN', `${path} cannot be written: ${errorMessage(cause)}`, { cause });
  }
}
