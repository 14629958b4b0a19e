import { mkdir } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { SETTINGS } from '@atoll/hub';
import { type NameStore, openNameStore } from '@atoll/name-server';
import type { Command } from 'commander';
import { readSecret } from './read-secret.js';

/** How an operator's command is told where the names are. */
export interface StoreOptions {
  readonly state?: string;
  readonly store?: string;
  readonly storePasswordFile?: string;
}

/** Adds the options that {@link withStore} reads. */
export function withStoreOptions(command: Command): Command {
  return command
    .option('--state <DIR>', 'State directory of the hub or name server')
    .option('--store <PLACE>', 'A file, or postgres://USER@HOST/DATABASE, instead of names.db in the state directory')
    .option('--store-password-file <FILE>', 'File with the password of the database; - reads it from the input');
}

/** Opens the store; a server may use it at the same time. */
async function openStore({ state, store, storePasswordFile }: StoreOptions): Promise<NameStore> {
  const password = storePasswordFile === undefined ? undefined : await readSecret(storePasswordFile);
  if (store !== undefined) return openNameStore(store, password);
  const directory = state ?? process.env.ATOLL_STATE ?? SETTINGS.state.fallback;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return openNameStore(join(directory, 'names.db'), password);
}

/** Runs a command on the store and closes it. */
export async function withStore<T>(options: StoreOptions, run: (store: NameStore) => Promise<T>): Promise<T> {
  const store = await openStore(options);
  try {
    return await run(store);
  } finally {
    await store.close();
  }
}

/** Who did it, for the log of changes. */
export function operator(): string {
  return `operator ${userInfo().username}`;
}
