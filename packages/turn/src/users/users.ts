import { createHmac } from 'node:crypto';
import type { Clock } from '@atoll/base';
import { longTermKey, userhash } from '@atoll/stun';
import { andThen, type CredentialStore, type MaybePromise, type OauthKey, type UserKey } from '../core/credentials.js';
import type { OauthKeyRow, TurnDatabase } from './turn-database.js';
import { UserhashIndex } from './userhash-index.js';

/** A user from the configuration. */
export interface StaticUser {
  readonly name: string;
  /** The password, or `0x` and the MD5 of `user:realm:password` in hexadecimal. */
  readonly password: string;
}

export interface UsersOptions {
  readonly realm: string;
  readonly users: readonly StaticUser[];
  /** Time-limited credentials (`use-auth-secret`): then users with passwords are not looked at, as with coturn. */
  readonly usesSecrets: boolean;
  readonly secrets: readonly string[];
  /** Between time and name. */
  readonly separator: string;
}

export interface UsersComponents {
  readonly clock: Clock;
  readonly database: TurnDatabase | undefined;
}

/** Users from the configuration, from a database, and those whose credentials a shared secret makes. */
export class Users implements CredentialStore {
  readonly knowsSha256: boolean;
  readonly userOf?: CredentialStore['userOf'];
  private readonly components: UsersComponents;
  private readonly options: UsersOptions;
  private readonly own = new Map<string, UserKey>();
  private readonly hashes = new Map<string, string>();

  constructor(components: UsersComponents, options: UsersOptions) {
    this.components = components;
    this.options = options;
    for (const user of options.users) this.add(user);
    // A database of coturn has only MD5.
    this.knowsSha256 =
      components.database === undefined && [...this.own.values()].every(({ sha256 }) => sha256 !== undefined);
    if (options.usesSecrets) return;
    const { clock, database } = components;
    const stored = database === undefined ? undefined : new UserhashIndex({ clock, database });
    this.userOf = (hash, realm) => {
      const own = realm === options.realm ? this.hashes.get(Buffer.from(hash).toString('hex')) : undefined;
      return own ?? stored?.find(hash, realm);
    };
  }

  /** Adds a user with a password, or changes the password; those with an allocation keep it until it ends. */
  add({ name, password }: StaticUser): void {
    const { realm } = this.options;
    this.own.set(name, keyOf(name, realm, password));
    this.hashes.set(userhash(name, realm).toString('hex'), name);
  }

  /** Takes a user of the configuration out; false when there is none. */
  remove(name: string): boolean {
    this.hashes.delete(userhash(name, this.options.realm).toString('hex'));
    return this.own.delete(name);
  }

  find(user: string, realm: string): MaybePromise<readonly UserKey[]> {
    if (this.options.usesSecrets) return this.timeLimited(user, realm);
    const own = realm === this.options.realm ? this.own.get(user) : undefined;
    if (own !== undefined) return [own];
    const { database } = this.components;
    if (database === undefined) return [];
    return andThen(database.key(user, realm), (md5) => (md5 === undefined ? [] : [{ account: user, md5 }]));
  }

  oauthKey(keyId: string): MaybePromise<OauthKey | undefined> {
    const { database } = this.components;
    return database === undefined ? undefined : andThen(database.oauthKey(keyId), oauthKeyOf);
  }

  /** Credentials of the TURN REST API: `time:name`, the password being an HMAC of it. */
  private timeLimited(user: string, realm: string): MaybePromise<UserKey[]> {
    const { separator, secrets } = this.options;
    const at = user.indexOf(separator);
    const [left, right] = at < 0 ? [user, ''] : [user.slice(0, at), user.slice(at + separator.length)];
    const isFirst = /^\d+$/.test(left);
    const time = isFirst ? left : right;
    if (!/^\d{1,12}$/.test(time) || (at < 0 && !isFirst)) return [];
    const validUntilMs = 1000 * Number(time);
    if (validUntilMs <= this.components.clock.unixMs()) return [];
    const account = isFirst ? right : left;
    return andThen(this.components.database?.secrets(realm) ?? [], (stored) =>
      [...secrets, ...stored].map((secret) => ({
        ...keyOf(user, realm, timeLimitedPassword(user, secret)),
        account,
        validUntilMs,
      })),
    );
  }
}

/** The password of a time-limited user name. */
export function timeLimitedPassword(user: string, secret: string): string {
  return createHmac('sha1', secret).update(user).digest('base64');
}

function keyOf(name: string, realm: string, password: string): UserKey {
  if (/^0x[0-9a-f]{32}$/i.test(password)) return { account: name, md5: Buffer.from(password.slice(2), 'hex') };
  return {
    account: name,
    md5: longTermKey(name, realm, password),
    sha256: longTermKey(name, realm, password, 'sha256'),
  };
}

/** The key of a row; undefined when it is too short for its algorithm. */
function oauthKeyOf(row: OauthKeyRow | undefined): OauthKey | undefined {
  if (row === undefined) return undefined;
  const length = row.as_rs_alg.toUpperCase() === 'A128GCM' ? 16 : 32;
  const decoded = Buffer.from(row.ikm_key, 'base64');
  if (decoded.length < length) return undefined;
  const { timestamp, lifetime, realm } = row;
  return {
    key: decoded.subarray(0, length),
    realm: realm === null || realm === '' ? undefined : realm,
    validUntilMs: timestamp > 0 && lifetime > 0 ? 1000 * (timestamp + lifetime) : undefined,
  };
}
