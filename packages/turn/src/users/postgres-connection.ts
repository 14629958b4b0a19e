import { AtollError, errorCode, errorMessage } from '@atoll/base';
import pg from 'pg';
import { describePlace, type PostgresPlace, parsePostgresPlace } from './postgres-place.js';
import type { SqlConnection, SqlParameter } from './sql-connection.js';

/** Connections of one server to its database. */
const MAX_CONNECTIONS = 5;
/** Longest waits for a connection, and for an answer of the database, ms. */
const CONNECT_MS = 5000;
const QUERY_MS = 10_000;
/** First number of the advisory lock while tables are made. */
const TABLES_LOCK = 0x41746f6e;
const NO_SUCH_TABLE = '42P01';

/**
 * Connects to a PostgreSQL database, reads every table once and makes those that are missing. A connection that breaks
 * later is replaced by the next query. Fails with `TURN_STORE_UNREACHABLE`, without the password.
 */
export async function openPostgres(text: string, tables: ReadonlyMap<string, string>): Promise<SqlConnection> {
  const place = parsePostgresPlace(text);
  let pool = poolFor(place, place.encryption !== 'never');
  try {
    await readTables(pool, tables).catch(async (error: unknown) => {
      // libpq's sslmode=prefer: encrypted where the server can.
      if (place.encryption !== 'preferred' || !/does not support SSL/.test(errorMessage(error))) throw error;
      await pool.end();
      pool = poolFor(place, false);
      await readTables(pool, tables);
    });
  } catch (cause) {
    await pool.end();
    throw new AtollError(
      'TURN_STORE_UNREACHABLE',
      `The user store ${describePlace(place)} cannot be used: ${errorMessage(cause) || errorCode(cause)}`,
      { cause },
    );
  }
  const query = (sql: string, values: SqlParameter[]) => {
    let count = 0;
    return pool.query(
      sql.replace(/\?/g, () => `$${++count}`),
      values,
    );
  };
  return {
    all: async <Row>(sql: string, ...values: SqlParameter[]) => (await query(sql, values)).rows as Row[],
    run: async (sql, ...values) => (await query(sql, values)).rowCount ?? 0,
    close: () => pool.end(),
  };
}

function poolFor({ host, port, user, database, password, tls, options }: PostgresPlace, isEncrypted: boolean): pg.Pool {
  const pool = new pg.Pool({
    host,
    port,
    user,
    database,
    ssl: isEncrypted ? tls : false,
    ...(password === undefined ? {} : { password }),
    ...(options === undefined ? {} : { options }),
    max: MAX_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: QUERY_MS,
    application_name: 'atoll turn',
  });
  // A connection that breaks while nobody uses it is replaced when the next one is needed.
  pool.on('error', () => {});
  return pool;
}

/** A role that may not make tables can use those that are there. */
async function readTables(pool: pg.Pool, tables: ReadonlyMap<string, string>): Promise<void> {
  const missing: string[] = [];
  for (const [name, columns] of tables) {
    try {
      await pool.query(`SELECT ${columnNames(columns)} FROM ${name} LIMIT 0`);
    } catch (error) {
      if (errorCode(error) !== NO_SUCH_TABLE) throw error;
      missing.push(`CREATE TABLE IF NOT EXISTS ${name} (${columns});`);
    }
  }
  // Statements that are sent together are one transaction.
  if (missing.length > 0) await pool.query(`SELECT pg_advisory_xact_lock(${TABLES_LOCK}, 0);${missing.join('')}`);
}

function columnNames(columns: string): string {
  return columns
    .replace(/\([^)]*\)/g, '')
    .split(',')
    .map((column) => column.trim().split(' ')[0])
    .filter((name) => name?.toLowerCase() !== 'primary')
    .join(', ');
}
