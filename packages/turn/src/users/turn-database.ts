import { type Database, openDatabase, type Statement } from '@atoll/database';
import { type AddressRange, formatAddressRange, parseAddressRange } from '../core/peer-rules.js';
import type { RealmOptions } from '../core/realms.js';

/** The tables of coturn 4.6 (its schema.sql), made where they are missing, so that either program opens the other's file. */
const SCHEMA = [
  "turnusers_lt (realm varchar(127) default '', name varchar(512), hmackey char(128), PRIMARY KEY (realm,name))",
  "turn_secret (realm varchar(127) default '', value varchar(256), primary key (realm,value))",
  "allowed_peer_ip (realm varchar(127) default '', ip_range varchar(256), primary key (realm,ip_range))",
  "denied_peer_ip (realm varchar(127) default '', ip_range varchar(256), primary key (realm,ip_range))",
  'turn_origin_to_realm (origin varchar(127), realm varchar(127), primary key (origin))',
  "turn_realm_option (realm varchar(127) default '', opt varchar(32), value varchar(128), primary key (realm,opt))",
  "oauth_key (kid varchar(128), ikm_key varchar(256), timestamp bigint default 0, lifetime integer default 0, as_rs_alg varchar(64) default '', realm varchar(127), primary key (kid))",
  'admin_user (name varchar(32), realm varchar(127), password varchar(127), primary key (name))',
];

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

/** A user store of coturn in SQLite (a `turndb`). */
export class TurnDatabase {
  private readonly database: Database;
  private readonly userKey: Statement<{ hmackey: string }>;
  private readonly secretRows: Statement<{ value: string }>;
  private readonly oauthRow: Statement<OauthKeyRow>;

  /** Opens or makes the file. Fails with `DATABASE_UNUSABLE`, naming file, user and mode. */
  constructor(path: string) {
    this.database = openDatabase({ path });
    try {
      for (const table of SCHEMA) this.database.exec(`CREATE TABLE IF NOT EXISTS ${table}`);
      this.userKey = this.database.prepare('SELECT hmackey FROM turnusers_lt WHERE name = ? AND realm = ?');
      this.secretRows = this.database.prepare('SELECT value FROM turn_secret WHERE realm = ?');
      this.oauthRow = this.database.prepare('SELECT * FROM oauth_key WHERE kid = ?');
    } catch (error) {
      this.database.close();
      throw error;
    }
  }

  /** MD5 of `user:realm:password`; undefined for an unknown user. */
  key(user: string, realm: string): Buffer | undefined {
    const hex = this.userKey.get(user, realm)?.hmackey;
    const key = hex === undefined ? undefined : Buffer.from(hex.replace(/^0x/, ''), 'hex');
    return key?.length === 16 ? key : undefined;
  }

  setKey(user: string, realm: string, key: Uint8Array): void {
    this.database
      .prepare('INSERT OR REPLACE INTO turnusers_lt (realm, name, hmackey) VALUES (?, ?, ?)')
      .run(realm, user, Buffer.from(key).toString('hex'));
  }

  /** Whether there was such a user. */
  deleteUser(user: string, realm: string): boolean {
    return this.database.prepare('DELETE FROM turnusers_lt WHERE name = ? AND realm = ?').run(user, realm) > 0;
  }

  /** Users of a realm, or of all. */
  users(realm = ''): { name: string; realm: string }[] {
    return this.database
      .prepare<{ name: string; realm: string }>(
        "SELECT name, realm FROM turnusers_lt WHERE ? = '' OR realm = ? ORDER BY realm, name",
      )
      .all(realm, realm);
  }

  /** Secrets of time-limited credentials. */
  secrets(realm: string): string[] {
    return this.secretRows.all(realm).map(({ value }) => value);
  }

  allSecrets(): { realm: string; value: string }[] {
    return this.database.prepare<{ realm: string; value: string }>('SELECT realm, value FROM turn_secret').all();
  }

  addSecret(realm: string, value: string): void {
    this.database.prepare('INSERT OR REPLACE INTO turn_secret (realm, value) VALUES (?, ?)').run(realm, value);
  }

  /** Deletes one secret, or all of the realm. */
  deleteSecret(realm: string, value: string | undefined): number {
    return value === undefined
      ? this.database.prepare('DELETE FROM turn_secret WHERE realm = ?').run(realm)
      : this.database.prepare('DELETE FROM turn_secret WHERE realm = ? AND value = ?').run(realm, value);
  }

  oauthKey(kid: string): OauthKeyRow | undefined {
    return this.oauthRow.get(kid);
  }

  setOauthKey({ kid, ikm_key, timestamp, lifetime, as_rs_alg, realm }: OauthKeyRow): void {
    this.database
      .prepare(
        'INSERT OR REPLACE INTO oauth_key (kid, ikm_key, timestamp, lifetime, as_rs_alg, realm) VALUES (?, ?, ?, ?, ?, ?)',
      )
      .run(kid, ikm_key, timestamp, lifetime, as_rs_alg, realm);
  }

  admins(): { name: string; realm: string | null }[] {
    return this.database
      .prepare<{ name: string; realm: string | null }>('SELECT name, realm FROM admin_user ORDER BY realm, name')
      .all();
  }

  setAdmin(name: string, realm: string, password: string): void {
    this.database
      .prepare('INSERT OR REPLACE INTO admin_user (name, realm, password) VALUES (?, ?, ?)')
      .run(name, realm, password);
  }

  deleteAdmin(name: string): boolean {
    return this.database.prepare('DELETE FROM admin_user WHERE name = ?').run(name) > 0;
  }

  /** Realms by origin. */
  origins(): Map<string, string> {
    const rows = this.database
      .prepare<{ origin: string; realm: string }>('SELECT origin, realm FROM turn_origin_to_realm ORDER BY origin')
      .all();
    return new Map(rows.map(({ origin, realm }) => [origin, realm]));
  }

  addOrigin(origin: string, realm: string): void {
    this.database
      .prepare('INSERT OR REPLACE INTO turn_origin_to_realm (origin, realm) VALUES (?, ?)')
      .run(origin, realm);
  }

  deleteOrigin(origin: string): boolean {
    return this.database.prepare('DELETE FROM turn_origin_to_realm WHERE origin = ?').run(origin) > 0;
  }

  /** Sets an option of a realm; 0 takes it away. */
  setRealmOption(realm: string, option: RealmOptionName, value: number): void {
    if (value > 0) {
      this.database
        .prepare('INSERT OR REPLACE INTO turn_realm_option (realm, opt, value) VALUES (?, ?, ?)')
        .run(realm, option, String(value));
    } else this.database.prepare('DELETE FROM turn_realm_option WHERE realm = ? AND opt = ?').run(realm, option);
  }

  realmOptionRows(): { realm: string; opt: string; value: string }[] {
    return this.database
      .prepare<{ realm: string; opt: string; value: string }>(
        'SELECT realm, opt, value FROM turn_realm_option ORDER BY realm, opt',
      )
      .all();
  }

  realmOptions(): Map<string, Partial<RealmOptions>> {
    const options = new Map<string, Partial<RealmOptions>>();
    for (const { realm, opt, value } of this.realmOptionRows()) {
      const name = OPTION_NAMES[opt as RealmOptionName];
      if (name === undefined || !/^\d+$/.test(value)) continue;
      options.set(realm, { ...options.get(realm), [name]: Number(value) });
    }
    return options;
  }

  /** Ranges of peers, of whatever realm: a peer that one realm denies is denied to all. */
  peerRanges(which: 'allowed' | 'denied'): AddressRange[] {
    const rows = this.database.prepare<{ ip_range: string }>(`SELECT ip_range FROM ${which}_peer_ip`).all();
    return rows.map(({ ip_range }) => parseAddressRange(ip_range)).filter((range) => range !== undefined);
  }

  addPeerRange(which: 'allowed' | 'denied', realm: string, range: AddressRange): void {
    this.database
      .prepare(`INSERT OR REPLACE INTO ${which}_peer_ip (realm, ip_range) VALUES (?, ?)`)
      .run(realm, formatAddressRange(range));
  }

  close(): void {
    this.database.close();
  }
}
