import type { Endpoint } from '@atoll/base';
import { InfoHash } from '@atoll/identity';
import { Reader, Writer } from '@atoll/msgpack';
import type { NodeAddress } from './node-blob.js';
import { decodeSocketAddress, encodeSocketAddress } from './socket-address.js';
import { Value } from './value.js';

const TIMESTAMP = -1;
/** What newer peers write for values that never expire: the largest timestamp, in ns. */
const FOREVER_NS = 9_223_372_036_854_775_807n;
/** Entries read from one file at the most: a file is no reason to fill the memory. */
const MAX_NODES = 65_536;
const MAX_VALUES = 1_048_576;

/** A stored value as a state file keeps it. */
export interface SavedValue {
  readonly key: InfoHash;
  readonly value: Value;
  /** UNIX ms; undefined in files of 2.4, whose times mean nothing after a restart. */
  readonly createdUnixMs: number | undefined;
  /** UNIX ms; Infinity for ever, undefined in files of 2.4. */
  readonly expiresUnixMs: number | undefined;
  /** Who stored it here; undefined for our own. */
  readonly storedBy: Endpoint | undefined;
}

/** What a node remembers between runs (protocol/dht.md 22.1). */
export interface NodeState {
  readonly id: InfoHash;
  readonly nodes: readonly NodeAddress[];
  readonly values: readonly SavedValue[];
}

/** Writes a state file as OpenDHT 4.3 does; 2.4 reads nodes and id of it and skips the values. */
export function encodeState(state: NodeState): Buffer {
  const w = new Writer(65_536);
  w.map(4);
  w.key('v');
  w.uint(1);
  w.key('id');
  w.binary(state.id.binary);
  w.key('nodes');
  w.array(state.nodes.length);
  for (const node of state.nodes) writeNode(w, node);
  const byKey = new Map<string, SavedValue[]>();
  for (const saved of state.values) {
    const known = byKey.get(saved.key.binary);
    if (known === undefined) byKey.set(saved.key.binary, [saved]);
    else known.push(saved);
  }
  w.key('values');
  w.array(byKey.size);
  for (const [key, values] of byKey) {
    w.array(2);
    w.binary(key);
    w.bin(encodeEntries(values));
  }
  return w.take();
}

/** One node as files and bootstrap lists have it: id first, which peers require (protocol/dht.md 22.1). */
export function encodeNodeExport(node: NodeAddress): Buffer {
  const w = new Writer();
  writeNode(w, node);
  return w.take();
}

function writeNode(w: Writer, { id, endpoint }: NodeAddress): void {
  w.map(2);
  w.key('id');
  w.binary(id.binary);
  w.key('addr');
  w.bin(encodeSocketAddress(endpoint));
}

function encodeEntries(values: readonly SavedValue[]): Buffer {
  const w = new Writer(4096);
  w.array(values.length);
  for (const saved of values) {
    w.array(4);
    w.ext(TIMESTAMP, encodeTimestamp(toNs(saved.createdUnixMs ?? 0)));
    w.rawBinary(saved.value.packedBinary);
    w.bin(saved.storedBy === undefined ? Buffer.alloc(0) : encodeSocketAddress(saved.storedBy));
    w.ext(TIMESTAMP, encodeTimestamp(toNs(saved.expiresUnixMs ?? Number.POSITIVE_INFINITY)));
  }
  return w.take();
}

/** Reads a state file of either generation; undefined when it is none. Entries that do not fit are left out. */
export function decodeState(bytes: Buffer): NodeState | undefined {
  const r = new Reader(bytes);
  let id = InfoHash.zero;
  const nodes: NodeAddress[] = [];
  const values: SavedValue[] = [];
  for (let pairs = r.map(); pairs > 0 && !r.failed; pairs--) {
    r.key();
    if (r.keyIs('id')) id = new InfoHash(r.binary(InfoHash.bytes));
    else if (r.keyIs('nodes')) readNodes(r, nodes);
    else if (r.keyIs('values')) readValues(r, values);
    else r.skip();
  }
  return r.failed ? undefined : { id, nodes, values };
}

/** Reads one node as files and bootstrap lists have it. */
export function decodeNodeExport(bytes: Buffer): NodeAddress | undefined {
  const r = new Reader(bytes);
  let id = InfoHash.zero;
  let endpoint: Endpoint | undefined;
  for (let pairs = r.map(); pairs > 0 && !r.failed; pairs--) {
    r.key();
    if (r.keyIs('id')) id = new InfoHash(r.binary(InfoHash.bytes));
    else if (r.keyIs('addr')) endpoint = decodeSocketAddress(r.bin());
    else r.skip();
  }
  return r.failed || endpoint === undefined || id.isZero ? undefined : { id, endpoint };
}

function readNodes(r: Reader, nodes: NodeAddress[]): void {
  for (let left = r.array(); left > 0 && !r.failed; left--) {
    const from = r.at;
    r.skip();
    const node = decodeNodeExport(r.slice(from));
    if (node !== undefined && nodes.length < MAX_NODES) nodes.push(node);
  }
}

function readValues(r: Reader, values: SavedValue[]): void {
  for (let left = r.array(); left > 0 && !r.failed; left--) {
    if (r.array() !== 2) {
      r.fail('a key without values');
      return;
    }
    const key = new InfoHash(r.binary(InfoHash.bytes));
    const blob = r.bin();
    const entries = new Reader(blob);
    for (let inner = entries.array(); inner > 0 && !entries.failed; inner--) {
      const saved = readEntry(entries, key);
      if (saved !== undefined && values.length < MAX_VALUES) values.push(saved);
    }
  }
}

function readEntry(r: Reader, key: InfoHash): SavedValue | undefined {
  const fields = r.array();
  if (fields !== 2 && fields !== 4) {
    r.fail('a value of an unknown generation');
    return undefined;
  }
  let createdUnixMs: number | undefined;
  if (r.peek() === 'ext') createdUnixMs = readTimestamp(r);
  else r.skip();
  const from = r.at;
  r.skip();
  const value = r.failed ? undefined : Value.decode(r.slice(from));
  let storedBy: Endpoint | undefined;
  let expiresUnixMs: number | undefined;
  if (fields === 4) {
    storedBy = decodeSocketAddress(r.bin());
    expiresUnixMs = readTimestamp(r);
  }
  return value === undefined || r.failed ? undefined : { key, value, createdUnixMs, expiresUnixMs, storedBy };
}

function toNs(unixMs: number): bigint {
  return Number.isFinite(unixMs) ? BigInt(Math.round(unixMs * 1e6)) : FOREVER_NS;
}

/** msgpack timestamp: 4, 8 or 12 bytes, the shortest that holds it. */
function encodeTimestamp(ns: bigint): Buffer {
  const seconds = ns / 1_000_000_000n;
  const rest = ns % 1_000_000_000n;
  if (seconds >> 34n === 0n) {
    const packed = (rest << 34n) | seconds;
    const bytes = Buffer.alloc(packed <= 0xffff_ffffn ? 4 : 8);
    if (bytes.length === 4) bytes.writeUInt32BE(Number(packed));
    else bytes.writeBigUInt64BE(packed);
    return bytes;
  }
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(Number(rest), 0);
  bytes.writeBigInt64BE(seconds, 4);
  return bytes;
}

function readTimestamp(r: Reader): number | undefined {
  const { type, data } = r.ext();
  if (r.failed) return undefined;
  let ns: bigint;
  if (type === TIMESTAMP && data.length === 4) ns = BigInt(data.readUInt32BE(0)) * 1_000_000_000n;
  else if (type === TIMESTAMP && data.length === 8) {
    const packed = data.readBigUInt64BE(0);
    ns = (packed & 0x3_ffff_ffffn) * 1_000_000_000n + (packed >> 34n);
  } else if (type === TIMESTAMP && data.length === 12) {
    ns = data.readBigInt64BE(4) * 1_000_000_000n + BigInt(data.readUInt32BE(0));
  } else {
    r.fail('not a timestamp');
    return undefined;
  }
  return ns >= FOREVER_NS ? Number.POSITIVE_INFINITY : Number(ns) / 1e6;
}
