/** The msgpack family of the next object. */
export type Kind =
  | 'nil'
  | 'bool'
  | 'uint'
  | 'int'
  | 'float'
  | 'str'
  | 'bin'
  | 'array'
  | 'map'
  | 'ext'
  | 'end'
  | 'invalid';

/** Where a 64-bit number is put together: a view of the bytes read would have to be made for each datagram. */
const word = new DataView(new ArrayBuffer(8));

/**
 * Reads msgpack that a stranger sent. Nothing here throws: the first thing that does not fit sets {@link failure},
 * after which every read gives an empty answer, so that a decoder may read on and look once at the end.
 *
 * Byte strings are views into the bytes read; a caller that keeps them copies them. Counts are checked against the
 * bytes that are left, so a forged header cannot make a loop or an allocation larger than the datagram.
 */
export class Reader {
  /** Why reading failed, or undefined. */
  failure: string | undefined;
  /** Position of the next byte. */
  at: number;
  private bytes: Buffer;
  private end: number;
  private keyStart = 0;
  private keyLength = 0;

  constructor(bytes: Buffer, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  /** Starts anew on other bytes. */
  reset(bytes: Buffer, at = 0, end = bytes.length): this {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
    this.failure = undefined;
    return this;
  }

  get failed(): boolean {
    return this.failure !== undefined;
  }

  /** Bytes not yet read. */
  get left(): number {
    return this.end - this.at;
  }

  /** Ends reading with a reason; the first reason stays. */
  fail(reason: string): void {
    this.failure ??= reason;
    this.at = this.end;
  }

  /** The bytes between two positions, as a view. */
  slice(from: number, to = this.at): Buffer {
    return this.bytes.subarray(from, to);
  }

  /** Family of the next object, without reading it. */
  peek(): Kind {
    if (this.at >= this.end) return 'end';
    const byte = this.bytes[this.at] as number;
    if (byte < 0x80) return 'uint';
    if (byte < 0x90) return 'map';
    if (byte < 0xa0) return 'array';
    if (byte < 0xc0) return 'str';
    if (byte >= 0xe0) return 'int';
    return KINDS[byte - 0xc0] as Kind;
  }

  /** Number of pairs of a map. */
  map(): number {
    const byte = this.byte('a map');
    let count: number;
    if (byte >> 4 === 0x8) count = byte & 0x0f;
    else if (byte === 0xde) count = this.big16();
    else if (byte === 0xdf) count = this.big32();
    else return this.wrong('a map');
    if (2 * count > this.left) return this.wrong('as many pairs as its header says');
    return count;
  }

  /** Number of elements of an array. */
  array(): number {
    const byte = this.byte('an array');
    let count: number;
    if (byte >> 4 === 0x9) count = byte & 0x0f;
    else if (byte === 0xdc) count = this.big16();
    else if (byte === 0xdd) count = this.big32();
    else return this.wrong('an array');
    if (count > this.left) return this.wrong('as many elements as its header says');
    return count;
  }

  /** A whole number from 0 to 2^53 - 1. */
  uint(): number {
    const byte = this.byte('a number');
    if (byte < 0x80) return byte;
    switch (byte) {
      case 0xcc:
        return this.big8();
      case 0xcd:
        return this.big16();
      case 0xce:
        return this.big32();
      case 0xcf: {
        const value = this.big32() * 0x1_0000_0000 + this.big32();
        return Number.isSafeInteger(value) ? value : this.wrong('a number below 2^53');
      }
      case 0xd0:
      case 0xd1:
      case 0xd2:
      case 0xd3: {
        this.at--;
        const value = this.int();
        return value >= 0 ? value : this.wrong('a number that is not negative');
      }
      default:
        return this.wrong('a number');
    }
  }

  /** A whole number from 0 to `max`. */
  uintUpTo(max: number): number {
    const value = this.uint();
    return value <= max ? value : this.wrong(`a number up to ${max}`);
  }

  /** A whole number from 0 to 2^64 - 1. */
  u64(): bigint {
    if (this.bytes[this.at] === 0xcf && this.left >= 9) {
      const { bytes, at } = this;
      for (let i = 0; i < 8; i++) word.setUint8(i, bytes[at + 1 + i] as number);
      this.at += 9;
      return word.getBigUint64(0);
    }
    return BigInt(this.uint());
  }

  /** A whole number of either sign, |value| < 2^53. */
  int(): number {
    const byte = this.byte('a number');
    if (byte >= 0xe0) return byte - 0x100;
    switch (byte) {
      case 0xd0:
        return (this.big8() << 24) >> 24;
      case 0xd1:
        return (this.big16() << 16) >> 16;
      case 0xd2:
        return this.big32() | 0;
      case 0xd3: {
        if (this.left < 8) return this.wrong('a number');
        this.at += 8;
        const value = Number(this.bytes.readBigInt64BE(this.at - 8));
        return Number.isSafeInteger(value) ? value : this.wrong('a number below 2^53');
      }
      default:
        if (!this.failed) this.at--;
        return this.uint();
    }
  }

  /** A whole number, or a float truncated to one (some peers write dates so). */
  number(): number {
    if (this.peek() !== 'float') return this.int();
    if (this.byte('a number') === 0xca) {
      if (this.left < 4) return this.wrong('a number');
      this.at += 4;
      return this.bytes.readFloatBE(this.at - 4);
    }
    if (this.left < 8) return this.wrong('a number');
    this.at += 8;
    return this.bytes.readDoubleBE(this.at - 8);
  }

  bool(): boolean {
    const byte = this.byte('a boolean');
    if (byte === 0xc3) return true;
    if (byte !== 0xc2) this.wrong('a boolean');
    return false;
  }

  nil(): void {
    if (this.byte('nil') !== 0xc0) this.wrong('nil');
  }

  /** Text of a `str` (invalid UTF-8 becomes U+FFFD). */
  str(): string {
    const length = this.strLength();
    const from = this.at;
    this.at += length;
    return this.bytes.toString('utf8', from, this.at);
  }

  /** Bytes of a `str`, as a view. */
  strBytes(): Buffer {
    const length = this.strLength();
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** Bytes of a `bin`, as a view. */
  bin(): Buffer {
    const length = this.binLength();
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** A `bin` of exactly `length` bytes, as a binary string. */
  binary(length: number): string {
    const actual = this.binLength();
    if (actual !== length) {
      if (!this.failed) this.wrong(`${length} bytes`);
      return '';
    }
    this.at += length;
    return this.bytes.latin1Slice(this.at - length, this.at);
  }

  /** Bytes given as `bin`, `str` or an array of numbers up to 255 (old peers), as a view or a copy. */
  blob(): Buffer {
    const kind = this.peek();
    if (kind === 'bin') return this.bin();
    if (kind === 'str') return this.strBytes();
    if (kind !== 'array') {
      this.wrong('bytes');
      return Buffer.alloc(0);
    }
    const count = this.array();
    const bytes = Buffer.alloc(count);
    for (let i = 0; i < count; i++) bytes[i] = this.uintUpTo(255);
    return bytes;
  }

  /** Type and data of an extension, data as a view. */
  ext(): { type: number; data: Buffer } {
    const byte = this.byte('an extension');
    let length = 0;
    if (byte >= 0xd4 && byte <= 0xd8) length = 1 << (byte - 0xd4);
    else if (byte === 0xc7) length = this.big8();
    else if (byte === 0xc8) length = this.big16();
    else if (byte === 0xc9) length = this.big32();
    else this.wrong('an extension');
    if (length + 1 > this.left) this.wrong('an extension');
    if (this.failed) return { type: 0, data: this.bytes.subarray(0, 0) };
    const type = (this.big8() << 24) >> 24;
    this.at += length;
    return { type, data: this.bytes.subarray(this.at - length, this.at) };
  }

  /**
   * Reads a map key without making a string: `length << 24` with the first three bytes below it, as {@link keyCode}
   * gives for a text. Compare, and for keys longer than three bytes confirm with {@link keyIs}. A key that is no `str`
   * is read over and gives 0.
   */
  key(): number {
    const kind = this.peek();
    if (kind !== 'str') {
      this.skip();
      return 0;
    }
    const length = this.strLength();
    const start = this.at;
    this.keyStart = start;
    this.keyLength = length;
    this.at += length;
    if (length === 0 || length > 31 || this.failed) return 0;
    let code = (length << 24) | ((this.bytes[start] as number) << 16);
    if (length > 1) code |= (this.bytes[start + 1] as number) << 8;
    if (length > 2) code |= this.bytes[start + 2] as number;
    return code;
  }

  /** Whether the key that {@link key} read last is this ASCII text. */
  keyIs(text: string): boolean {
    if (text.length !== this.keyLength) return false;
    for (let i = 0; i < text.length; i++) {
      if (this.bytes[this.keyStart + i] !== text.charCodeAt(i)) return false;
    }
    return true;
  }

  /** Reads over one object of any family and depth, in time linear to its bytes and without recursion. */
  skip(): void {
    let objects = 1;
    while (objects > 0 && !this.failed) {
      objects--;
      switch (this.peek()) {
        case 'array':
          objects += this.array();
          break;
        case 'map':
          objects += 2 * this.map();
          break;
        case 'str':
          this.strBytes();
          break;
        case 'bin':
          this.bin();
          break;
        case 'ext':
          this.ext();
          break;
        case 'float':
          this.number();
          break;
        case 'uint':
        case 'int': {
          const byte = this.bytes[this.at] as number;
          const size = byte < 0x80 || byte >= 0xe0 ? 1 : 1 + (1 << (byte & 3));
          if (size > this.left) this.wrong('a number');
          else this.at += size;
          break;
        }
        case 'nil':
        case 'bool':
          this.at++;
          break;
        default:
          this.wrong('an object');
      }
    }
  }

  private strLength(): number {
    const byte = this.byte('text');
    let length: number;
    if (byte >> 5 === 0x5) length = byte & 0x1f;
    else if (byte === 0xd9) length = this.big8();
    else if (byte === 0xda) length = this.big16();
    else if (byte === 0xdb) length = this.big32();
    else return this.wrong('text');
    return length <= this.left ? length : this.wrong('text as long as its header says');
  }

  private binLength(): number {
    const byte = this.byte('bytes');
    let length: number;
    if (byte === 0xc4) length = this.big8();
    else if (byte === 0xc5) length = this.big16();
    else if (byte === 0xc6) length = this.big32();
    else return this.wrong('bytes');
    return length <= this.left ? length : this.wrong('bytes as long as its header says');
  }

  private byte(what: string): number {
    if (this.at >= this.end) return this.wrong(what);
    return this.bytes[this.at++] as number;
  }

  private big8(): number {
    if (this.left < 1) return this.wrong('a length');
    return this.bytes[this.at++] as number;
  }

  private big16(): number {
    if (this.left < 2) return this.wrong('a length');
    const bytes = this.bytes;
    const value = ((bytes[this.at] as number) << 8) | (bytes[this.at + 1] as number);
    this.at += 2;
    return value;
  }

  private big32(): number {
    if (this.left < 4) return this.wrong('a length');
    const bytes = this.bytes;
    const at = this.at;
    this.at += 4;
    return (
      (((bytes[at] as number) << 24) |
        ((bytes[at + 1] as number) << 16) |
        ((bytes[at + 2] as number) << 8) |
        (bytes[at + 3] as number)) >>>
      0
    );
  }

  private wrong(expected: string): 0 {
    this.fail(this.at >= this.end ? `ends where ${expected} should be` : `not ${expected}`);
    return 0;
  }
}

/** The number that {@link Reader.key} gives for this key. */
export function keyCode(text: string): number {
  const code = (at: number): number => (at < text.length ? text.charCodeAt(at) : 0);
  return (text.length << 24) | (code(0) << 16) | (code(1) << 8) | code(2);
}

const KINDS: readonly Kind[] = [
  ...(['nil', 'invalid', 'bool', 'bool', 'bin', 'bin', 'bin', 'ext', 'ext', 'ext', 'float', 'float'] as const),
  ...(['uint', 'uint', 'uint', 'uint', 'int', 'int', 'int', 'int'] as const),
  ...(['ext', 'ext', 'ext', 'ext', 'ext', 'str', 'str', 'str', 'array', 'array', 'map', 'map'] as const),
];
