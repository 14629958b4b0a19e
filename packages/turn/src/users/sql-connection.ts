import { openDatabase, type Statement } from '@atoll/database';
import type { MaybePromise } from '../core/credentials.js';

export type SqlParameter = string | number | null;

/** A database that SQL is sent to; parameters are `?` in the order of their values. */
export interface SqlConnection {
  all<Row>(sql: string, ...values: SqlParameter[]): MaybePromise<Row[]>;
  /** Returns how many rows changed. */
  run(sql: string, ...values: SqlParameter[]): MaybePromise<number>;
  close(): MaybePromise<void>;
}

/** Opens or makes a SQLite file and the tables missing in it. Fails with `DATABASE_UNUSABLE`, naming file, user and mode. */
export function openSqlite(path: string, tables: ReadonlyMap<string, string>): SqlConnection {
  const database = openDatabase({ path });
  const statements = new Map<string, Statement<unknown>>();
  const prepared = (sql: string): Statement<unknown> => {
    let statement = statements.get(sql);
    if (statement === undefined) {
      statement = database.prepare<unknown>(sql);
      statements.set(sql, statement);
    }
    return statement;
  };
  try {
    for (const [name, columns] of tables) database.exec(`CREATE TABLE IF NOT EXISTS ${name} (${columns})`);
  } catch (error) {
    database.close();
    throw error;
  }
  return {
    all: <Row>(sql: string, ...values: SqlParameter[]) => prepared(sql).all(...values) as Row[],
    run: (sql, ...values) => prepared(sql).run(...values),
    close: () => database.close(),
  };
}
