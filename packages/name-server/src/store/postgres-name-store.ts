import { AtollError, errorCode, errorMessage } from '@atoll/base';
import pg from 'pg';
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
  `CREATE TABLE atoll_name (
     name text COLLATE "C" PRIMARY KEY,
     address bytea NOT NULL UNIQUE,
     owner text NOT NULL,
     public_key bytea NOT NULL,
     signature bytea NOT NULL,
     skeleton text COLLATE "C" NOT NULL,
     is_waiting boolean NOT NULL,
     registered_ms bigint NOT NULL
   );
   CREATE INDEX atoll_name_skeleton ON atoll_name (skeleton);
   CREATE INDEX atoll_name_waiting ON atoll_name (name) WHERE is_waiting;
   CREATE TABLE atoll_reserved_name (name text COLLATE "C" PRIMARY KEY, skeleton text COLLATE "C" NOT NULL, note text NOT NULL);
   CREATE INDEX atoll_reserved_name_skeleton ON atoll_reserved_name (skeleton);
   CREATE TABLE atoll_name_change (
     number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     ms bigint NOT NULL,
     kind text NOT NULL,
     name text NOT NULL,
     address text NOT NULL,
     by text NOT NULL
   );
   CREATE TABLE atoll_name_answer (question text COLLATE "C" PRIMARY KEY, body text NOT NULL, ms bigint NOT NULL);
   CREATE INDEX atoll_name_answer_ms ON atoll_name_answer (ms);`,
];

/** Connections of one name server to its database. */
const MAX_CONNECTIONS = 10;
/** Longest waits for a connection, and for an answer of the database, ms. */
const CONNECT_MS = 5000;
const QUERY_MS = 10_000;
/** First numbers of the advisory locks of this program: migrations, and names that look alike. */
const MIGRATION_LOCK = 0x41746f6c;
const SKELETON_LOCK = 0x41746f6d;
/** Numbers of names are counted anew after so long, ms: counting reads the whole index. */
const COUNT_AGE_MS = 10_000;
const PRUNE_EVERY = 1000;

const COLUMNS = 'name, address, owner, public_key, signature, is_waiting, registered_ms';

interface Row {
  readonly name: string;
  readonly address: Buffer;
  readonly owner: string;
  readonly public_key: Buffer;
  readonly signature: Buffer;
  readonly is_waiting: boolean;
  readonly registered_ms: string;
}

/** Names in a PostgreSQL database, for several name servers at once. */
export class PostgresNameStore implements NameStore {
  private readonly pool: pg.Pool;
  private readonly unixMs: () => number;
  private counted: { names: number; waiting: number; atMs: number } | undefined;
  private changesSincePrune = 0;
  private answersSincePrune = 0;

  private constructor(pool: pg.Pool, unixMs: () => number) {
    this.pool = pool;
    this.unixMs = unixMs;
  }

  /** Connects, and makes the tables if they are not there. Fails with `NAMES_STORE_UNREACHABLE`, without the password. */
  static async open(url: string, password?: string, unixMs: () => number = Date.now): Promise<PostgresNameStore> {
    const pool = new pg.Pool({
      connectionString: url,
      ...(password === undefined ? {} : { password }),
      max: MAX_CONNECTIONS,
      connectionTimeoutMillis: CONNECT_MS,
      query_timeout: QUERY_MS,
      application_name: 'atoll names',
    });
    // A connection that breaks while nobody uses it is replaced when the next one is needed.
    pool.on('error', () => {});
    try {
      const store = new PostgresNameStore(pool, unixMs);
      await store.migrate();
      return store;
    } catch (cause) {
      await pool.end();
      if (cause instanceof AtollError) throw cause;
      throw new AtollError(
        'NAMES_STORE_UNREACHABLE',
        `The database ${withoutPassword(url)} cannot be used: ${errorMessage(cause) || errorCode(cause)}`,
        { cause },
      );
    }
  }

  async find(name: string): Promise<FoundName | undefined> {
    const found = await this.byName(name);
    return found === undefined || found.isWaiting ? undefined : found;
  }

  async nameOf(address: string): Promise<string | undefined> {
    const text = 'SELECT name FROM atoll_name WHERE address = $1 AND NOT is_waiting';
    const query = { name: 'name-of', text, values: [Buffer.from(address, 'hex')] };
    return (await this.pool.query<{ name: string }>(query)).rows[0]?.name;
  }

  async byName(name: string): Promise<StoredName | undefined> {
    return this.one({ name: 'by-name', text: `SELECT ${COLUMNS} FROM atoll_name WHERE name = $1`, values: [name] });
  }

  async byAddress(address: string): Promise<StoredName | undefined> {
    const values = [Buffer.from(address, 'hex')];
    return this.one({ name: 'by-address', text: `SELECT ${COLUMNS} FROM atoll_name WHERE address = $1`, values });
  }

  async register(record: NameRecord, rules: RegisterRules): Promise<Registered> {
    const { names, waiting } = await this.counts();
    return this.transaction(async (client) => {
      const clash = await this.clashOf(client, record);
      if (clash !== undefined) return clash;
      const skeleton = skeletonOf(record.name);
      // Two look-alikes at the same instant, perhaps on two servers: one waits for the other here.
      await client.query('SELECT pg_advisory_xact_lock($1, hashtext($2))', [SKELETON_LOCK, skeleton]);
      const reserved = 'SELECT 1 FROM atoll_reserved_name WHERE name = $1 OR skeleton = $2 LIMIT 1';
      if ((await client.query(reserved, [record.name, skeleton])).rows.length > 0) return 'reserved';
      const alike = 'SELECT name FROM atoll_name WHERE skeleton = $1 AND name <> $2 LIMIT 1';
      if (rules.refusesLookAlikes && (await client.query(alike, [skeleton, record.name])).rows.length > 0) {
        return 'look-alike';
      }
      if (names >= rules.maxNames || (rules.needsApproval && waiting >= rules.maxWaiting)) return 'full';
      if (!(await this.insert(client, record, skeleton, rules.needsApproval, this.unixMs()))) {
        return (await this.clashOf(client, record)) ?? 'name-taken';
      }
      await this.log(client, 'register', record.name, record.address, rules.by);
      return rules.needsApproval ? 'waiting' : 'registered';
    });
  }

  async import(records: readonly StoredName[], by: string): Promise<Registered[]> {
    return this.transaction(async (client) => {
      const results: Registered[] = [];
      for (const record of records) {
        const { name, address, isWaiting, registeredUnixMs } = record;
        const isNew = await this.insert(client, record, skeletonOf(name), isWaiting, registeredUnixMs);
        if (isNew) await this.log(client, 'import', name, address, by);
        const done = isWaiting ? 'waiting' : 'registered';
        results.push(isNew ? done : ((await this.clashOf(client, record)) ?? 'name-taken'));
      }
      return results;
    });
  }

  async approve(name: string, by: string): Promise<boolean> {
    return this.transaction(async (client) => {
      const sql = 'UPDATE atoll_name SET is_waiting = false WHERE name = $1 AND is_waiting RETURNING address';
      return this.logged(client, 'approve', name, by, await client.query(sql, [name]));
    });
  }

  async remove(name: string, kind: 'delete' | 'reject', by: string): Promise<boolean> {
    return this.transaction(async (client) => {
      const only = kind === 'reject' ? ' AND is_waiting' : '';
      const sql = `DELETE FROM atoll_name WHERE name = $1${only} RETURNING address`;
      return this.logged(client, kind, name, by, await client.query(sql, [name]));
    });
  }

  async list(options: { after?: string; limit: number; onlyWaiting?: boolean }): Promise<StoredName[]> {
    const { after = '', limit, onlyWaiting = false } = options;
    const which = onlyWaiting ? 'is_waiting AND name > $1' : 'name > $1';
    const sql = `SELECT ${COLUMNS} FROM atoll_name WHERE ${which} ORDER BY name LIMIT $2`;
    return (await this.pool.query<Row>(sql, [after, limit])).rows.map(stored);
  }

  async counts(): Promise<{ names: number; waiting: number }> {
    const nowMs = this.unixMs();
    if (this.counted !== undefined && Math.abs(nowMs - this.counted.atMs) < COUNT_AGE_MS) return this.counted;
    const sql = 'SELECT count(*) AS names, count(*) FILTER (WHERE is_waiting) AS waiting FROM atoll_name';
    const [row] = (await this.pool.query<{ names: string; waiting: string }>(sql)).rows;
    this.counted = { names: Number(row?.names), waiting: Number(row?.waiting), atMs: nowMs };
    return this.counted;
  }

  async reserve(name: string, note: string, by: string): Promise<boolean> {
    return this.transaction(async (client) => {
      const sql =
        "INSERT INTO atoll_reserved_name VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING ''::bytea AS address";
      return this.logged(client, 'reserve', name, by, await client.query(sql, [name, skeletonOf(name), note]));
    });
  }

  async unreserve(name: string, by: string): Promise<boolean> {
    return this.transaction(async (client) => {
      const sql = "DELETE FROM atoll_reserved_name WHERE name = $1 RETURNING ''::bytea AS address";
      return this.logged(client, 'unreserve', name, by, await client.query(sql, [name]));
    });
  }

  async reserved(): Promise<ReservedName[]> {
    return (await this.pool.query<ReservedName>('SELECT name, note FROM atoll_reserved_name ORDER BY name')).rows;
  }

  async changes(limit: number): Promise<Change[]> {
    const sql = 'SELECT number, ms, kind, name, address, by FROM atoll_name_change ORDER BY number DESC LIMIT $1';
    const { rows } = await this.pool.query<Change & { number: string; ms: string }>(sql, [limit]);
    return rows.map(({ number, ms, kind, name, address, by }) => ({
      number: Number(number),
      unixMs: Number(ms),
      kind,
      name,
      address,
      by,
    }));
  }

  async keepAnswer(question: string, body: string, unixMs: number): Promise<void> {
    const sql = `INSERT INTO atoll_name_answer VALUES ($1, $2, $3)
                 ON CONFLICT (question) DO UPDATE SET body = excluded.body, ms = excluded.ms`;
    await this.pool.query(sql, [question, body, unixMs]);
    if (++this.answersSincePrune < PRUNE_EVERY) return;
    this.answersSincePrune = 0;
    await this.pool.query(
      `DELETE FROM atoll_name_answer WHERE question IN
       (SELECT question FROM atoll_name_answer ORDER BY ms DESC OFFSET $1)`,
      [MAX_KEPT_ANSWERS],
    );
  }

  async keptAnswer(question: string): Promise<{ body: string; unixMs: number } | undefined> {
    const sql = 'SELECT body, ms FROM atoll_name_answer WHERE question = $1';
    const [row] = (await this.pool.query<{ body: string; ms: string }>(sql, [question])).rows;
    return row === undefined ? undefined : { body: row.body, unixMs: Number(row.ms) };
  }

  async probe(): Promise<void> {
    await this.pool.query('SELECT 1 FROM atoll_name LIMIT 1');
  }

  async close(): Promise<void> {
    await this.pool.end();
  }

  private async one(query: pg.QueryConfig): Promise<StoredName | undefined> {
    const [row] = (await this.pool.query<Row>(query)).rows;
    return row === undefined ? undefined : stored(row);
  }

  private async transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    let broken: Error | undefined;
    try {
      await client.query('BEGIN');
      const result = await work(client);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      // After an error nobody knows what the connection still has to say: it is not used again.
      broken = error instanceof Error ? error : new Error(String(error));
      throw error;
    } finally {
      client.release(broken);
    }
  }

  private async clashOf(client: pg.PoolClient, record: NameRecord): Promise<Registered | undefined> {
    const address = Buffer.from(record.address, 'hex');
    const sql = 'SELECT name, address, is_waiting FROM atoll_name WHERE name = $1 OR address = $2';
    const { rows } = await client.query<Pick<Row, 'name' | 'address' | 'is_waiting'>>(sql, [record.name, address]);
    const ofName = rows.find(({ name }) => name === record.name);
    if (ofName === undefined) return rows.length > 0 ? 'address-taken' : undefined;
    if (!ofName.address.equals(address)) return 'name-taken';
    return ofName.is_waiting ? 'waiting' : 'known';
  }

  /** False when the name or the address is there already: the database's unique keys say so. */
  private async insert(
    client: pg.PoolClient,
    record: NameRecord,
    skeleton: string,
    isWaiting: boolean,
    registeredMs: number,
  ): Promise<boolean> {
    const { name, address, owner, publicKey, signature } = record;
    const { rowCount } = await client.query(
      'INSERT INTO atoll_name VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING',
      [name, Buffer.from(address, 'hex'), owner, publicKey, signature, skeleton, isWaiting, registeredMs],
    );
    return rowCount === 1;
  }

  private async logged(
    client: pg.PoolClient,
    kind: ChangeKind,
    name: string,
    by: string,
    { rows }: pg.QueryResult<Pick<Row, 'address'>>,
  ): Promise<boolean> {
    const [row] = rows;
    if (row === undefined) return false;
    await this.log(client, kind, name, row.address.toString('hex'), by);
    return true;
  }

  private async log(client: pg.PoolClient, kind: ChangeKind, name: string, address: string, by: string): Promise<void> {
    await client.query('INSERT INTO atoll_name_change (ms, kind, name, address, by) VALUES ($1, $2, $3, $4, $5)', [
      this.unixMs(),
      kind,
      name,
      address,
      by,
    ]);
    if (++this.changesSincePrune < PRUNE_EVERY) return;
    this.changesSincePrune = 0;
    const sql =
      'DELETE FROM atoll_name_change WHERE number <= (SELECT max(number) FROM atoll_name_change) - $1::bigint';
    await client.query(sql, [MAX_CHANGES]);
  }

  private async migrate(): Promise<void> {
    await this.transaction(async (client) => {
      await client.query('SELECT pg_advisory_xact_lock($1, 0)', [MIGRATION_LOCK]);
      await client.query('CREATE TABLE IF NOT EXISTS atoll_names_version (steps integer NOT NULL)');
      const [row] = (await client.query<{ steps: number }>('SELECT steps FROM atoll_names_version')).rows;
      const done = row?.steps ?? 0;
      if (done > MIGRATIONS.length) {
        throw new AtollError(
          'DATABASE_NEWER',
          'The tables of names were made by a newer version of Atoll; start that version, or use another database.',
        );
      }
      for (const step of MIGRATIONS.slice(done)) await client.query(step);
      if (row === undefined) await client.query('INSERT INTO atoll_names_version VALUES ($1)', [MIGRATIONS.length]);
      else await client.query('UPDATE atoll_names_version SET steps = $1', [MIGRATIONS.length]);
    });
  }
}

function stored(row: Row): StoredName {
  return {
    name: row.name,
    address: row.address.toString('hex'),
    owner: row.owner,
    publicKey: row.public_key,
    signature: row.signature,
    isWaiting: row.is_waiting,
    registeredUnixMs: Number(row.registered_ms),
  };
}

/** The address of a database as it may be shown. */
function withoutPassword(url: string): string {
  return url.replace(/^([a-z]+:\/\/[^:@/]*):[^@]*@/i, '$1@').replace(/([?&]password=)[^&]*/gi, '$1…');
}
