import type { Clock } from '@atoll/base';
import { userhash } from '@atoll/stun';
import { andThen, type MaybePromise } from '../core/credentials.js';
import type { TurnDatabase } from './turn-database.js';

/** Names of one realm, and realms, that can be found by their hash. */
const MAX_NAMES = 100_000;
const MAX_REALMS = 64;
/** For a hash that is not known the names are read anew, at most so often, ms. */
const READ_AGE_MS = 5000;

interface RealmNames {
  readonly readMs: number;
  /** Hashes in base64, by name and the other way: only new names are hashed when they are read anew. */
  readonly byName: ReadonlyMap<string, string>;
  readonly byHash: ReadonlyMap<string, string>;
}

/** Finds users of a database by USERHASH (RFC 8489 section 14.4): coturn's tables hold names alone. */
export class UserhashIndex {
  private readonly clock: Clock;
  private readonly database: TurnDatabase;
  private readonly realms = new Map<string, MaybePromise<RealmNames>>();

  constructor({ clock, database }: { readonly clock: Clock; readonly database: TurnDatabase }) {
    this.clock = clock;
    this.database = database;
  }

  /** The name behind a hash; one of a user that was deleted may be given, and has no key then. */
  find(hash: Uint8Array, realm: string): MaybePromise<string | undefined> {
    const wanted = Buffer.from(hash).toString('base64');
    return andThen(this.realms.get(realm), (known) => {
      const name = known?.byHash.get(wanted);
      if (name !== undefined) return name;
      if (known !== undefined && this.clock.nowMs() - known.readMs < READ_AGE_MS) return undefined;
      return andThen(this.read(realm, known), ({ byHash }) => byHash.get(wanted));
    });
  }

  private read(realm: string, known: RealmNames | undefined): MaybePromise<RealmNames> {
    const reading = this.realms.get(realm);
    if (reading instanceof Promise) return reading;
    if (known === undefined && this.realms.size >= MAX_REALMS) this.realms.clear();
    const read = andThen(this.database.users(realm, MAX_NAMES), (users) => {
      const byName = new Map(
        users.map(({ name }) => [name, known?.byName.get(name) ?? userhash(name, realm).toString('base64')]),
      );
      const byHash = new Map([...byName].map(([name, hash]) => [hash, name]));
      const names: RealmNames = { readMs: this.clock.nowMs(), byName, byHash };
      this.realms.set(realm, names);
      return names;
    });
    if (read instanceof Promise) {
      this.realms.set(realm, read);
      read.catch(() => this.realms.delete(realm));
    }
    return read;
  }
}
