import { createRequire } from 'node:module';
import type { SqlValue } from './database.js';

/** What both engines have in common, after the differences below are taken away. */
interface EngineStatement {
  run(...values: SqlValue[]): { readonly changes: number | bigint };
  get(...values: SqlValue[]): Record<string, unknown> | undefined;
  all(...values: SqlValue[]): Record<string, unknown>[];
  iterate(...values: SqlValue[]): Iterable<Record<string, unknown>>;
}

export interface Engine {
  exec(sql: string): void;
  prepare(sql: string): EngineStatement;
  close(): void;
}

interface BuiltInDatabase extends Engine {
  prepare(sql: string): EngineStatement;
}

/** Values come as one array: a single `null` or bytes would be taken for an object of named parameters. */
interface LibsqlStatement {
  run(values: readonly SqlValue[]): { readonly changes: number };
  raw(): LibsqlStatement;
  columns(): readonly { readonly name: string }[];
  get(values: readonly SqlValue[]): unknown[] | undefined;
  all(values: readonly SqlValue[]): unknown[][];
  iterate(values: readonly SqlValue[]): Iterable<unknown[]>;
}

interface LibsqlDatabase {
  exec(sql: string): void;
  prepare(sql: string): LibsqlStatement;
  close(): void;
}

/**
 * SQLite as Node carries it from 22.13 on; before that `libsql`, a SQLite whose binary is a package of the registry.
 * Both write the same files.
 */
export function openEngine(path: string): Engine {
  const builtIn = process.getBuiltinModule?.('node:sqlite') as
    | { readonly DatabaseSync: new (path: string) => BuiltInDatabase }
    | undefined;
  if (builtIn !== undefined) {
    const database = new builtIn.DatabaseSync(path);
    return {
      exec: (sql) => database.exec(sql),
      prepare: (sql) => new BuiltInRows(database.prepare(sql)),
      close: () => database.close(),
    };
  }
  // What loads libsql reads a report of the process, for which Node would look up the names of all open sockets' peers:
  // packets to a name server nobody asked for, and seconds of waiting where there is none.
  if (process.report !== undefined) Object.assign(process.report, { excludeNetwork: true });
  const Libsql = createRequire(import.meta.url)('libsql') as new (path: string) => LibsqlDatabase;
  const database = new Libsql(path);
  return {
    exec: (sql) => database.exec(sql),
    prepare: (sql) => new LibsqlRows(database.prepare(sql)),
    close: () => database.close(),
  };
}

/** Rows as ordinary objects: Node's own have no prototype, which makes them unlike any other. */
class BuiltInRows implements EngineStatement {
  private readonly statement: EngineStatement;

  constructor(statement: EngineStatement) {
    this.statement = statement;
  }

  run(...values: SqlValue[]): { readonly changes: number | bigint } {
    return this.statement.run(...values);
  }

  get(...values: SqlValue[]): Record<string, unknown> | undefined {
    const row = this.statement.get(...values);
    return row === undefined ? undefined : { ...row };
  }

  all(...values: SqlValue[]): Record<string, unknown>[] {
    return this.statement.all(...values).map((row) => ({ ...row }));
  }

  *iterate(...values: SqlValue[]): Iterable<Record<string, unknown>> {
    for (const row of this.statement.iterate(...values)) yield { ...row };
  }
}

/** Rows as arrays, which are twice as fast to get, made into objects here. */
class LibsqlRows implements EngineStatement {
  private readonly statement: LibsqlStatement;
  private names: readonly string[] | undefined;

  constructor(statement: LibsqlStatement) {
    this.statement = statement;
  }

  run(...values: SqlValue[]): { readonly changes: number } {
    return this.statement.run(values);
  }

  get(...values: SqlValue[]): Record<string, unknown> | undefined {
    const row = this.rows().get(values);
    return row === undefined ? undefined : this.named(row);
  }

  all(...values: SqlValue[]): Record<string, unknown>[] {
    return this.rows()
      .all(values)
      .map((row) => this.named(row));
  }

  *iterate(...values: SqlValue[]): Iterable<Record<string, unknown>> {
    for (const row of this.rows().iterate(values)) yield this.named(row);
  }

  private rows(): LibsqlStatement {
    if (this.names === undefined) {
      this.names = this.statement.columns().map((column) => column.name);
      this.statement.raw();
    }
    return this.statement;
  }

  private named(row: readonly unknown[]): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    const { names = [] } = this;
    for (let at = 0; at < names.length; at++) result[names[at] as string] = row[at];
    return result;
  }
}
