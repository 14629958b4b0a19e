import { Endpoint } from '@atoll/base';

/** How one attribute is written and read. */
export interface AttributeCodec<T> {
  readonly type: number;
  /** As the RFC writes it. */
  readonly name: string;
  /** `header` is the 16 bytes of cookie and transaction id that XOR addresses are mixed with. */
  encode(value: T, header: Uint8Array): Uint8Array;
  /** Undefined when it is malformed. */
  decode(value: Buffer, header: Uint8Array): T | undefined;
}

const FAMILY_IPV4 = 1;
const FAMILY_IPV6 = 2;

/** MAPPED-ADDRESS and its relatives: zero, family, port, address (RFC 8489 section 14.1). */
export function address(type: number, name: string): AttributeCodec<Endpoint> {
  return {
    type,
    name,
    encode: (value) => encodeAddress(value),
    decode: (value) => decodeAddress(value),
  };
}

/** XOR-MAPPED-ADDRESS and its relatives: port and address mixed with cookie and transaction id (section 14.2). */
export function xorAddress(type: number, name: string): AttributeCodec<Endpoint> {
  return {
    type,
    name,
    encode(value, header) {
      const bytes = encodeAddress(value);
      mix(bytes, header);
      return bytes;
    },
    decode(value, header) {
      const bytes = Buffer.from(value);
      mix(bytes, header);
      return decodeAddress(bytes);
    },
  };
}

function mix(bytes: Buffer, header: Uint8Array): void {
  for (let at = 2; at < 4 && at < bytes.length; at++) bytes[at] = (bytes[at] as number) ^ (header[at - 2] as number);
  for (let at = 4; at < 20 && at < bytes.length; at++) bytes[at] = (bytes[at] as number) ^ (header[at - 4] as number);
}

function encodeAddress(value: Endpoint): Buffer {
  const bytes = Buffer.allocUnsafe(value.family === 4 ? 8 : 20);
  bytes[0] = 0;
  bytes[1] = value.family === 4 ? FAMILY_IPV4 : FAMILY_IPV6;
  bytes.writeUInt16BE(value.port, 2);
  bytes.latin1Write(value.ip, 4);
  return bytes;
}

function decodeAddress(value: Buffer): Endpoint | undefined {
  const isIpv4 = value[1] === FAMILY_IPV4 && value.length === 8;
  if (!isIpv4 && !(value[1] === FAMILY_IPV6 && value.length === 20)) return undefined;
  return Endpoint.fromBytes(value.subarray(4), value.readUInt16BE(2));
}

/** Text in UTF-8 of at most `maxBytes` bytes. */
export function text(type: number, name: string, maxBytes: number): AttributeCodec<string> {
  return {
    type,
    name,
    encode: (value) => Buffer.from(value, 'utf8').subarray(0, maxBytes),
    decode(value) {
      if (value.length > maxBytes) return undefined;
      const decoded = value.toString('utf8');
      return decoded.includes('\ufffd') ? undefined : decoded;
    },
  };
}

/** Bytes as they are; of one length where `exactBytes` says so. */
export function opaque(type: number, name: string, exactBytes?: number): AttributeCodec<Uint8Array> {
  return {
    type,
    name,
    encode: (value) => value,
    decode: (value) => (exactBytes === undefined || value.length === exactBytes ? value : undefined),
  };
}

/** A 32-bit number. */
export function uint32(type: number, name: string): AttributeCodec<number> {
  return {
    type,
    name,
    encode(value) {
      const bytes = Buffer.allocUnsafe(4);
      bytes.writeUInt32BE(value >>> 0);
      return bytes;
    },
    decode: (value) => (value.length === 4 ? value.readUInt32BE() : undefined),
  };
}

/** A 64-bit number. */
export function uint64(type: number, name: string): AttributeCodec<bigint> {
  return {
    type,
    name,
    encode(value) {
      const bytes = Buffer.allocUnsafe(8);
      bytes.writeBigUInt64BE(BigInt.asUintN(64, value));
      return bytes;
    },
    decode: (value) => (value.length === 8 ? value.readBigUInt64BE() : undefined),
  };
}

/** A 16-bit number with two unused bytes behind it. */
export function uint16(type: number, name: string): AttributeCodec<number> {
  return {
    type,
    name,
    encode(value) {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt16BE(value);
      return bytes;
    },
    decode: (value) => (value.length === 4 ? value.readUInt16BE() : undefined),
  };
}

/** One byte with three unused ones behind it. */
export function uint8(type: number, name: string): AttributeCodec<number> {
  return {
    type,
    name,
    encode: (value) => Buffer.from([value, 0, 0, 0]),
    decode: (value) => (value.length === 4 ? value[0] : undefined),
  };
}

/** An attribute that says something by being there. */
export function flag(type: number, name: string): AttributeCodec<true> {
  return { type, name, encode: () => Buffer.alloc(0), decode: (value) => (value.length === 0 ? true : undefined) };
}

/** A code and a sentence, as ERROR-CODE has them. */
export interface ErrorCode {
  /** 300 to 699. */
  readonly code: number;
  readonly reason: string;
}

/** ERROR-CODE (RFC 8489 section 14.8): 21 zero bits, hundreds (3 bits), rest (8 bits), the sentence. */
export function errorCode(type: number, name: string): AttributeCodec<ErrorCode> {
  return {
    type,
    name,
    encode: ({ code, reason }) => encodeErrorCode(code, reason),
    decode(value) {
      const code = decodeErrorCode(value);
      return code === undefined ? undefined : { code, reason: value.subarray(4).toString('utf8') };
    },
  };
}

export function encodeErrorCode(code: number, reason: string): Buffer {
  // At most 128 characters, RFC 8489 section 14.8.
  return Buffer.concat([Buffer.from([0, 0, Math.floor(code / 100), code % 100]), Buffer.from(reason.slice(0, 128))]);
}

export function decodeErrorCode(value: Buffer): number | undefined {
  if (value.length < 4) return undefined;
  const hundreds = (value[2] as number) & 7;
  const rest = value[3] as number;
  return hundreds < 3 || hundreds > 6 || rest > 99 ? undefined : 100 * hundreds + rest;
}

/** Families of REQUESTED-ADDRESS-FAMILY and its relatives, as they stand on the wire. */
export function familyNumber(family: 4 | 6): number {
  return family === 4 ? FAMILY_IPV4 : FAMILY_IPV6;
}

export function familyOf(number: number | undefined): 4 | 6 | undefined {
  if (number === FAMILY_IPV4) return 4;
  return number === FAMILY_IPV6 ? 6 : undefined;
}
