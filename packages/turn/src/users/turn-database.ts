import { andThen, type MaybePromise } from '../core/credentials.js';
import { type AddressRange, formatAddressRange, parseAddressRange } from '../core/peer-rules.js';
import type { RealmOptions } from '../core/realms.js';
import { openSqlite, type SqlConnection, type SqlParameter } from './sql-connection.js';

/** The tables of coturn 4.6 (its schema.sql), made where they are missing, so that either program opens the other's. */
const TABLES: ReadonlyMap<string, string> = new Map([
  ['turnusers_lt', "realm varchar(127) default '', name varchar(512), hmackey char(128), PRIMARY KEY (realm,name)"],
  ['turn_secret', "realm varchar(127) default '', value varchar(256), primary key (realm,value)"],
  ['allowed_peer_ip', "realm varchar(127) default '', ip_range varchar(256), primary key (realm,ip_range)"],
  ['denied_peer_ip', "realm varchar(127) default '', ip_range varchar(256), primary key (realm,ip_range)"],
  ['turn_origin_to_realm', 'origin varchar(127), realm varchar(127), primary key (origin)'],
  ['turn_realm_option', "realm varchar(127) default '', opt varchar(32), value varchar(128), primary key (realm,opt)"],
  [
    'oauth_key',
    "kid varchar(128), ikm_key varchar(256), timestamp bigint default 0, lifetime integer default 0, as_rs_alg varchar(64) default '', realm varchar(127), primary key (kid)",
  ],
  ['admin_user', 'name varchar(32), realm varchar(127), password varchar(127), primary key (name)'],
]);

/** Options of realms by the names they have in the table. */
const OPTION_NAMES = { 'max-bps': 'maxBps', 'total-quota': 'totalQuota', 'user-quota': 'userQuota' } as const;

export type RealmOptionName = keyof typeof OPTION_NAMES;

/** An OAuth key as the table holds it. */
export interface OauthKeyRow {
  readonly kid: string;
  /** Base64. */
  readonly ikm_key: string;
  /** When it was made and how long it is good for, seconds; 0 for always. */
  readonly timestamp: number;
  readonly lifetime: number;
  readonly as_rs_alg: string;
  readonly realm: string | null;
}

/** A user store of coturn: a SQLite file (a `turndb`), which answers at once, or a PostgreSQL database. */
export class TurnDatabase {
  private readonly connection: SqlConnection;

  private constructor(connection: SqlConnection) {
    this.connection = connection;
  }

  /** Opens or makes a SQLite file. Fails with `DATABASE_UNUSABLE`, naming file, user and mode. */
  static openFile(path: string): TurnDatabase {
    return new TurnDatabase(openSqlite(path, TABLES));
  }

  /**
   * Connects to a PostgreSQL database by a connection string of libpq or a URL. Fails with a usage error, or with
   * `TURN_STORE_UNREACHABLE` and a sentence without the password.
   */
  static async openPostgres(place: string): Promise<TurnDatabase> {
    // Few servers have a database of their own: the others need not load its client.
    const { openPostgres } = await import('./postgres-connection.js');
    return new TurnDatabase(await openPostgres(place, TABLES));
  }

  /** MD5 of `user:realm:password`; undefined for an unknown user. */
  key(user: string, realm: string): MaybePromise<Buffer | undefined> {
    const rows = this.connection.all<{ hmackey: string }>(
      'SELECT hmackey FROM turnusers_lt WHERE name = ? AND realm = ?',
      user,
      realm,
    );
    return andThen(rows, ([row]) => {
      // PostgreSQL fills a char(128) with spaces.
      const key = Buffer.from(row?.hmackey.trim().replace(/^0x/, '') ?? '', 'hex');
      return key.length === 16 ? key : undefined;
    });
  }

  setKey(user: string, realm: string, key: Uint8Array): MaybePromise<number> {
    return this.put('turnusers_lt', ['realm', 'name'], {
      realm,
      name: user,
      hmackey: Buffer.from(key).toString('hex'),
    });
  }

  /** Whether there was such a user. */
  deleteUser(user: string, realm: string): MaybePromise<boolean> {
    const sql = 'DELETE FROM turnusers_lt WHERE name = ? AND realm = ?';
    return andThen(this.connection.run(sql, user, realm), (count) => count > 0);
  }

  /** Users of a realm, or of all. */
  users(realm = '', most = Number.MAX_SAFE_INTEGER): MaybePromise<{ name: string; realm: string }[]> {
    const sql = "SELECT name, realm FROM turnusers_lt WHERE ? = '' OR realm = ? ORDER BY realm, name LIMIT ?";
    return this.connection.all(sql, realm, realm, most);
  }

  /** Secrets of time-limited credentials. */
  secrets(realm: string): MaybePromise<string[]> {
    const rows = this.connection.all<{ value: string }>('SELECT value FROM turn_secret WHERE realm = ?', realm);
    return andThen(rows, (all) => all.map(({ value }) => value));
  }

  allSecrets(): MaybePromise<{ realm: string; value: string }[]> {
    return this.connection.all('SELECT realm, value FROM turn_secret');
  }

  addSecret(realm: string, value: string): MaybePromise<number> {
    return this.put('turn_secret', ['realm', 'value'], { realm, value });
  }

  /** Deletes one secret, or all of the realm. */
  deleteSecret(realm: string, value: string | undefined): MaybePromise<number> {
    return value === undefined
      ? this.connection.run('DELETE FROM turn_secret WHERE realm = ?', realm)
      : this.connection.run('DELETE FROM turn_secret WHERE realm = ? AND value = ?', realm, value);
  }

  oauthKey(kid: string): MaybePromise<OauthKeyRow | undefined> {
    const rows = this.connection.all<OauthKeyRow>('SELECT * FROM oauth_key WHERE kid = ?', kid);
    // A bigint of PostgreSQL comes as text.
    return andThen(rows, ([row]) => (row === undefined ? undefined : { ...row, timestamp: Number(row.timestamp) }));
  }

  setOauthKey({ kid, ikm_key, timestamp, lifetime, as_rs_alg, realm }: OauthKeyRow): MaybePromise<number> {
    return this.put('oauth_key', ['kid'], { kid, ikm_key, timestamp, lifetime, as_rs_alg, realm });
  }

  admins(): MaybePromise<{ name: string; realm: string | null }[]> {
    return this.connection.all('SELECT name, realm FROM admin_user ORDER BY realm, name');
  }

  setAdmin(name: string, realm: string, password: string): MaybePromise<number> {
    return this.put('admin_user', ['name'], { name, realm, password });
  }

  deleteAdmin(name: string): MaybePromise<boolean> {
    return andThen(this.connection.run('DELETE FROM admin_user WHERE name = ?', name), (count) => count > 0);
  }

  /** Realms by origin. */
  origins(): MaybePromise<Map<string, string>> {
    const sql = 'SELECT origin, realm FROM turn_origin_to_realm ORDER BY origin';
    const rows = this.connection.all<{ origin: string; realm: string }>(sql);
    return andThen(rows, (all) => new Map(all.map(({ origin, realm }) => [origin, realm])));
  }

  addOrigin(origin: string, realm: string): MaybePromise<number> {
    return this.put('turn_origin_to_realm', ['origin'], { origin, realm });
  }

  deleteOrigin(origin: string): MaybePromise<number> {
    return this.connection.run('DELETE FROM turn_origin_to_realm WHERE origin = ?', origin);
  }

  /** Sets an option of a realm; 0 takes it away. */
  setRealmOption(realm: string, option: RealmOptionName, value: number): MaybePromise<number> {
    return value > 0
      ? this.put('turn_realm_option', ['realm', 'opt'], { realm, opt: option, value: String(value) })
      : this.connection.run('DELETE FROM turn_realm_option WHERE realm = ? AND opt = ?', realm, option);
  }

  realmOptionRows(): MaybePromise<{ realm: string; opt: string; value: string }[]> {
    return this.connection.all('SELECT realm, opt, value FROM turn_realm_option ORDER BY realm, opt');
  }

  realmOptions(): MaybePromise<Map<string, Partial<RealmOptions>>> {
    return andThen(this.realmOptionRows(), (rows) => {
      const options = new Map<string, Partial<RealmOptions>>();
      for (const { realm, opt, value } of rows) {
        const name = OPTION_NAMES[opt as RealmOptionName];
        if (name === undefined || !/^\d+$/.test(value)) continue;
        options.set(realm, { ...options.get(realm), [name]: Number(value) });
      }
      return options;
    });
  }

  /** Ranges of peers, of whatever realm: a peer that one realm denies is denied to all. */
  peerRanges(which: 'allowed' | 'denied'): MaybePromise<AddressRange[]> {
    const rows = this.connection.all<{ ip_range: string }>(`SELECT ip_range FROM ${which}_peer_ip`);
    return andThen(rows, (all) =>
      all.map(({ ip_range }) => parseAddressRange(ip_range)).filter((range) => range !== undefined),
    );
  }

  addPeerRange(which: 'allowed' | 'denied', realm: string, range: AddressRange): MaybePromise<number> {
    return this.put(`${which}_peer_ip`, ['realm', 'ip_range'], { realm, ip_range: formatAddressRange(range) });
  }

  close(): MaybePromise<void> {
    return this.connection.close();
  }

  /** Writes a row, in the place of one with the same key. */
  private put(
    table: string,
    key: readonly string[],
    row: Readonly<Record<string, SqlParameter>>,
  ): MaybePromise<number> {
    const names = Object.keys(row);
    const others = names.filter((name) => !key.includes(name)).map((name) => `${name} = excluded.${name}`);
    const then = others.length === 0 ? 'NOTHING' : `UPDATE SET ${others.join(', ')}`;
    const sql = `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`;
    return this.connection.run(`${sql} ON CONFLICT (${key.join(', ')}) DO ${then}`, ...Object.values(row));
  }
}
