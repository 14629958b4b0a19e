import { InfoHash } from '@atoll/identity';
import { keyCode, Reader } from '@atoll/msgpack';
import { decodeFieldValues, decodeQuery, type FieldValues, type Query } from './query.js';
import { MAX_PACKED_VALUE_BYTES, Value } from './value.js';

/** What a datagram is, decided by which keys it has (protocol/dht.md 3.1). */
export type MessageKind =
  | 'error'
  | 'reply'
  | 'part'
  | 'legacyUpdate'
  | 'ping'
  | 'find'
  | 'get'
  | 'listen'
  | 'put'
  | 'refresh'
  | 'update';

/** Families wanted in an answer, as bits (protocol/dht.md 3.2 `w`). */
export const Want = { ipv4: 1, ipv6: 2, both: 3 } as const;

/** A slice of a fragmented value (protocol/dht.md 9). */
export interface ValuePart {
  readonly index: number;
  readonly offset: number;
  readonly bytes: Buffer;
}

/** A decoded datagram. Buffers are views into it unless said otherwise: copy what is kept. */
export class Message {
  kind: MessageKind = 'ping';
  tid = 0;
  networkId = 0;
  isClient = false;
  /** Sender. Zero when missing. */
  id: InfoHash = InfoHash.zero;
  /** Storage key `h`, or `target` of a find. Zero when missing. */
  key: InfoHash = InfoHash.zero;
  /** Write token as a binary string; empty when missing. */
  token = '';
  values: Value[] | undefined = undefined;
  /** Packed sizes of values that follow in parts; entries the receiver skips are 0. */
  valueSizes: number[] | undefined = undefined;
  valueId: bigint | undefined = undefined;
  /** Creation time, UNIX seconds. */
  created: number | undefined = undefined;
  query: Query | undefined = undefined;
  fields: FieldValues[] | undefined = undefined;
  nodes4: Buffer | undefined = undefined;
  nodes6: Buffer | undefined = undefined;
  /** Our address as the sender sees it, a binary string of 4 or 16; undefined when missing. */
  reportedIp: string | undefined = undefined;
  /** Bits of {@link Want}, or undefined when the sender did not say. */
  want: number | undefined = undefined;
  socketId: number | undefined = undefined;
  listenVersion = 0;
  expired: bigint[] | undefined = undefined;
  refreshed: bigint[] | undefined = undefined;
  errorCode = 0;
  errorText = '';
  parts: ValuePart[] | undefined = undefined;
}

const MAX_TOKEN_BYTES = 64;
const MAX_PARTS_PER_DATAGRAM = 64;

const K = {
  y: keyCode('y'),
  q: keyCode('q'),
  a: keyCode('a'),
  r: keyCode('r'),
  e: keyCode('e'),
  u: keyCode('u'),
  p: keyCode('p'),
  t: keyCode('t'),
  n: keyCode('n'),
  s: keyCode('s'),
  id: keyCode('id'),
  h: keyCode('h'),
  target: keyCode('target'),
  token: keyCode('token'),
  values: keyCode('values'),
  vid: keyCode('vid'),
  c: keyCode('c'),
  fileds: keyCode('fileds'),
  n4: keyCode('n4'),
  n6: keyCode('n6'),
  sa: keyCode('sa'),
  w: keyCode('w'),
  sid: keyCode('sid'),
  ve: keyCode('ve'),
  exp: keyCode('exp'),
  re: keyCode('re'),
  o: keyCode('o'),
  d: keyCode('d'),
};

const REQUESTS: ReadonlyMap<number, readonly [string, MessageKind]> = new Map(
  (['ping', 'find', 'get', 'listen', 'put', 'refresh', 'update'] as const).map((name) => [keyCode(name), [name, name]]),
);

const QUERY_KIND = keyCode('q');
const reader = new Reader(Buffer.alloc(0));

/**
 * Reads one datagram (protocol/dht.md 3). Returns the message, or the reason why it is none; never throws.
 * What follows the first msgpack object is ignored.
 */
export function decodeMessage(bytes: Buffer): Message | string {
  const r = reader.reset(bytes);
  const message = new Message();
  let request: MessageKind | undefined;
  let body = 0;
  let bodyAt = -1;
  let hasError = false;
  let hasReply = false;
  let hasPart = false;
  let hasUpdate = false;
  let hasTid = false;
  let yIsWrong = false;
  for (let pairs = r.map(); pairs > 0 && !r.failed; pairs--) {
    switch (r.key()) {
      case K.a:
        body = K.a;
        bodyAt = r.at;
        decodeBody(r, bytes, message);
        break;
      case K.r:
        hasReply = true;
        if (body === K.a) r.skip();
        else {
          body = K.r;
          bodyAt = r.at;
          decodeBody(r, bytes, message);
        }
        break;
      case K.u:
        hasUpdate = true;
        if (body !== 0) r.skip();
        else {
          body = K.u;
          bodyAt = r.at;
          decodeBody(r, bytes, message);
        }
        break;
      case K.e:
        hasError = true;
        decodeError(r, message);
        break;
      case K.p:
        hasPart = true;
        message.parts = decodeParts(r);
        break;
      case K.q: {
        const named = REQUESTS.get(r.key());
        if (named !== undefined && r.keyIs(named[0])) request = named[1];
        break;
      }
      case K.y:
        yIsWrong = r.key() !== QUERY_KIND;
        break;
      case K.t:
        message.tid = decodeTid(r);
        hasTid = true;
        break;
      case K.n:
        message.networkId = r.uintUpTo(0xffff_ffff);
        break;
      case K.s:
        message.isClient = r.bool();
        break;
      default:
        r.skip();
    }
  }
  if (r.failure !== undefined) return r.failure;
  if (!hasTid) return 'no transaction id';
  if (hasError) message.kind = 'error';
  else if (hasReply) message.kind = 'reply';
  else if (hasPart) message.kind = 'part';
  else if (hasUpdate) message.kind = 'legacyUpdate';
  else if (yIsWrong) return 'no request';
  else if (request === undefined) return 'unknown request';
  else message.kind = request;
  if (bodyAt < 0 && !hasError && !hasPart) return 'no arguments';
  return message;
}

function decodeBody(r: Reader, bytes: Buffer, message: Message): void {
  for (let pairs = r.map(); pairs > 0 && !r.failed; pairs--) {
    switch (r.key()) {
      case K.id:
        message.id = new InfoHash(r.binary(InfoHash.bytes));
        break;
      case K.h:
        message.key = new InfoHash(r.binary(InfoHash.bytes));
        break;
      case K.target:
        if (r.keyIs('target')) message.key = new InfoHash(r.binary(InfoHash.bytes));
        else r.skip();
        break;
      case K.token:
        if (r.keyIs('token')) message.token = decodeToken(r);
        else r.skip();
        break;
      case K.values:
        if (r.keyIs('values')) decodeValues(r, bytes, message);
        else r.skip();
        break;
      case K.vid:
        message.valueId = r.u64();
        break;
      case K.c:
        message.created = Math.trunc(r.number());
        break;
      case K.q:
        message.query = decodeQuery(r);
        break;
      case K.fileds:
        if (r.keyIs('fileds')) message.fields = decodeFieldValues(r).values;
        else r.skip();
        break;
      case K.n4:
        message.nodes4 = r.bin();
        break;
      case K.n6:
        message.nodes6 = r.bin();
        break;
      case K.sa: {
        const ip = r.bin();
        if (ip.length === 4 || ip.length === 16) message.reportedIp = ip.latin1Slice();
        break;
      }
      case K.w:
        message.want = decodeWant(r);
        break;
      case K.sid:
        message.socketId = decodeTid(r);
        break;
      case K.ve:
        message.listenVersion = r.int();
        break;
      case K.exp:
        message.expired = decodeIds(r);
        break;
      case K.re:
        message.refreshed = decodeIds(r);
        break;
      default:
        r.skip();
    }
  }
}

/** A number, or four bytes in network order (protocol/dht.md 3). */
function decodeTid(r: Reader): number {
  const kind = r.peek();
  if (kind === 'uint' || kind === 'int') return r.uintUpTo(0xffff_ffff);
  const bytes = r.blob();
  if (bytes.length === 4) return bytes.readUInt32BE(0);
  r.fail('a transaction id that is not four bytes');
  return 0;
}

function decodeToken(r: Reader): string {
  const token = r.blob();
  return token.length <= MAX_TOKEN_BYTES ? token.latin1Slice() : '';
}

function decodeValues(r: Reader, bytes: Buffer, message: Message): void {
  const count = r.array();
  let sizes: number[] | undefined;
  let values: Value[] | undefined;
  for (let left = count; left > 0 && !r.failed; left--) {
    if (r.peek() === 'uint') {
      sizes ??= [];
      const size = r.uint();
      sizes.push(size <= MAX_PACKED_VALUE_BYTES ? size : 0);
      continue;
    }
    const from = r.at;
    r.skip();
    if (r.failed || r.at - from > MAX_PACKED_VALUE_BYTES) continue;
    const value = Value.decode(bytes, from, r.at);
    if (value === undefined) continue;
    values ??= [];
    values.push(value);
  }
  message.valueSizes = sizes;
  message.values = values;
}

function decodeWant(r: Reader): number {
  let want = 0;
  for (let left = r.array(); left > 0 && !r.failed; left--) {
    const family = r.uint();
    if (family === 2) want |= Want.ipv4;
    else if (family === 10) want |= Want.ipv6;
  }
  return want;
}

function decodeIds(r: Reader): bigint[] {
  const ids: bigint[] = [];
  for (let left = r.array(); left > 0 && !r.failed; left--) ids.push(r.u64());
  return ids;
}

function decodeError(r: Reader, message: Message): void {
  const count = r.array();
  if (count !== 2) {
    r.fail('an error without code and text');
    return;
  }
  message.errorCode = r.uint();
  message.errorText = r.str();
}

function decodeParts(r: Reader): ValuePart[] {
  const parts: ValuePart[] = [];
  const count = r.map();
  if (count > MAX_PARTS_PER_DATAGRAM) r.fail('too many parts');
  for (let pairs = count; pairs > 0 && !r.failed; pairs--) {
    const index = r.uint();
    let offset = -1;
    let bytes: Buffer | undefined;
    for (let inner = r.map(); inner > 0 && !r.failed; inner--) {
      const key = r.key();
      if (key === K.o) offset = r.uint();
      else if (key === K.d) bytes = r.blob();
      else r.skip();
    }
    if (offset < 0 || bytes === undefined) r.fail('a part without offset or bytes');
    else parts.push({ index, offset, bytes });
  }
  return parts;
}
