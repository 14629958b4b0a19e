import type { FoundName, NameRecord } from '../core/registration.js';

/** Given at once by a store in this process, later by one behind a network. */
export type MaybePromise<T> = T | Promise<T>;

/** A record as it is kept. */
export interface StoredName extends NameRecord {
  /** Waiting names are held for their owner, but nobody finds them until they are approved. */
  readonly isWaiting: boolean;
  /** When it was registered, ms since the UNIX epoch. */
  readonly registeredUnixMs: number;
}

/** What became of a registration. */
export type Registered =
  /** It is there now. */
  | 'registered'
  /** It was there already, of the same owner. */
  | 'known'
  /** It waits for approval, since now or before. */
  | 'waiting'
  | 'name-taken'
  /** The address has another name. */
  | 'address-taken'
  /** It looks like a name that is there. */
  | 'look-alike'
  | 'reserved'
  /** As many names, or waiting names, as the store takes. */
  | 'full';

export interface RegisterRules {
  readonly needsApproval: boolean;
  readonly refusesLookAlikes: boolean;
  readonly maxNames: number;
  readonly maxWaiting: number;
  /** Who asked for it, in the log of changes. */
  readonly by: string;
}

/** Kinds of changes, as the log has them. */
export type ChangeKind = 'register' | 'approve' | 'reject' | 'delete' | 'import' | 'reserve' | 'unreserve';

export interface Change {
  readonly number: number;
  readonly unixMs: number;
  readonly kind: ChangeKind;
  readonly name: string;
  readonly address: string;
  /** `client 10.0.0.1`, `operator anna`. */
  readonly by: string;
}

export interface ReservedName {
  readonly name: string;
  readonly note: string;
}

/** Entries of the log of changes that are kept. */
export const MAX_CHANGES = 1_000_000;
/** Answers of an upstream server that are kept. */
export const MAX_KEPT_ANSWERS = 100_000;

/**
 * Where names are kept. Every change is one transaction together with its entry in the log, and acknowledged only when
 * it would survive a power loss. A name and an address stand in at most one record, by unique keys of the database.
 */
export interface NameStore {
  /** What is found under a name: no waiting ones. The way of look-ups, as short as can be. */
  find(name: string): MaybePromise<FoundName | undefined>;
  /** The name under which an address is found. */
  nameOf(address: string): MaybePromise<string | undefined>;
  /** The record of a name, waiting ones too. */
  byName(name: string): MaybePromise<StoredName | undefined>;
  byAddress(address: string): MaybePromise<StoredName | undefined>;
  register(record: NameRecord, rules: RegisterRules): Promise<Registered>;
  /** Puts records in as they are, also look-alikes and reserved names; those that clash with others are left out. */
  import(records: readonly StoredName[], by: string): Promise<Registered[]>;
  /** Makes a waiting name findable; false when there is none. */
  approve(name: string, by: string): Promise<boolean>;
  /** Takes a name out; false when it is not there (`reject`: not waiting). */
  remove(name: string, kind: 'delete' | 'reject', by: string): Promise<boolean>;
  /** Records by name, from after a name on. */
  list(options: {
    readonly after?: string;
    readonly limit: number;
    readonly onlyWaiting?: boolean;
  }): Promise<StoredName[]>;
  counts(): MaybePromise<{ readonly names: number; readonly waiting: number }>;
  reserve(name: string, note: string, by: string): Promise<boolean>;
  unreserve(name: string, by: string): Promise<boolean>;
  reserved(): Promise<ReservedName[]>;
  /** The newest changes, newest first. */
  changes(limit: number): Promise<Change[]>;
  /** An answer of an upstream server, for when it cannot be asked. */
  keepAnswer(question: string, body: string, unixMs: number): MaybePromise<void>;
  keptAnswer(question: string): MaybePromise<{ readonly body: string; readonly unixMs: number } | undefined>;
  /** Resolves when a read goes through. */
  probe(): Promise<void>;
  close(): Promise<void>;
}
