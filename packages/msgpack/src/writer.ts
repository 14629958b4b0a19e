import { asBuffer } from '@atoll/base';

/** Up to this length a loop is faster than a call that leaves JavaScript. */
const SHORT_TEXT = 40;

/**
 * Writes msgpack with the encoding under full control of the caller: each method writes exactly one family, always in
 * its shortest form (protocol/dht.md 3 and 10.2: signatures cover these bytes).
 *
 * One writer is meant to be reused: {@link reset}, write, {@link view} or {@link take}.
 */
export class Writer {
  private buffer: Buffer;
  private at = 0;
  private lastView: Buffer;
  private words: DataView;

  /** `initialBytes`: size of the first allocation; the buffer grows as needed. */
  constructor(initialBytes = 1024) {
    this.buffer = Buffer.allocUnsafeSlow(initialBytes);
    this.lastView = this.buffer.subarray(0, 0);
    this.words = new DataView(this.buffer.buffer);
  }

  /** Bytes written since the last reset. */
  get length(): number {
    return this.at;
  }

  reset(): this {
    this.at = 0;
    return this;
  }

  /** What was written, without a copy: valid until the next write or reset. */
  view(): Buffer {
    // Messages of one kind have one length, so the last view often serves again.
    if (this.lastView.length !== this.at || this.at === 0) this.lastView = this.buffer.subarray(0, this.at);
    return this.lastView;
  }

  /** A copy of what was written, with memory of its own. */
  take(): Buffer {
    const copy = Buffer.allocUnsafeSlow(this.at);
    this.buffer.copy(copy, 0, 0, this.at);
    return copy;
  }

  /** A copy of what was written, as a binary string. */
  takeBinary(): string {
    return this.buffer.latin1Slice(0, this.at);
  }

  nil(): void {
    this.byte(0xc0);
  }

  bool(value: boolean): void {
    this.byte(value ? 0xc3 : 0xc2);
  }

  /** Header of a map with `count` pairs. */
  map(count: number): void {
    if (count < 16) this.byte(0x80 | count);
    else this.header16or32(0xde, 0xdf, count);
  }

  /** Header of an array with `count` elements. */
  array(count: number): void {
    if (count < 16) this.byte(0x90 | count);
    else this.header16or32(0xdc, 0xdd, count);
  }

  /** A whole number from 0 to 2^53 - 1. */
  uint(value: number): void {
    if (value < 0x80) {
      this.byte(value);
    } else if (value < 0x100) {
      this.room(2);
      this.buffer[this.at++] = 0xcc;
      this.buffer[this.at++] = value;
    } else if (value < 0x10000) {
      this.room(3);
      this.buffer[this.at++] = 0xcd;
      this.buffer[this.at++] = value >>> 8;
      this.buffer[this.at++] = value;
    } else if (value < 0x1_0000_0000) {
      this.room(5);
      this.buffer[this.at++] = 0xce;
      this.put32(value);
    } else {
      this.room(9);
      this.buffer[this.at++] = 0xcf;
      this.put32(Math.floor(value / 0x1_0000_0000));
      this.put32(value >>> 0);
    }
  }

  /** A whole number from 0 to 2^64 - 1. */
  u64(value: bigint): void {
    if (value <= 0xffff_ffffn) {
      this.uint(Number(value));
      return;
    }
    this.room(9);
    this.buffer[this.at++] = 0xcf;
    this.words.setBigUint64(this.at, value);
    this.at += 8;
  }

  /** A whole number of either sign, |value| < 2^53. */
  int(value: number): void {
    if (value >= 0) {
      this.uint(value);
    } else if (value >= -32) {
      this.byte(value & 0xff);
    } else if (value >= -0x80) {
      this.byte(0xd0);
      this.byte(value & 0xff);
    } else if (value >= -0x8000) {
      this.room(3);
      this.buffer[this.at++] = 0xd1;
      this.at = this.buffer.writeInt16BE(value, this.at);
    } else if (value >= -0x8000_0000) {
      this.room(5);
      this.buffer[this.at++] = 0xd2;
      this.at = this.buffer.writeInt32BE(value, this.at);
    } else {
      this.room(9);
      this.buffer[this.at++] = 0xd3;
      this.at = this.buffer.writeBigInt64BE(BigInt(value), this.at);
    }
  }

  float64(value: number): void {
    this.room(9);
    this.buffer[this.at++] = 0xcb;
    this.at = this.buffer.writeDoubleBE(value, this.at);
  }

  /** Text as `str`, UTF-8. */
  str(text: string): void {
    const bytes = Buffer.byteLength(text);
    this.room(5 + bytes);
    if (bytes < 32) this.buffer[this.at++] = 0xa0 | bytes;
    else if (bytes < 0x100) {
      this.buffer[this.at++] = 0xd9;
      this.buffer[this.at++] = bytes;
    } else this.header16or32(0xda, 0xdb, bytes);
    this.room(bytes);
    this.at += this.buffer.write(text, this.at);
  }

  /** A `str` key of at most 31 ASCII characters: the fast way for map keys. */
  key(text: string): void {
    const length = text.length;
    this.room(1 + length);
    const buffer = this.buffer;
    let at = this.at;
    buffer[at++] = 0xa0 | length;
    for (let i = 0; i < length; i++) buffer[at++] = text.charCodeAt(i);
    this.at = at;
  }

  /** Bytes as `bin`. */
  bin(bytes: Uint8Array): void {
    const length = bytes.length;
    this.binHeader(length);
    this.room(length);
    asBuffer(bytes).copy(this.buffer, this.at, 0, length);
    this.at += length;
  }

  /** A binary string (one character per byte) as `bin`. */
  binary(text: string): void {
    this.binHeader(text.length);
    this.rawBinary(text);
  }

  /** Header of a `bin` whose `length` bytes follow through {@link raw}. */
  binHeader(length: number): void {
    if (length < 0x100) {
      this.room(2);
      this.buffer[this.at++] = 0xc4;
      this.buffer[this.at++] = length;
    } else this.header16or32(0xc5, 0xc6, length);
  }

  /** Extension type (-128..127) with its data. */
  ext(type: number, data: Uint8Array): void {
    const length = data.length;
    this.room(6 + length);
    const fixed = [1, 2, 4, 8, 16].indexOf(length);
    if (fixed >= 0) this.buffer[this.at++] = 0xd4 + fixed;
    else if (length < 0x100) {
      this.buffer[this.at++] = 0xc7;
      this.buffer[this.at++] = length;
    } else this.header16or32(0xc8, 0xc9, length);
    this.byte(type & 0xff);
    this.raw(data);
  }

  /** Bytes that are msgpack already (or the content announced by {@link binHeader}). */
  raw(bytes: Uint8Array): void {
    this.room(bytes.length);
    asBuffer(bytes).copy(this.buffer, this.at, 0, bytes.length);
    this.at += bytes.length;
  }

  /** What is msgpack already, or the content announced by {@link binHeader}, given as a binary string. */
  rawBinary(text: string): void {
    const length = text.length;
    this.room(length);
    if (length > SHORT_TEXT) {
      this.at += this.buffer.latin1Write(text, this.at, length);
      return;
    }
    const buffer = this.buffer;
    let at = this.at;
    for (let i = 0; i < length; i++) buffer[at++] = text.charCodeAt(i);
    this.at = at;
  }

  /** Content announced by {@link binHeader}: a 16-bit number, big-endian. */
  rawUint16(value: number): void {
    this.room(2);
    this.buffer[this.at++] = value >>> 8;
    this.buffer[this.at++] = value;
  }

  private byte(value: number): void {
    this.room(1);
    this.buffer[this.at++] = value;
  }

  private put32(value: number): void {
    this.buffer[this.at++] = value >>> 24;
    this.buffer[this.at++] = value >>> 16;
    this.buffer[this.at++] = value >>> 8;
    this.buffer[this.at++] = value;
  }

  private header16or32(code16: number, code32: number, count: number): void {
    this.room(5);
    if (count < 0x10000) {
      this.buffer[this.at++] = code16;
      this.buffer[this.at++] = count >>> 8;
      this.buffer[this.at++] = count;
    } else {
      this.buffer[this.at++] = code32;
      this.put32(count);
    }
  }

  private room(bytes: number): void {
    if (this.at + bytes > this.buffer.length) this.grow(bytes);
  }

  private grow(bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.at + bytes));
    this.buffer.copy(larger, 0, 0, this.at);
    this.buffer = larger;
    this.lastView = larger.subarray(0, 0);
    this.words = new DataView(larger.buffer);
  }
}
