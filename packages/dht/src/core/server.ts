import type { Clock, Endpoint, Family } from '@atoll/base';
import type { InfoHash } from '@atoll/identity';
import { compareDistance } from '@atoll/identity';
import { type Message, Want } from '../wire/message.js';
import type { MessageEncoder, NodeLists } from '../wire/message-encoder.js';
import { Query } from '../wire/query.js';
import type { Value } from '../wire/value.js';
import { isLoopback } from './address-filter.js';
import type { RemoteListener, RemoteListeners } from './listeners.js';
import type { NodeRecord } from './node-record.js';
import type { Pacer } from './pacer.js';
import { addressBucket } from './rate-limiter.js';
import type { RequestEngine } from './requests.js';
import { BUCKET_NODES, type RoutingTable } from './routing-table.js';
import { SEARCH_NODES } from './search.js';
import type { Storage } from './storage.js';
import type { Tokens } from './tokens.js';
import type { ValueTypes } from './value-types.js';

/** Error codes on the wire (protocol/dht.md 7). */
const ErrorCode = { badArgument: 203, unauthorized: 401, notFound: 404 } as const;

/** A push holds values up to about so many bytes (protocol/dht.md 6.7). */
const PUSH_BATCH_BYTES = 56 * 1024;
/** Pushes that wait for their answer: bytes in all, and number to one node. More is not pushed, which is counted. */
const MAX_PUSH_BYTES = 64 * 1024 * 1024;
const MAX_PUSHES_PER_NODE = 4096;
const NO_NODES: NodeLists = {};

export interface ServerParts {
  readonly ownId: InfoHash;
  readonly clock: Clock;
  readonly encoder: MessageEncoder;
  readonly engine: RequestEngine;
  readonly pacer: Pacer;
  readonly tokens: Tokens;
  readonly storage: Storage;
  readonly listeners: RemoteListeners;
  readonly types: ValueTypes;
  readonly send: (bytes: Buffer, to: Endpoint) => void;
  readonly table: (family: Family) => RoutingTable | undefined;
  /** Pushes that answer to one of our own listens; false when the socket is unknown. */
  readonly onUpdate: (node: NodeRecord, message: Message) => void;
  /** A push was not sent, because too much waits already. */
  readonly onPushDropped: () => void;
}

/** Answers the requests of other nodes (protocol/dht.md 6) and tells listeners what happens to values (13). */
export class RequestServer {
  private readonly parts: ServerParts;

  constructor(parts: ServerParts) {
    this.parts = parts;
  }

  /** Handles a request that passed all checks. */
  handle(message: Message, node: NodeRecord, from: Endpoint): void {
    switch (message.kind) {
      case 'ping':
        this.parts.send(this.parts.encoder.replyAlive(message.tid, from), from);
        return;
      case 'find':
        this.find(message, from);
        return;
      case 'get':
        this.get(message, from);
        return;
      case 'put':
        this.put(message, from);
        return;
      case 'refresh':
        this.refresh(message, from);
        return;
      case 'listen':
        this.listen(message, node, from);
        return;
      case 'update':
        this.parts.onUpdate(node, message);
        this.parts.send(this.parts.encoder.replyAlive(message.tid, from), from);
    }
  }

  /** A value is here, new, changed or once more: listeners hear of it. */
  pushStored(key: InfoHash, value: Value): void {
    for (const listener of this.parts.listeners.of(key)) {
      if (listener.query === undefined || listener.query.matches(value)) this.pushValues(key, listener, [value]);
    }
  }

  /** A value is gone, or lives on. */
  pushIds(key: InfoHash, which: 're' | 'exp', ids: readonly bigint[]): void {
    const { encoder, engine, tokens, send } = this.parts;
    for (const { node, socketId, version } of this.parts.listeners.of(key)) {
      const token = tokens.for(node.endpoint);
      if (version < 1) {
        send(encoder.legacyIds(socketId, token, which, ids), node.endpoint);
        continue;
      }
      if (!this.mayPush(node)) continue;
      const tid = node.nextTid();
      const packet = Buffer.from(encoder.updateIds(tid, socketId, token, which, ids));
      engine.send(node, tid, 'update', [packet], { onReply: () => {} });
    }
  }

  private find(message: Message, from: Endpoint): void {
    const { encoder, tokens, send } = this.parts;
    const nodes = this.closest(message.key, this.wanted(message, from));
    send(encoder.replyFind(message.tid, from, nodes, tokens.for(from)), from);
  }

  private get(message: Message, from: Endpoint): void {
    const { encoder, tokens, pacer } = this.parts;
    if (message.key.isZero) {
      this.refuse(message, from, ErrorCode.badArgument, 'get without key');
      return;
    }
    const { query } = message;
    const values: Value[] = [];
    for (const { value } of this.parts.storage.valuesOf(message.key)) {
      if (query === undefined || query.matches(value)) values.push(value);
    }
    const nodes = this.closest(message.key, this.wanted(message, from));
    pacer.sendAll(encoder.replyGet(message.tid, from, nodes, tokens.for(from), query, values), from);
  }

  private put(message: Message, from: Endpoint): void {
    const { tokens, clock, types, encoder, send } = this.parts;
    const { key } = message;
    if (key.isZero) {
      this.refuse(message, from, ErrorCode.badArgument, 'put without key');
      return;
    }
    if (!tokens.isValid(message.token, from)) {
      this.refuse(message, from, ErrorCode.unauthorized, 'put with a wrong token');
      return;
    }
    const nowMs = clock.nowMs();
    const ageMs = message.created === undefined ? 0 : Math.max(0, clock.unixMs() - message.created * 1000);
    // What is not even a number would never expire.
    const createdMs = Number.isNaN(ageMs) ? nowMs : nowMs - ageMs;
    const isTooFar = this.isTooFar(key, from.family);
    for (const announced of message.values ?? []) {
      if (announced.id === 0n) {
        this.refuse(message, from, ErrorCode.badArgument, 'put of a value without id');
        return;
      }
      if (!isTooFar) this.storeAnnounced(key, announced, createdMs, from, types);
      // Acknowledged whatever became of it: that is the protocol (protocol/dht.md 6.4).
      send(encoder.replyValue(message.tid, from, announced.id), from);
    }
  }

  private storeAnnounced(key: InfoHash, announced: Value, createdMs: number, from: Endpoint, types: ValueTypes): void {
    const { storage } = this.parts;
    const known = storage.get(key, announced.id);
    if (known === undefined) {
      const accepted = types.of(announced).store(key, announced, from);
      if (accepted !== undefined) storage.store(key, accepted, createdMs, from);
      return;
    }
    if (known.value.equals(announced)) {
      storage.refresh(key, announced.id);
      this.pushIds(key, 're', [announced.id]);
      return;
    }
    const edited = types.of(known.value).edit(key, known.value, announced, from);
    if (edited !== undefined) storage.store(key, edited, createdMs, from);
  }

  private refresh(message: Message, from: Endpoint): void {
    const { storage, listeners, tokens, encoder, send } = this.parts;
    const { key, valueId } = message;
    if (!tokens.isValid(message.token, from)) {
      this.refuse(message, from, ErrorCode.unauthorized, 'refresh with a wrong token');
      return;
    }
    if (valueId === undefined || (!storage.has(key) && !listeners.has(key))) {
      this.refuse(message, from, ErrorCode.notFound, 'nothing is stored here');
      return;
    }
    storage.refresh(key, valueId);
    this.pushIds(key, 're', [valueId]);
    send(encoder.replyValue(message.tid, from, valueId), from);
  }

  private listen(message: Message, node: NodeRecord, from: Endpoint): void {
    const { tokens, listeners, storage, clock, encoder, send } = this.parts;
    const { key } = message;
    if (key.isZero) {
      this.refuse(message, from, ErrorCode.badArgument, 'listen without key');
      return;
    }
    if (!tokens.isValid(message.token, from)) {
      this.refuse(message, from, ErrorCode.unauthorized, 'listen with a wrong token');
      return;
    }
    const socketId = message.socketId ?? message.tid;
    const query =
      message.query === undefined || message.query.where.length === 0 ? undefined : new Query([], message.query.where);
    const listener = listeners.listen(key, node, socketId, query, message.listenVersion, clock.nowMs());
    if (typeof listener === 'object') {
      const values: Value[] = [];
      for (const { value } of storage.valuesOf(key))
        if (query === undefined || query.matches(value)) values.push(value);
      if (values.length > 0) this.pushValues(key, listener, values);
    }
    send(encoder.replyListen(message.tid, from, tokens.for(from)), from);
  }

  private pushValues(key: InfoHash, listener: RemoteListener, values: readonly Value[]): void {
    const { encoder, engine, pacer, tokens } = this.parts;
    const { node, socketId } = listener;
    const token = tokens.for(node.endpoint);
    if (listener.version < 1) {
      pacer.sendAll(encoder.replyGet(socketId, node.endpoint, NO_NODES, token, undefined, values), node.endpoint);
      return;
    }
    for (const batch of batches(values)) {
      if (!this.mayPush(node)) return;
      const tid = node.nextTid();
      const packets = encoder.updateValues(tid, key, socketId, batch, undefined, token);
      engine.send(node, tid, 'update', packets, { onReply: () => {} });
    }
  }

  private mayPush(node: NodeRecord): boolean {
    if (node.isExpired) return false;
    const { engine } = this.parts;
    if (engine.heldBytes < MAX_PUSH_BYTES && (node.requests?.size ?? 0) < MAX_PUSHES_PER_NODE) return true;
    this.parts.onPushDropped();
    return false;
  }

  private refuse(message: Message, to: Endpoint, code: number, text: string): void {
    this.parts.send(this.parts.encoder.error(message.tid, code, text), to);
  }

  private wanted(message: Message, from: Endpoint): number {
    return message.want ?? (from.family === 4 ? Want.ipv4 : Want.ipv6);
  }

  private closest(key: InfoHash, want: number): NodeLists {
    const { table, clock } = this.parts;
    const nowMs = clock.nowMs();
    return {
      nodes4: (want & Want.ipv4) === 0 ? undefined : table(4)?.closestGood(key, BUCKET_NODES, nowMs),
      nodes6: (want & Want.ipv6) === 0 ? undefined : table(6)?.closestGood(key, BUCKET_NODES, nowMs),
    };
  }

  /**
   * Whether enough good nodes are nearer to the key than we are that it is not ours to keep (protocol/dht.md 6.4).
   * Many nodes of one address count as one: whoever floods a neighborhood with ids cannot talk us out of it.
   */
  private isTooFar(key: InfoHash, family: Family): boolean {
    const closest = this.parts.table(family)?.closestGood(key, SEARCH_NODES, this.parts.clock.nowMs()) ?? [];
    const eighth = closest[BUCKET_NODES - 1];
    // Most keys that come here are ours to keep: with fewer than eight nodes nearer there is nothing to count.
    if (eighth === undefined || compareDistance(key, eighth.id, this.parts.ownId) >= 0) return false;
    const addresses = new Set<string>();
    const counted = closest.filter(({ endpoint }) => {
      if (isLoopback(endpoint)) return true;
      const address = addressBucket(endpoint);
      if (addresses.has(address)) return false;
      addresses.add(address);
      return true;
    });
    const farthest = counted.at(-1);
    return (
      counted.length >= BUCKET_NODES &&
      farthest !== undefined &&
      compareDistance(key, farthest.id, this.parts.ownId) < 0
    );
  }
}

/** Values in groups of about {@link PUSH_BATCH_BYTES}. */
function* batches(values: readonly Value[]): IterableIterator<Value[]> {
  let batch: Value[] = [];
  let bytes = 0;
  for (const value of values) {
    if (bytes >= PUSH_BATCH_BYTES) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(value);
    bytes += value.sizeBytes;
  }
  if (batch.length > 0) yield batch;
}
