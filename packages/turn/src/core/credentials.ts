/** A value now, or later. */
export type MaybePromise<T> = T | Promise<T>;

/** Goes on with a value: at once when it is there, which saves a turn of the event loop. */
export function andThen<T, R>(value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** What a user proves to know. */
export interface UserKey {
  /** Name that quotas count by: of time-limited credentials the part without the time. */
  readonly account: string;
  /** MD5 of `user:realm:password`. */
  readonly md5: Uint8Array;
  /** SHA-256 of the same; undefined when only the MD5 was stored. */
  readonly sha256?: Uint8Array | undefined;
  /** When the credential ends, UNIX ms; undefined for never. */
  readonly validUntilMs?: number | undefined;
}

/** Key shared with an authorization server (RFC 7635). */
export interface OauthKey {
  readonly key: Uint8Array;
  /** Undefined for every realm. */
  readonly realm: string | undefined;
  /** When the key ends, UNIX ms. */
  readonly validUntilMs: number | undefined;
}

/** Where long-term credentials come from. */
export interface CredentialStore {
  /** Keys that a user name may be proved with: several where several secrets are in use; none when unknown. */
  find(user: string, realm: string): MaybePromise<readonly UserKey[]>;
  /** The user name behind a USERHASH; undefined where the store cannot tell. */
  userOf?(userhash: Uint8Array, realm: string): MaybePromise<string | undefined>;
  /** Whether the SHA-256 key of every user is known, so that clients may be offered it. */
  readonly knowsSha256: boolean;
  /** The OAuth key of a key id. */
  oauthKey?(keyId: string): MaybePromise<OauthKey | undefined>;
}
