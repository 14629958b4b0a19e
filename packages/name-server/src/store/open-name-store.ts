import type { NameStore } from './name-store.js';
import { PostgresNameStore } from './postgres-name-store.js';
import { SqliteNameStore } from './sqlite-name-store.js';

/**
 * The store at a place: a file, or a PostgreSQL database for a URL `postgres://…`. Its password may stand in the URL, be
 * given, or be left to PostgreSQL's own `PGPASSWORD` and `~/.pgpass`.
 */
export async function openNameStore(place: string, password?: string): Promise<NameStore> {
  return /^postgres(ql)?:\/\//.test(place) ? PostgresNameStore.open(place, password) : SqliteNameStore.open(place);
}
