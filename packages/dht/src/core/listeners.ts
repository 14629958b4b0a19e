import { InfoHash } from '@atoll/identity';
import type { Query } from '../wire/query.js';
import type { NodeRecord } from './node-record.js';
import { addressBucket } from './rate-limiter.js';

/** A listener that is not renewed lives this long, in ms (protocol/dht.md 13). */
const LISTENER_MS = 10 * 60_000;

/** Bounds on what strangers can make us remember. */
export interface ListenerLimits {
  readonly maxListeners: number;
  readonly maxPerAddress: number;
}

export const DEFAULT_LISTENER_LIMITS: ListenerLimits = { maxListeners: 262_144, maxPerAddress: 32_768 };

/** A remote node that wants to hear of values under a key. */
export interface RemoteListener {
  readonly node: NodeRecord;
  readonly socketId: number;
  readonly address: string;
  timeMs: number;
  query: Query | undefined;
  readonly version: number;
}

/** Who listens to what on this node (protocol/dht.md 13). */
export class RemoteListeners {
  private readonly limits: ListenerLimits;
  private readonly keys = new Map<string, Map<string, RemoteListener>>();
  private readonly perAddress = new Map<string, number>();
  private count = 0;

  constructor(limits: ListenerLimits = DEFAULT_LISTENER_LIMITS) {
    this.limits = limits;
  }

  get size(): number {
    return this.count;
  }

  has(key: InfoHash): boolean {
    return this.keys.has(key.binary);
  }

  /**
   * Registers or renews. Returns the listener when it is new, 'renewed' when it was known, undefined when there is no
   * room for one more.
   */
  listen(
    key: InfoHash,
    node: NodeRecord,
    socketId: number,
    query: Query | undefined,
    version: number,
    nowMs: number,
  ): RemoteListener | 'renewed' | undefined {
    const own = `${node.id.binary}${node.family}${socketId}`;
    let listeners = this.keys.get(key.binary);
    const known = listeners?.get(own);
    if (known !== undefined) {
      known.timeMs = nowMs;
      known.query = query;
      return 'renewed';
    }
    const address = addressBucket(node.endpoint);
    const ofAddress = this.perAddress.get(address) ?? 0;
    if (this.count >= this.limits.maxListeners || ofAddress >= this.limits.maxPerAddress) return undefined;
    if (listeners === undefined) {
      listeners = new Map();
      this.keys.set(key.binary, listeners);
    }
    const listener: RemoteListener = { node, socketId, address, timeMs: nowMs, query, version };
    listeners.set(own, listener);
    node.holds++;
    this.perAddress.set(address, ofAddress + 1);
    this.count++;
    return listener;
  }

  /** Listeners of a key. */
  of(key: InfoHash): Iterable<RemoteListener> {
    return this.keys.get(key.binary)?.values() ?? [];
  }

  /** Every key that is listened to, with the nodes that listen, one entry per listen. */
  *byKey(): IterableIterator<readonly [InfoHash, readonly NodeRecord[]]> {
    for (const [key, listeners] of this.keys) {
      yield [new InfoHash(key), [...listeners.values()].map((listener) => listener.node)];
    }
  }

  /** Number of listeners of a key. */
  countOf(key: InfoHash): number {
    return this.keys.get(key.binary)?.size ?? 0;
  }

  /** Lets go of those that were not renewed. */
  sweep(nowMs: number): void {
    for (const [key, listeners] of this.keys) {
      for (const [own, listener] of listeners) {
        if (listener.timeMs + LISTENER_MS >= nowMs) continue;
        listeners.delete(own);
        listener.node.holds--;
        this.count--;
        const left = (this.perAddress.get(listener.address) ?? 1) - 1;
        if (left > 0) this.perAddress.set(listener.address, left);
        else this.perAddress.delete(listener.address);
      }
      if (listeners.size === 0) this.keys.delete(key);
    }
  }
}
