import type { Endpoint } from '@atoll/base';
import type { InfoHash } from '@atoll/identity';
import { Writer } from '@atoll/msgpack';
import { encodeNodeBlob, type NodeAddress } from './node-blob.js';
import { encodeFieldValues, encodeQuery, type Query } from './query.js';
import type { Value } from './value.js';

/** Fewer values than this and fewer bytes than {@link INLINE_BYTES} travel inside the message. */
const INLINE_VALUES = 50;
const INLINE_BYTES = 600;
/** Payload of one part of a fragmented value, in bytes. */
export const PART_BYTES = 1280;

/** What every message of a node says about the node. */
export interface SenderFacts {
  readonly id: InfoHash;
  /** 0 is the public network and is not sent. */
  readonly networkId: number;
  readonly isClient: boolean;
  /** User agent, informational, ASCII. */
  readonly userAgent: string;
}

/** Closest nodes given in an answer. */
export interface NodeLists {
  readonly nodes4?: readonly NodeAddress[] | undefined;
  readonly nodes6?: readonly NodeAddress[] | undefined;
}

/**
 * Writes the datagrams of one node, byte for byte as OpenDHT packs them (protocol/dht.md 3 and 6).
 *
 * Single datagrams are returned as views that the next call overwrites; lists (a header and its parts) are copies, but
 * for the list of one datagram that {@link MessageEncoder.replyGet} gives when there are no parts.
 */
export class MessageEncoder {
  private readonly writer = new Writer(2048);
  private readonly facts: SenderFacts;
  private readonly optionalKeys: number;
  private readonly single: Buffer[] = [];

  constructor(facts: SenderFacts) {
    this.facts = facts;
    this.optionalKeys = (facts.networkId !== 0 ? 1 : 0) + (facts.isClient ? 1 : 0);
  }

  ping(tid: number): Buffer {
    this.begin('a', 1, 5);
    return this.endRequest('ping', tid);
  }

  find(tid: number, target: InfoHash, wantsBoth: boolean): Buffer {
    const w = this.begin('a', wantsBoth ? 3 : 2, 5);
    w.key('target');
    w.binary(target.binary);
    if (wantsBoth) this.want();
    return this.endRequest('find', tid);
  }

  get(tid: number, key: InfoHash, query: Query | undefined, wantsBoth: boolean): Buffer {
    const w = this.begin('a', 2 + (query === undefined ? 0 : 1) + (wantsBoth ? 1 : 0), 5);
    w.key('h');
    w.binary(key.binary);
    if (query !== undefined) {
      w.key('q');
      encodeQuery(w, query);
    }
    if (wantsBoth) this.want();
    return this.endRequest('get', tid);
  }

  /** `createdSeconds`: UNIX seconds, for a value made in the past. Header first, then its parts. */
  put(tid: number, key: InfoHash, value: Value, createdSeconds: number | undefined, token: string): Buffer[] {
    const w = this.begin('a', createdSeconds === undefined ? 4 : 5, 5);
    w.key('h');
    w.binary(key.binary);
    const fragments = this.values([value]);
    this.createdAndToken(createdSeconds, token);
    return this.withParts(this.endRequest('put', tid), tid, fragments);
  }

  refresh(tid: number, key: InfoHash, valueId: bigint, token: string): Buffer {
    const w = this.begin('a', 4, 5);
    w.key('h');
    w.binary(key.binary);
    w.key('vid');
    w.u64(valueId);
    w.key('token');
    w.binary(token);
    return this.endRequest('refresh', tid);
  }

  listen(tid: number, key: InfoHash, token: string, socketId: number, query: Query | undefined): Buffer {
    const w = this.begin('a', query === undefined ? 5 : 6, 5);
    w.key('ve');
    w.uint(1);
    w.key('h');
    w.binary(key.binary);
    w.key('token');
    w.binary(token);
    w.key('sid');
    w.uint(socketId);
    if (query !== undefined) {
      w.key('q');
      encodeQuery(w, query);
    }
    return this.endRequest('listen', tid);
  }

  /** New or edited values for a listener (protocol/dht.md 6.7). */
  updateValues(
    tid: number,
    key: InfoHash,
    socketId: number,
    values: readonly Value[],
    createdSeconds: number | undefined,
    token: string,
  ): Buffer[] {
    const w = this.begin('a', createdSeconds === undefined ? 6 : 7, 5);
    w.key('ve');
    w.uint(1);
    w.key('h');
    w.binary(key.binary);
    w.key('sid');
    w.uint(socketId);
    const fragments = this.values(values);
    this.createdAndToken(createdSeconds, token);
    return this.withParts(this.endRequest('update', tid), tid, fragments);
  }

  /** Refreshed or expired values for a listener (protocol/dht.md 6.7). */
  updateIds(tid: number, socketId: number, token: string, which: 're' | 'exp', ids: readonly bigint[]): Buffer {
    const w = this.begin('a', 4, 5);
    w.key('sid');
    w.uint(socketId);
    w.key('token');
    w.binary(token);
    this.ids(which, ids);
    this.kind('q');
    this.agent();
    w.key('q');
    w.key('update');
    w.key('t');
    w.uint(tid);
    return w.view();
  }

  /** The answer to a ping or an update. */
  replyAlive(tid: number, to: Endpoint): Buffer {
    this.begin('r', 2, 4);
    this.sawYouAt(to);
    return this.endReply(tid);
  }

  replyFind(tid: number, to: Endpoint, nodes: NodeLists, token: string): Buffer {
    const w = this.begin('r', 3 + countLists(nodes), 4);
    this.sawYouAt(to);
    this.nodeLists(nodes);
    w.key('token');
    w.binary(token);
    return this.endReply(tid);
  }

  /** The answer to a get: whole values, or with a selection their fields. `socketId` replaces the tid of legacy pushes. */
  replyGet(
    tid: number,
    to: Endpoint,
    nodes: NodeLists,
    token: string,
    query: Query | undefined,
    values: readonly Value[],
  ): readonly Buffer[] {
    const w = this.begin('r', 3 + countLists(nodes) + (values.length > 0 ? 1 : 0), 4);
    this.sawYouAt(to);
    this.nodeLists(nodes);
    w.key('token');
    w.binary(token);
    let fragments: readonly Value[] | undefined;
    if (values.length > 0) {
      if (query !== undefined && query.select.length > 0) {
        w.key('fileds');
        encodeFieldValues(w, query.select, values);
      } else fragments = this.values(values);
    }
    const header = this.endReply(tid);
    if (fragments !== undefined) return this.withParts(header, tid, fragments);
    this.single[0] = header;
    return this.single;
  }

  /** The answer to a put (one for each value) or a refresh. */
  replyValue(tid: number, to: Endpoint, valueId: bigint): Buffer {
    const w = this.begin('r', 3, 4);
    w.key('vid');
    w.u64(valueId);
    this.sawYouAt(to);
    return this.endReply(tid);
  }

  replyListen(tid: number, to: Endpoint, token: string): Buffer {
    const w = this.begin('r', 3, 4);
    this.sawYouAt(to);
    w.key('token');
    w.binary(token);
    return this.endReply(tid);
  }

  error(tid: number, code: number, text: string): Buffer {
    const w = this.writer.reset();
    w.map(5 + this.optionalKeys);
    w.key('e');
    w.array(2);
    w.uint(code);
    w.str(text);
    w.key('r');
    w.map(1);
    this.id();
    return this.endReply(tid, 'e');
  }

  /** Refreshed or expired values for a version-0 listener (protocol/dht.md 6.8). */
  legacyIds(socketId: number, token: string, which: 're' | 'exp', ids: readonly bigint[]): Buffer {
    const w = this.begin('u', 3, 4);
    w.key('token');
    w.binary(token);
    this.ids(which, ids);
    this.kind('r');
    this.agent();
    w.key('t');
    w.uint(socketId);
    return w.view();
  }

  private begin(body: 'a' | 'r' | 'u', bodyKeys: number, topKeys: number): Writer {
    const w = this.writer.reset();
    w.map(topKeys + this.optionalKeys);
    w.key(body);
    w.map(bodyKeys);
    this.id();
    return w;
  }

  private id(): void {
    this.writer.key('id');
    this.writer.binary(this.facts.id.binary);
  }

  private sawYouAt(to: Endpoint): void {
    this.writer.key('sa');
    this.writer.binary(to.ip);
  }

  private want(): void {
    this.writer.key('w');
    this.writer.array(2);
    this.writer.uint(2);
    this.writer.uint(10);
  }

  private nodeLists(nodes: NodeLists): void {
    if (nodes.nodes4 !== undefined && nodes.nodes4.length > 0) {
      this.writer.key('n4');
      encodeNodeBlob(this.writer, 4, nodes.nodes4);
    }
    if (nodes.nodes6 !== undefined && nodes.nodes6.length > 0) {
      this.writer.key('n6');
      encodeNodeBlob(this.writer, 6, nodes.nodes6);
    }
  }

  private createdAndToken(createdSeconds: number | undefined, token: string): void {
    if (createdSeconds !== undefined) {
      this.writer.key('c');
      this.writer.int(createdSeconds);
    }
    this.writer.key('token');
    this.writer.binary(token);
  }

  private ids(which: 're' | 'exp', ids: readonly bigint[]): void {
    this.writer.key(which);
    this.writer.array(ids.length);
    for (const id of ids) this.writer.u64(id);
  }

  /** Writes `values`; returns them when they have to follow in parts. */
  private values(values: readonly Value[]): readonly Value[] | undefined {
    const w = this.writer;
    w.key('values');
    w.array(values.length);
    let total = 0;
    for (const value of values) total += value.packedBinary.length;
    if (values.length < INLINE_VALUES && total < INLINE_BYTES) {
      for (const value of values) w.rawBinary(value.packedBinary);
      return undefined;
    }
    for (const value of values) w.uint(value.packedBinary.length);
    return values;
  }

  private endRequest(name: string, tid: number): Buffer {
    const w = this.writer;
    w.key('q');
    w.key(name);
    w.key('t');
    w.uint(tid);
    this.kind('q');
    this.agent();
    return w.view();
  }

  private endReply(tid: number, kind: 'r' | 'e' = 'r'): Buffer {
    const w = this.writer;
    w.key('t');
    w.uint(tid);
    this.kind(kind);
    this.agent();
    return w.view();
  }

  private kind(kind: string): void {
    this.writer.key('y');
    this.writer.key(kind);
  }

  private agent(): void {
    this.writer.key('v');
    this.writer.key(this.facts.userAgent);
    this.optional();
  }

  private optional(): void {
    if (this.facts.networkId !== 0) {
      this.writer.key('n');
      this.writer.uint(this.facts.networkId);
    }
    if (this.facts.isClient) {
      this.writer.key('s');
      this.writer.bool(true);
    }
  }

  private withParts(header: Buffer, tid: number, values: readonly Value[] | undefined): Buffer[] {
    const packets: Buffer[] = [Buffer.from(header)];
    values?.forEach(({ packedBinary }, index) => {
      for (let offset = 0; offset < packedBinary.length; offset += PART_BYTES) {
        packets.push(this.part(tid, index, offset, packedBinary.slice(offset, offset + PART_BYTES)));
      }
    });
    return packets;
  }

  private part(tid: number, index: number, offset: number, bytes: string): Buffer {
    const w = this.writer.reset();
    w.map(3 + this.optionalKeys);
    this.optional();
    this.kind('p');
    w.key('t');
    w.uint(tid);
    w.key('p');
    w.map(1);
    w.uint(index);
    w.map(2);
    w.key('o');
    w.uint(offset);
    w.key('d');
    w.binary(bytes);
    return w.take();
  }
}

function countLists({ nodes4, nodes6 }: NodeLists): number {
  return (nodes4 !== undefined && nodes4.length > 0 ? 1 : 0) + (nodes6 !== undefined && nodes6.length > 0 ? 1 : 0);
}
