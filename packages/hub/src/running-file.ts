import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '@atoll/base';

/**
 * File in the state directory of a running hub that says where its services are and which other nodes it was told of:
 * what the ready file says and `bootstrap`. Commands beside the hub read it: the doctor, the firewall, port mapping.
 */
export const RUNNING_FILE = 'running.json';

/** The process of the hub that uses a state directory; undefined when none runs. */
export async function hubProcess(state: string): Promise<number | undefined> {
  const pid = Number((await readFile(join(state, 'lock'), 'utf8').catch(() => '')).trim());
  if (!(pid > 0)) return undefined;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (errorCode(error) !== 'EPERM') return undefined;
  }
  return pid;
}

/** What the hub that uses a state directory says of itself; undefined when none runs or it is still starting. */
export async function runningFacts(state: string): Promise<unknown> {
  if ((await hubProcess(state)) === undefined) return undefined;
  try {
    return JSON.parse(await readFile(join(state, RUNNING_FILE), 'utf8')) as unknown;
  } catch {
    return undefined;
  }
}
