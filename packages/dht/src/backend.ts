import type { InfoHash, PublicKey } from '@atoll/identity';
import type { Health } from './core/health.js';
import type { FieldValues, Query } from './wire/query.js';
import type { Value } from './wire/value.js';

/** Narrows what is looked for and lets the caller stop. */
export interface LookupOptions {
  /** Conditions, evaluated by the nodes that are asked and here again. They see encrypted values from outside. */
  readonly query?: Query | undefined;
  /** A predicate evaluated here only, on decrypted and verified values. */
  readonly filter?: ((value: Value) => boolean) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PutOptions {
  /** Kept alive until cancelled: announced again before it expires, also to nodes that join. */
  readonly isPermanent?: boolean | undefined;
  /** When the value was made, UNIX ms; now when left out. */
  readonly createdUnixMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a listen brings: values that are there, or values that are gone. */
export interface ListenEvent {
  readonly values: readonly Value[];
  readonly isExpired: boolean;
}

/**
 * A way to the DHT: a node on UDP, or a proxy that stands in for one. Everything above is written against this, and may
 * change from one to the other while running.
 */
export interface DhtBackend {
  /** All values under a key, encrypted ones opened, signed ones verified, others left out. Fails with `DHT_UNREACHABLE`. */
  get(key: InfoHash, options?: LookupOptions): Promise<Value[]>;
  /** As {@link get}, each value as soon as it comes. */
  values(key: InfoHash, options?: LookupOptions): AsyncIterable<Value>;
  /** Selected fields of the values under a key. */
  query(key: InfoHash, query: Query, options?: Pick<LookupOptions, 'signal'>): Promise<FieldValues[]>;
  /** Stores a value; resolves to its id once the nearest nodes have it. Fails with `DHT_PUT_FAILED`. */
  put(key: InfoHash, value: Value, options?: PutOptions): Promise<bigint>;
  /** Signs with the node's identity, under a version above any of ours that is there already. */
  putSigned(key: InfoHash, value: Value, options?: PutOptions): Promise<Value>;
  /** Seals for one recipient: a key, or the id to find the certificate of. */
  putEncrypted(key: InfoHash, value: Value, to: PublicKey | InfoHash, options?: PutOptions): Promise<bigint>;
  /** Stops a permanent put and forgets the value here; copies elsewhere expire. */
  cancelPut(key: InfoHash, id: bigint): boolean;
  /** Values under a key, those there now and those to come, until the signal or the loop ends it. */
  listen(key: InfoHash, options?: LookupOptions): AsyncIterable<ListenEvent>;
  /** Whether it is of use now, and why. */
  readonly health: Health;
}
