import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { errorMessage, UsageError } from '@atoll/base';

/** The first line of a file, or of the standard input for `-`. */
export async function readSecret(path: string): Promise<string> {
  try {
    const content = path === '-' ? await text(process.stdin) : await readFile(path, 'utf8');
    return content.split(/\r?\n/)[0] ?? '';
  } catch (cause) {
    throw new UsageError(`The password file ${path} cannot be read: ${errorMessage(cause)}`, { cause });
  }
}
