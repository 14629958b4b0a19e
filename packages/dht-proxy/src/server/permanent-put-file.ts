import { type Database, openDatabase } from '@atoll/database';
import { Value } from '@atoll/dht';
import { InfoHash } from '@atoll/identity';
import type { PermanentPut, PermanentPutStore } from '../core/permanent-puts.js';
import type { PushPlatform } from '../push/push-sender.js';

const MIGRATIONS = [
  `CREATE TABLE permanent_put (
    key BLOB NOT NULL,
    id TEXT NOT NULL,
    value BLOB NOT NULL,
    token TEXT NOT NULL,
    client_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    platform TEXT NOT NULL,
    topic TEXT NOT NULL,
    address TEXT NOT NULL,
    expires_unix_ms INTEGER NOT NULL,
    PRIMARY KEY (key, id)
  ) STRICT, WITHOUT ROWID`,
] as const;

interface Row {
  readonly key: Uint8Array;
  readonly id: string;
  readonly value: Uint8Array;
  readonly token: string;
  readonly client_id: string;
  readonly session_id: string;
  readonly platform: string;
  readonly topic: string;
  readonly address: string;
  readonly expires_unix_ms: number | bigint;
}

/** Permanent puts in a database: a client renews only after 22 hours, so a restart must not forget them. */
export class PermanentPutFile implements PermanentPutStore {
  private readonly database: Database;
  private readonly insert;
  private readonly delete;

  /** `path`: a file, or `:memory:`. */
  constructor(path: string) {
    this.database = openDatabase({ path, migrations: MIGRATIONS });
    this.insert = this.database.prepare('INSERT OR REPLACE INTO permanent_put VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
    this.delete = this.database.prepare('DELETE FROM permanent_put WHERE key = ? AND id = ?');
  }

  *all(): IterableIterator<PermanentPut> {
    for (const row of this.database.prepare<Row>('SELECT * FROM permanent_put').iterate()) {
      const key = InfoHash.fromBytes(row.key);
      const value = Value.decode(Buffer.from(row.value));
      if (key === undefined || value === undefined) continue;
      const owner = {
        token: row.token,
        clientId: row.client_id,
        sessionId: row.session_id,
        platform: platformOf(row.platform),
        topic: row.topic,
      };
      yield { key, value, owner, address: row.address, expiresUnixMs: Number(row.expires_unix_ms) };
    }
  }

  save({ key, value, owner, address, expiresUnixMs }: PermanentPut): void {
    this.insert.run(
      key.toBytes(),
      String(value.id),
      value.packed,
      owner.token,
      owner.clientId,
      owner.sessionId,
      owner.platform,
      owner.topic,
      address,
      Math.floor(expiresUnixMs),
    );
  }

  remove(key: InfoHash, id: bigint): void {
    this.delete.run(key.toBytes(), String(id));
  }

  close(): void {
    this.database.close();
  }
}

function platformOf(text: string): PushPlatform {
  return text === 'android' || text === 'ios' || text === 'unifiedpush' ? text : 'none';
}
