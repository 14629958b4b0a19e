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
  /** Of one address under one key: each costs a push for each value stored there. */
  readonly maxPerKeyAndAddress: number;
}

export const DEFAULT_LISTENER_LIMITS: ListenerLimits = {
  maxListeners: 262_144,
  maxPerAddress: 32_768,
  maxPerKeyAndAddress: 128,
};

/** When all room is taken, addresses with more listeners than this make room for those with fewer. */
const MANY_LISTENERS = 1024;

/** A remote node that wants to hear of values under a key. */
export interface RemoteListener {
  readonly key: string;
  readonly own: string;
  readonly node: NodeRecord;
  readonly socketId: number;
  readonly address: string;
  timeMs: number;
  query: Query | undefined;
  readonly version: number;
}

interface KeyListeners {
  readonly byOwn: Map<string, RemoteListener>;
  readonly perAddress: Map<string, number>;
}

/** Who listens to what on this node (protocol/dht.md 13). */
export class RemoteListeners {
  private readonly limits: ListenerLimits;
  private readonly keys = new Map<string, KeyListeners>();
  private readonly perAddress = new Map<string, Set<RemoteListener>>();
  /** Addresses with more than {@link MANY_LISTENERS}. */
  private readonly heavy = new Set<string>();
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
    const own = `${node.id.binary}${node.endpoint.key}${socketId}`;
    let ofKey = this.keys.get(key.binary);
    const known = ofKey?.byOwn.get(own);
    if (known !== undefined) {
      known.timeMs = nowMs;
      known.query = query;
      return 'renewed';
    }
    const address = addressBucket(node.endpoint);
    const ofAddress = this.perAddress.get(address)?.size ?? 0;
    const { maxPerAddress, maxPerKeyAndAddress, maxListeners } = this.limits;
    if (ofAddress >= maxPerAddress || (ofKey?.perAddress.get(address) ?? 0) >= maxPerKeyAndAddress) return undefined;
    if (this.count >= maxListeners && !this.makeRoom(ofAddress)) return undefined;
    ofKey = this.keys.get(key.binary);
    if (ofKey === undefined) {
      ofKey = { byOwn: new Map(), perAddress: new Map() };
      this.keys.set(key.binary, ofKey);
    }
    const listener: RemoteListener = {
      key: key.binary,
      own,
      node,
      socketId,
      address,
      timeMs: nowMs,
      query,
      version,
    };
    this.add(ofKey, listener);
    return listener;
  }

  /** Listeners of a key. */
  of(key: InfoHash): Iterable<RemoteListener> {
    return this.keys.get(key.binary)?.byOwn.values() ?? [];
  }

  /** Every key that is listened to, with the nodes that listen, one entry per listen. */
  *byKey(): IterableIterator<readonly [InfoHash, readonly NodeRecord[]]> {
    for (const [key, listeners] of this.keys) {
      yield [new InfoHash(key), [...listeners.byOwn.values()].map((listener) => listener.node)];
    }
  }

  /** Number of listeners of a key. */
  countOf(key: InfoHash): number {
    return this.keys.get(key.binary)?.byOwn.size ?? 0;
  }

  /** Lets go of those that were not renewed. */
  sweep(nowMs: number): void {
    for (const { byOwn } of this.keys.values()) {
      for (const listener of byOwn.values()) if (listener.timeMs + LISTENER_MS < nowMs) this.remove(listener);
    }
  }

  /** An address with many listeners loses one to an address with few. */
  private makeRoom(ofNewcomer: number): boolean {
    const [address] = this.heavy;
    if (address === undefined || ofNewcomer >= MANY_LISTENERS) return false;
    const [oldest] = this.perAddress.get(address) ?? [];
    if (oldest === undefined) return false;
    this.remove(oldest);
    return true;
  }

  private add(ofKey: KeyListeners, listener: RemoteListener): void {
    const { address, own, node } = listener;
    ofKey.byOwn.set(own, listener);
    ofKey.perAddress.set(address, (ofKey.perAddress.get(address) ?? 0) + 1);
    let ofAddress = this.perAddress.get(address);
    if (ofAddress === undefined) {
      ofAddress = new Set();
      this.perAddress.set(address, ofAddress);
    }
    ofAddress.add(listener);
    if (ofAddress.size > MANY_LISTENERS) this.heavy.add(address);
    node.holds++;
    this.count++;
  }

  private remove(listener: RemoteListener): void {
    const { key, own, address, node } = listener;
    const ofKey = this.keys.get(key);
    if (ofKey === undefined || !ofKey.byOwn.delete(own)) return;
    const left = (ofKey.perAddress.get(address) ?? 1) - 1;
    if (left > 0) ofKey.perAddress.set(address, left);
    else ofKey.perAddress.delete(address);
    if (ofKey.byOwn.size === 0) this.keys.delete(key);
    const ofAddress = this.perAddress.get(address);
    ofAddress?.delete(listener);
    if (ofAddress !== undefined && ofAddress.size <= MANY_LISTENERS) this.heavy.delete(address);
    if (ofAddress?.size === 0) this.perAddress.delete(address);
    node.holds--;
    this.count--;
  }
}
