import { asBuffer } from '@atoll/base';
import { type Database, openDatabase, type Statement } from '@atoll/database';
import { skeletonOf } from '../core/look-alike.js';
import type { FoundName, NameRecord } from '../core/registration.js';
import {
  type Change,
  type ChangeKind,
  MAX_CHANGES,
  MAX_KEPT_ANSWERS,
  type NameStore,
  type Registered,
  type RegisterRules,
  type ReservedName,
  type StoredName,
} from './name-store.js';

const MIGRATIONS = [
  `CREATE TABLE name (
     name TEXT NOT NULL UNIQUE,
     address BLOB NOT NULL UNIQUE,
     owner TEXT NOT NULL,
     public_key BLOB NOT NULL,
     signature BLOB NOT NULL,
     skeleton TEXT NOT NULL,
     is_waiting INTEGER NOT NULL,
     registered_ms INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX name_skeleton ON name (skeleton);
   CREATE INDEX name_waiting ON name (name) WHERE is_waiting = 1;
   CREATE TABLE reserved (name TEXT NOT NULL UNIQUE, skeleton TEXT NOT NULL, note TEXT NOT NULL) STRICT;
   CREATE INDEX reserved_skeleton ON reserved (skeleton);
   -- Numbers are never used again, so that a gap tells of a removed entry.
   CREATE TABLE change (
     number INTEGER PRIMARY KEY AUTOINCREMENT,
     ms INTEGER NOT NULL,
     kind TEXT NOT NULL,
     name TEXT NOT NULL,
     address TEXT NOT NULL,
     by TEXT NOT NULL
   ) STRICT;
   CREATE TABLE answer (question TEXT NOT NULL UNIQUE, body TEXT NOT NULL, ms INTEGER NOT NULL) STRICT;
   CREATE INDEX answer_ms ON answer (ms);
   CREATE TABLE total (names INTEGER NOT NULL, waiting INTEGER NOT NULL) STRICT;
   INSERT INTO total VALUES (0, 0);
   CREATE TRIGGER name_added AFTER INSERT ON name BEGIN
     UPDATE total SET names = names + 1, waiting = waiting + NEW.is_waiting;
   END;
   CREATE TRIGGER name_removed AFTER DELETE ON name BEGIN
     UPDATE total SET names = names - 1, waiting = waiting - OLD.is_waiting;
   END;
   CREATE TRIGGER name_changed AFTER UPDATE OF is_waiting ON name BEGIN
     UPDATE total SET waiting = waiting + NEW.is_waiting - OLD.is_waiting;
   END`,
];

/** Of the file, so much is read as memory. */
const MAPPED_BYTES = 8 * 2 ** 30;
/** Old entries of the log and kept answers are thrown away once in so many new ones. */
const PRUNE_EVERY = 1000;

interface Row {
  readonly name: string;
  readonly address: Uint8Array;
  readonly owner: string;
  readonly public_key: Uint8Array;
  readonly signature: Uint8Array;
  readonly is_waiting: number;
  readonly registered_ms: number;
}

interface Waiting {
  readonly record: NameRecord;
  readonly rules: RegisterRules;
  readonly resolve: (result: Registered) => void;
  readonly reject: (error: unknown) => void;
}

/** A look-up that waits for its turn. */
interface Question {
  /** Reads, and returns what gives the answer. */
  readonly read: () => () => void;
  readonly reject: (error: unknown) => void;
}

/** Names in a file. Other processes may use the file at the same time: the operator's commands do. */
export class SqliteNameStore implements NameStore {
  private readonly database: Database;
  private readonly unixMs: () => number;
  private readonly statements: ReturnType<typeof prepare>;
  private queue: Waiting[] = [];
  private asked: Question[] = [];
  private changesSincePrune = 0;
  private answersSincePrune = 0;

  private constructor(database: Database, unixMs: () => number) {
    this.database = database;
    this.unixMs = unixMs;
    this.statements = prepare(database);
  }

  /** Opens or makes the file. Fails as `openDatabase` does. */
  static open(path: string, unixMs: () => number = Date.now): SqliteNameStore {
    const database = openDatabase({ path, migrations: MIGRATIONS });
    // Read as memory: a page at random costs no system call.
    database.exec(`PRAGMA mmap_size = ${MAPPED_BYTES}`);
    return new SqliteNameStore(database, unixMs);
  }

  find(name: string): Promise<FoundName | undefined> {
    return this.ask(() => {
      const packed = this.statements.find.get(name)?.packed;
      return packed === undefined ? undefined : unpack(name, asBuffer(packed));
    });
  }

  nameOf(address: string): Promise<string | undefined> {
    return this.ask(() => this.statements.nameOf.get(Buffer.from(address, 'hex'))?.name);
  }

  byName(name: string): StoredName | undefined {
    const row = this.statements.byName.get(name);
    return row === undefined ? undefined : stored(row);
  }

  byAddress(address: string): StoredName | undefined {
    const row = this.statements.byAddress.get(Buffer.from(address, 'hex'));
    return row === undefined ? undefined : stored(row);
  }

  /** Registrations that come while the disk is busy with earlier ones are written together. */
  register(record: NameRecord, rules: RegisterRules): Promise<Registered> {
    return new Promise((resolve, reject) => {
      this.queue.push({ record, rules, resolve, reject });
      if (this.queue.length === 1) setImmediate(() => this.writeQueue());
    });
  }

  async import(records: readonly StoredName[], by: string): Promise<Registered[]> {
    return this.database.transaction(() =>
      records.map((record) => {
        const clash = this.clashOf(record);
        if (clash !== undefined) return clash;
        this.insert(record, record.isWaiting, record.registeredUnixMs);
        this.log('import', record.name, record.address, by);
        return record.isWaiting ? 'waiting' : 'registered';
      }),
    );
  }

  async approve(name: string, by: string): Promise<boolean> {
    return this.database.transaction(() => {
      if (this.statements.approve.run(name) === 0) return false;
      this.log('approve', name, this.byName(name)?.address ?? '', by);
      return true;
    });
  }

  async remove(name: string, kind: 'delete' | 'reject', by: string): Promise<boolean> {
    return this.database.transaction(() => {
      const found = this.byName(name);
      if (found === undefined || (kind === 'reject' && !found.isWaiting)) return false;
      this.statements.remove.run(name);
      this.log(kind, name, found.address, by);
      return true;
    });
  }

  async list(options: { after?: string; limit: number; onlyWaiting?: boolean }): Promise<StoredName[]> {
    const { after = '', limit, onlyWaiting = false } = options;
    return this.statements[onlyWaiting ? 'listWaiting' : 'list'].all(after, limit).map(stored);
  }

  counts(): { names: number; waiting: number } {
    return this.statements.counts.get() ?? { names: 0, waiting: 0 };
  }

  async reserve(name: string, note: string, by: string): Promise<boolean> {
    return this.database.transaction(() => {
      if (this.statements.reserve.run(name, skeletonOf(name), note) === 0) return false;
      this.log('reserve', name, '', by);
      return true;
    });
  }

  async unreserve(name: string, by: string): Promise<boolean> {
    return this.database.transaction(() => {
      if (this.statements.unreserve.run(name) === 0) return false;
      this.log('unreserve', name, '', by);
      return true;
    });
  }

  async reserved(): Promise<ReservedName[]> {
    return this.statements.reserved.all();
  }

  async changes(limit: number): Promise<Change[]> {
    return this.statements.changes.all(limit);
  }

  keepAnswer(question: string, body: string, unixMs: number): void {
    this.statements.keep.run(question, body, unixMs);
    if (++this.answersSincePrune < PRUNE_EVERY) return;
    this.answersSincePrune = 0;
    this.statements.pruneAnswers.run(MAX_KEPT_ANSWERS);
  }

  keptAnswer(question: string): { body: string; unixMs: number } | undefined {
    return this.statements.kept.get(question);
  }

  async probe(): Promise<void> {
    this.statements.counts.get();
  }

  async close(): Promise<void> {
    this.writeQueue();
    this.readAsked();
    this.database.close();
  }

  private ask<T>(read: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const readNow = (): (() => void) => {
        const found = read();
        return () => resolve(found);
      };
      this.asked.push({ read: readNow, reject });
      if (this.asked.length === 1) setImmediate(this.readAsked);
    });
  }

  /**
   * Look-ups that came in one turn of the event loop are read behind each other in one transaction: it spares each the
   * locks of the file, and finds the code of the database in the processor's cache.
   */
  private readonly readAsked = (): void => {
    const { asked } = this;
    if (asked.length === 0) return;
    this.asked = [];
    try {
      this.database.exec('BEGIN');
      const answers = asked.map(({ read }) => read());
      this.database.exec('COMMIT');
      for (const answer of answers) answer();
    } catch (error) {
      for (const { reject } of asked) reject(error);
      this.database.exec('ROLLBACK');
    }
  };

  private writeQueue(): void {
    const { queue } = this;
    if (queue.length === 0) return;
    this.queue = [];
    try {
      const results = this.database.transaction(() => queue.map(({ record, rules }) => this.write(record, rules)));
      for (const [at, { resolve }] of queue.entries()) resolve(results[at] as Registered);
    } catch (error) {
      for (const { reject } of queue) reject(error);
    }
  }

  private write(record: NameRecord, rules: RegisterRules): Registered {
    const clash = this.clashOf(record);
    if (clash !== undefined) return clash;
    const skeleton = skeletonOf(record.name);
    if (this.statements.isReserved.get(record.name, skeleton) !== undefined) return 'reserved';
    if (rules.refusesLookAlikes && this.statements.bySkeleton.get(skeleton) !== undefined) return 'look-alike';
    const { names, waiting } = this.counts();
    if (names >= rules.maxNames || (rules.needsApproval && waiting >= rules.maxWaiting)) return 'full';
    this.insert(record, rules.needsApproval, this.unixMs());
    this.log('register', record.name, record.address, rules.by);
    return rules.needsApproval ? 'waiting' : 'registered';
  }

  /** Why a record cannot be put in beside those that are there. */
  private clashOf(record: NameRecord): Registered | undefined {
    const found = this.byName(record.name);
    if (found !== undefined) {
      if (found.address !== record.address) return 'name-taken';
      return found.isWaiting ? 'waiting' : 'known';
    }
    return this.byAddress(record.address) === undefined ? undefined : 'address-taken';
  }

  private insert(record: NameRecord, isWaiting: boolean, registeredMs: number): void {
    const { name, address, owner, publicKey, signature } = record;
    this.statements.insert.run(
      name,
      Buffer.from(address, 'hex'),
      owner,
      publicKey,
      signature,
      skeletonOf(name),
      isWaiting ? 1 : 0,
      registeredMs,
    );
  }

  private log(kind: ChangeKind, name: string, address: string, by: string): void {
    this.statements.log.run(this.unixMs(), kind, name, address, by);
    if (++this.changesSincePrune < PRUNE_EVERY) return;
    this.changesSincePrune = 0;
    this.statements.pruneChanges.run(MAX_CHANGES);
  }
}

function prepare(database: Database) {
  const prepared = <Result>(sql: string): Statement<Result> => database.prepare<Result>(sql);
  const columns = 'name, address, owner, public_key, signature, is_waiting, registered_ms';
  return {
    // One column instead of three: what a column costs is most of what a look-up costs.
    find: prepared<{ packed: Uint8Array }>(
      'SELECT CAST(address || public_key || signature AS BLOB) AS packed FROM name WHERE name = ? AND is_waiting = 0',
    ),
    nameOf: prepared<{ name: string }>('SELECT name FROM name WHERE address = ? AND is_waiting = 0'),
    byName: prepared<Row>(`SELECT ${columns} FROM name WHERE name = ?`),
    byAddress: prepared<Row>(`SELECT ${columns} FROM name WHERE address = ?`),
    bySkeleton: prepared('SELECT 1 FROM name WHERE skeleton = ? LIMIT 1'),
    isReserved: prepared('SELECT 1 FROM reserved WHERE name = ? OR skeleton = ? LIMIT 1'),
    insert: prepared('INSERT INTO name VALUES (?, ?, ?, ?, ?, ?, ?, ?)'),
    approve: prepared('UPDATE name SET is_waiting = 0 WHERE name = ? AND is_waiting = 1'),
    remove: prepared('DELETE FROM name WHERE name = ?'),
    list: prepared<Row>(`SELECT ${columns} FROM name WHERE name > ? ORDER BY name LIMIT ?`),
    listWaiting: prepared<Row>(`SELECT ${columns} FROM name WHERE is_waiting = 1 AND name > ? ORDER BY name LIMIT ?`),
    counts: prepared<{ names: number; waiting: number }>('SELECT names, waiting FROM total'),
    reserve: prepared('INSERT INTO reserved VALUES (?, ?, ?) ON CONFLICT DO NOTHING'),
    unreserve: prepared('DELETE FROM reserved WHERE name = ?'),
    reserved: prepared<ReservedName>('SELECT name, note FROM reserved ORDER BY name'),
    log: prepared('INSERT INTO change (ms, kind, name, address, by) VALUES (?, ?, ?, ?, ?)'),
    pruneChanges: prepared('DELETE FROM change WHERE number <= (SELECT max(number) FROM change) - ?'),
    changes: prepared<Change>(
      'SELECT number, ms AS unixMs, kind, name, address, by FROM change ORDER BY number DESC LIMIT ?',
    ),
    keep: prepared(
      'INSERT INTO answer VALUES (?, ?, ?) ON CONFLICT (question) DO UPDATE SET body = excluded.body, ms = excluded.ms',
    ),
    kept: prepared<{ body: string; unixMs: number }>('SELECT body, ms AS unixMs FROM answer WHERE question = ?'),
    pruneAnswers: prepared(
      'DELETE FROM answer WHERE rowid IN (SELECT rowid FROM answer ORDER BY ms DESC LIMIT -1 OFFSET ?)',
    ),
  };
}

const ADDRESS_BYTES = 20;

/** Address, key and signature behind each other; the key says its own length (DER, with a length of two bytes). */
function unpack(name: string, packed: Buffer): FoundName {
  const address = packed.toString('hex', 0, ADDRESS_BYTES);
  const isProven = packed.length > ADDRESS_BYTES + 4;
  const end = isProven ? ADDRESS_BYTES + 4 + packed.readUInt16BE(ADDRESS_BYTES + 2) : ADDRESS_BYTES;
  return { name, address, publicKey: packed.subarray(ADDRESS_BYTES, end), signature: packed.subarray(end) };
}

function stored(row: Row): StoredName {
  return {
    name: row.name,
    address: asBuffer(row.address).toString('hex'),
    owner: row.owner,
    publicKey: asBuffer(row.public_key),
    signature: asBuffer(row.signature),
    isWaiting: row.is_waiting === 1,
    registeredUnixMs: Number(row.registered_ms),
  };
}
