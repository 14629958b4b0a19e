import { chmodSync, closeSync, openSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { AtollError, errorCode, errorMessage } from '@atoll/base';
import { type Engine, openEngine } from './engine.js';

/** What a column or a parameter can hold. Booleans are 0 and 1. */
export type SqlValue = string | number | bigint | Uint8Array | null;

/** A statement, compiled once. `Row` is what the SQL selects, by column name. */
export interface Statement<Row> {
  /** Runs it; returns how many rows changed. */
  run(...values: SqlValue[]): number;
  get(...values: SqlValue[]): Row | undefined;
  all(...values: SqlValue[]): Row[];
  /** Rows one by one, for tables that do not fit into memory. */
  iterate(...values: SqlValue[]): Iterable<Row>;
}

/** An embedded SQLite database; calls are synchronous and short. */
export interface Database {
  readonly path: string;
  exec(sql: string): void;
  prepare<Row = Record<string, SqlValue>>(sql: string): Statement<Row>;
  /** Runs `work` in one transaction: all of it is kept, or nothing when it throws. */
  transaction<T>(work: () => T): T;
  close(): void;
  [Symbol.dispose](): void;
}

export interface DatabaseOptions {
  /** A file, made readable by its owner only when it is new; `:memory:` for none. */
  readonly path: string;
  /**
   * What makes and changes the tables, oldest first; each step is run once in the life of a file. Left out for a file
   * whose tables another program makes.
   */
  readonly migrations?: readonly string[];
}

/** Waits so long for another process that writes, ms. */
const BUSY_MS = 5000;

/**
 * Opens a database in which everything acknowledged survives a power loss (write-ahead log, full synchronization).
 * Fails with `DATABASE_UNUSABLE`, naming file, user and mode, or `DATABASE_NEWER` when a newer version of Atoll made it.
 */
export function openDatabase(options: DatabaseOptions): Database {
  const { path, migrations = [] } = options;
  let engine: Engine | undefined;
  try {
    if (path !== ':memory:') createPrivately(path);
    engine = openEngine(path);
    engine.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
    engine.exec('PRAGMA journal_mode = WAL');
    engine.exec('PRAGMA synchronous = FULL');
    engine.exec('PRAGMA foreign_keys = ON');
    const database = new SqliteDatabase(path, engine);
    migrate(database, migrations);
    return database;
  } catch (cause) {
    engine?.close();
    if (cause instanceof AtollError) throw cause;
    throw new AtollError(
      'DATABASE_UNUSABLE',
      `The database ${path} cannot be used by ${userInfo().username}${modeOf(path)}: ${errorMessage(cause)}`,
      { cause },
    );
  }
}

function createPrivately(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
    chmodSync(path, 0o600);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
}

function modeOf(path: string): string {
  try {
    return ` (its mode is 0${(statSync(path).mode & 0o777).toString(8)})`;
  } catch {
    return '';
  }
}

function migrate(database: SqliteDatabase, migrations: readonly string[]): void {
  if (migrations.length === 0) return;
  database.transaction(() => {
    const row = database.prepare<{ user_version: number }>('PRAGMA user_version').get();
    const done = row?.user_version ?? 0;
    if (done > migrations.length) {
      throw new AtollError(
        'DATABASE_NEWER',
        `The database ${database.path} was made by a newer version of Atoll; start that version, or use another file.`,
      );
    }
    for (const step of migrations.slice(done)) database.exec(step);
    if (done < migrations.length) database.exec(`PRAGMA user_version = ${migrations.length}`);
  });
}

class SqliteDatabase implements Database {
  readonly path: string;
  private readonly engine: Engine;
  private depth = 0;

  constructor(path: string, engine: Engine) {
    this.path = path;
    this.engine = engine;
  }

  exec(sql: string): void {
    this.engine.exec(sql);
  }

  prepare<Row>(sql: string): Statement<Row> {
    const statement = this.engine.prepare(sql);
    return {
      run: (...values) => Number(statement.run(...values).changes),
      get: (...values) => statement.get(...values) as Row | undefined,
      all: (...values) => statement.all(...values) as Row[],
      iterate: (...values) => statement.iterate(...values) as Iterable<Row>,
    };
  }

  transaction<T>(work: () => T): T {
    if (this.depth > 0) return work();
    this.engine.exec('BEGIN IMMEDIATE');
    this.depth++;
    try {
      const result = work();
      this.engine.exec('COMMIT');
      return result;
    } catch (error) {
      this.engine.exec('ROLLBACK');
      throw error;
    } finally {
      this.depth--;
    }
  }

  close(): void {
    try {
      // One file is easier to copy than three.
      this.engine.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } catch {
      // Another process uses it: the last one does it.
    }
    this.engine.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
