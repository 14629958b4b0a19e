import type { NameStore } from './name-store.js';
import { SqliteNameStore } from './sqlite-name-store.js';

/**
 * The store at a place: a file, or a PostgreSQL database for a URL `postgres://…`. Its password may stand in the URL, be
 * given, or be left to PostgreSQL's own `PGPASSWORD` and `~/.pgpass`.
 */
export async function openNameStore(place: string, password?: string): Promise<NameStore> {
  if (!/^postgres(ql)?:\/\//.test(place)) return SqliteNameStore.open(place);
  // Few hubs have a database of their own: the others need not load its client.
  const { PostgresNameStore } = await import('./postgres-name-store.js');
  return PostgresNameStore.open(place, password);
}
