import { createHash } from 'node:crypto';
import { binaryString } from '@atoll/base';

function digest(algorithm: 'sha1' | 'sha256', data: Uint8Array | string): string {
  return createHash(algorithm).update(data).digest('binary');
}

/** A fixed-size hash held as a binary string (one character per byte): cheap to compare, to hash and to keep. */
abstract class Hash {
  /** One character (0..255) per byte. Compares with `<` like the bytes do. */
  readonly binary: string;

  constructor(binary: string) {
    this.binary = binary;
  }

  /** True for the all-zero hash, which counts as "not set" on the wire. */
  get isZero(): boolean {
    const { binary } = this;
    let at = 0;
    while (at < binary.length && binary.charCodeAt(at) === 0) at++;
    return at === binary.length;
  }

  toBytes(): Buffer {
    return Buffer.from(this.binary, 'latin1');
  }

  /** Lower-case hex. */
  toString(): string {
    return this.toBytes().toString('hex');
  }

  toJSON(): string {
    return this.toString();
  }

  equals(other: Hash): boolean {
    return this.binary === other.binary;
  }
}

function parseHex(text: string, bytes: number): string | undefined {
  const head = text.slice(0, 2 * bytes);
  return head.length === 2 * bytes && /^[0-9a-fA-F]*$/.test(head)
    ? Buffer.from(head, 'hex').toString('latin1')
    : undefined;
}

/** 20 bytes: a storage key, a node id, a short key id (protocol/dht.md 1). */
export class InfoHash extends Hash {
  static readonly bytes = 20;
  static readonly zero: InfoHash = new InfoHash('\0'.repeat(20));

  /** SHA-1 of the data (UTF-8 for text). */
  static of(data: Uint8Array | string): InfoHash {
    return new InfoHash(digest('sha1', data));
  }

  /** The first 40 characters as hex; the zero hash when they are not (protocol/dht.md 1). */
  static parse(text: string): InfoHash {
    const binary = parseHex(text, 20);
    return binary === undefined ? InfoHash.zero : new InfoHash(binary);
  }

  /** From exactly 20 bytes; undefined for another length. */
  static fromBytes(bytes: Uint8Array): InfoHash | undefined {
    if (bytes.length !== 20) return undefined;
    return new InfoHash(binaryString(bytes));
  }

  /** The key that a person means: 40 hex digits as they are, anything else hashed (protocol/dht.md 1). */
  static key(text: string): InfoHash {
    const parsed = InfoHash.parse(text);
    return parsed.isZero ? InfoHash.of(text) : parsed;
  }
}

/** 32 bytes: a long key id, in Jami the device id (protocol/dht.md 1). */
export class PkId extends Hash {
  static readonly bytes = 32;
  static readonly zero: PkId = new PkId('\0'.repeat(32));

  /** SHA-256 of the data (UTF-8 for text). */
  static of(data: Uint8Array | string): PkId {
    return new PkId(digest('sha256', data));
  }

  /** The first 64 characters as hex; the zero hash when they are not. */
  static parse(text: string): PkId {
    const binary = parseHex(text, 32);
    return binary === undefined ? PkId.zero : new PkId(binary);
  }

  static fromBytes(bytes: Uint8Array): PkId | undefined {
    if (bytes.length !== 32) return undefined;
    return new PkId(binaryString(bytes));
  }
}

/** Length of the common bit prefix of two hashes of the same size. */
export function commonBits(a: InfoHash, b: InfoHash): number {
  const x = a.binary;
  const y = b.binary;
  for (let i = 0; i < x.length; i++) {
    const difference = x.charCodeAt(i) ^ y.charCodeAt(i);
    if (difference !== 0) return 8 * i + Math.clz32(difference) - 24;
  }
  return 8 * x.length;
}

/** The first 32 bits as a number. */
export function prefix32(hash: InfoHash): number {
  const { binary } = hash;
  const [a, b, c, d] = [binary.charCodeAt(0), binary.charCodeAt(1), binary.charCodeAt(2), binary.charCodeAt(3)];
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

/** Index of the last 1 bit (0 = most significant), -1 for zero. */
export function lowbit(hash: InfoHash): number {
  for (let i = hash.binary.length - 1; i >= 0; i--) {
    const byte = hash.binary.charCodeAt(i);
    if (byte !== 0) return 8 * i + 7 - (31 - Math.clz32(byte & -byte));
  }
  return -1;
}

/** Negative when `a` is nearer to `target` than `b` by XOR distance, positive when farther, 0 when equal. */
export function compareDistance(target: InfoHash, a: InfoHash, b: InfoHash): number {
  const t = target.binary;
  const x = a.binary;
  const y = b.binary;
  for (let i = 0; i < t.length; i++) {
    const p = x.charCodeAt(i);
    const q = y.charCodeAt(i);
    if (p !== q) return (p ^ t.charCodeAt(i)) - (q ^ t.charCodeAt(i));
  }
  return 0;
}
