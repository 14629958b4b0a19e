import { type Database, openDatabase } from '@atoll/database';
import { InfoHash } from '@atoll/identity';
import type { PushPlatform, PushSubscription, SubscribeRequest, SubscriptionName } from './push-sender.js';

const MIGRATIONS = [
  `CREATE TABLE subscription (
    token TEXT NOT NULL,
    dht_key BLOB NOT NULL,
    client_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    platform TEXT NOT NULL,
    topic TEXT NOT NULL,
    -- Whom it counts for: what the server counts limits by, in hex.
    address TEXT NOT NULL,
    expires_unix_ms INTEGER NOT NULL,
    is_warned INTEGER NOT NULL,
    PRIMARY KEY (token, dht_key, client_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX subscription_expires ON subscription (expires_unix_ms);
  CREATE INDEX subscription_warning ON subscription (expires_unix_ms) WHERE is_warned = 0;`,
];

/** How many subscriptions are kept; see docs/limits.md. */
export interface SubscriptionLimits {
  readonly inAll: number;
  /** Of one client address (IPv6: of its /64). Many phones can share one. */
  readonly perAddress: number;
  /** Of one token: all accounts of a device with all their contacts. */
  readonly perToken: number;
}

export const SUBSCRIPTION_LIMITS: SubscriptionLimits = { inAll: 200_000, perAddress: 10_000, perToken: 2000 };

interface Row {
  token: string;
  dht_key: Uint8Array;
  client_id: string;
  session_id: string;
  platform: string;
  topic: string;
  address: string;
  expires_unix_ms: number;
}

/** The subscriptions of all phones, in a database of their own: what was answered with 200 survives a power loss. */
export class SubscriptionStore {
  private readonly database: Database;
  private readonly limits: SubscriptionLimits;
  private readonly statements: ReturnType<typeof prepare>;
  private readonly perToken = new Map<string, number>();
  private readonly perAddress = new Map<string, number>();
  private count = 0;

  constructor(path: string, limits: SubscriptionLimits) {
    this.database = openDatabase({ path, migrations: MIGRATIONS });
    this.limits = limits;
    this.statements = prepare(this.database);
    for (const row of this.statements.all.iterate()) this.tally(row, 1);
  }

  /** Number of subscriptions. */
  get size(): number {
    return this.count;
  }

  /** Number of distinct tokens. */
  get tokens(): number {
    return this.perToken.size;
  }

  all(): PushSubscription[] {
    return this.statements.all.all().map(subscriptionOf);
  }

  has(token: string): boolean {
    return this.perToken.has(token);
  }

  /** Stores or renews one; or the reason why there is no room for it. */
  put(
    request: SubscribeRequest,
    address: string,
    expiresUnixMs: number,
  ): 'new' | 'renewed' | { readonly full: string } {
    const { token, key, clientId, sessionId, platform, topic } = request;
    const known = this.statements.find.get(token, key.toBytes(), clientId);
    if (known === undefined) {
      if (this.count >= this.limits.inAll) return { full: 'the proxy has as many push subscriptions as it can hold' };
      if ((this.perAddress.get(address) ?? 0) >= this.limits.perAddress) {
        return { full: 'this address has as many push subscriptions as one may have' };
      }
      if ((this.perToken.get(token) ?? 0) >= this.limits.perToken) {
        return { full: 'this push token has as many subscriptions as one may have' };
      }
    }
    this.statements.put.run(token, key.toBytes(), clientId, sessionId, platform, topic, address, expiresUnixMs);
    if (known !== undefined) this.tally(known, -1);
    this.tally({ token, address }, 1);
    return known === undefined ? 'new' : 'renewed';
  }

  /** Takes one out; false when there was none. */
  remove(name: SubscriptionName): boolean {
    const known = this.statements.find.get(name.token, name.key.toBytes(), name.clientId);
    if (known === undefined) return false;
    this.statements.remove.run(name.token, name.key.toBytes(), name.clientId);
    this.tally(known, -1);
    return true;
  }

  /** Takes out all of a token and returns them. */
  removeToken(token: string): PushSubscription[] {
    const rows = this.statements.ofToken.all(token);
    if (rows.length > 0) this.statements.removeToken.run(token);
    for (const row of rows) this.tally(row, -1);
    return rows.map(subscriptionOf);
  }

  /** Takes out those that are over, at most so many at once, and returns them. */
  removeExpired(nowUnixMs: number, most: number): PushSubscription[] {
    return this.database.transaction(() => {
      const rows = this.statements.expired.all(nowUnixMs, most);
      for (const row of rows) {
        this.statements.remove.run(row.token, row.dht_key, row.client_id);
        this.tally(row, -1);
      }
      return rows.map(subscriptionOf);
    });
  }

  /** Those that end before a time and were not said to, at most so many at once; from now on they were. */
  markEnding(beforeUnixMs: number, most: number): PushSubscription[] {
    return this.database.transaction(() => {
      const rows = this.statements.ending.all(beforeUnixMs, most);
      for (const row of rows) this.statements.warn.run(row.token, row.dht_key, row.client_id);
      return rows.map(subscriptionOf);
    });
  }

  /** When the first one ends, and the first one that was not said to; Infinity for none. */
  next(): { readonly endUnixMs: number; readonly unsaidEndUnixMs: number } {
    const { end, unsaid } = this.statements.next.get() ?? { end: null, unsaid: null };
    return { endUnixMs: end ?? Number.POSITIVE_INFINITY, unsaidEndUnixMs: unsaid ?? Number.POSITIVE_INFINITY };
  }

  close(): void {
    this.database.close();
  }

  private tally({ token, address }: { readonly token: string; readonly address: string }, change: number): void {
    this.count += change;
    for (const [map, name] of [
      [this.perToken, token],
      [this.perAddress, address],
    ] as const) {
      const now = (map.get(name) ?? 0) + change;
      if (now > 0) map.set(name, now);
      else map.delete(name);
    }
  }
}

function prepare(database: Database) {
  const name = 'token = ? AND dht_key = ? AND client_id = ?';
  return {
    all: database.prepare<Row>('SELECT * FROM subscription ORDER BY token, dht_key, client_id'),
    find: database.prepare<Row>(`SELECT * FROM subscription WHERE ${name}`),
    ofToken: database.prepare<Row>('SELECT * FROM subscription WHERE token = ?'),
    put: database.prepare('INSERT OR REPLACE INTO subscription VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)'),
    remove: database.prepare(`DELETE FROM subscription WHERE ${name}`),
    removeToken: database.prepare('DELETE FROM subscription WHERE token = ?'),
    expired: database.prepare<Row>(
      'SELECT * FROM subscription WHERE expires_unix_ms <= ? ORDER BY expires_unix_ms LIMIT ?',
    ),
    ending: database.prepare<Row>(
      'SELECT * FROM subscription WHERE is_warned = 0 AND expires_unix_ms <= ? ORDER BY expires_unix_ms LIMIT ?',
    ),
    warn: database.prepare(`UPDATE subscription SET is_warned = 1 WHERE ${name}`),
    next: database.prepare<{ end: number | null; unsaid: number | null }>(
      `SELECT (SELECT min(expires_unix_ms) FROM subscription) AS end,
        (SELECT min(expires_unix_ms) FROM subscription WHERE is_warned = 0) AS unsaid`,
    ),
  };
}

function subscriptionOf(row: Row): PushSubscription {
  return {
    key: InfoHash.fromBytes(row.dht_key) ?? InfoHash.zero,
    token: row.token,
    clientId: row.client_id,
    sessionId: row.session_id,
    platform: row.platform as PushPlatform,
    topic: row.topic,
    expiresUnixMs: row.expires_unix_ms,
  };
}
