import type { AttributeCodec } from './attribute-codec.js';

/** What RFC 8489 section 5 calls the class of a message. */
export type MessageClass = 'request' | 'indication' | 'success' | 'error';

const CLASSES: readonly MessageClass[] = ['request', 'indication', 'success', 'error'];

/** Methods of RFC 8489, 8656 and 6062; the last one is of RFC 3489. */
export const Method = {
  binding: 0x001,
  allocate: 0x003,
  refresh: 0x004,
  send: 0x006,
  data: 0x007,
  createPermission: 0x008,
  channelBind: 0x009,
  connect: 0x00a,
  connectionBind: 0x00b,
  connectionAttempt: 0x00c,
  sharedSecret: 0x002,
} as const;

export const HEADER_BYTES = 20;
export const MAGIC_COOKIE = 0x2112a442;
/** Attributes in one message; a message with more is refused. */
const MAX_ATTRIBUTES = 64;

export const MESSAGE_INTEGRITY = 0x0008;
export const MESSAGE_INTEGRITY_SHA256 = 0x001c;
export const FINGERPRINT = 0x8028;

/** One attribute as it lies in a message. */
export interface RawAttribute {
  readonly type: number;
  /** Where its value begins in the message. */
  readonly at: number;
  /** Length of its value without padding, bytes. */
  readonly length: number;
}

/**
 * A decoded message. It is a view: it holds only as long as the bytes it was made of.
 *
 * ```text
 *  0                   1                   2                   3
 * |0 0|     type (14)             |         length (16)           |
 * |                     magic cookie 0x2112A442                   |
 * |                     transaction id (96 bits)                  |
 * |  attributes: type (16), length (16), value, padding to 4 …    |
 * ```
 */
export class StunMessage {
  readonly method: number;
  readonly class: MessageClass;
  readonly bytes: Buffer;
  /** Twelve bytes; sixteen in a message of RFC 3489, which has no cookie. */
  readonly transactionId: Buffer;
  /** In order, without those that MESSAGE-INTEGRITY or FINGERPRINT make meaningless (RFC 8489 section 14.5). */
  readonly attributes: readonly RawAttribute[];

  constructor(type: number, bytes: Buffer, attributes: readonly RawAttribute[]) {
    this.method = (type & 0x000f) | ((type & 0x00e0) >> 1) | ((type & 0x3e00) >> 2);
    this.class = CLASSES[((type & 0x0010) >> 4) | ((type & 0x0100) >> 7)] as MessageClass;
    this.bytes = bytes;
    this.attributes = attributes;
    this.transactionId = bytes.readUInt32BE(4) === MAGIC_COOKIE ? bytes.subarray(8, 20) : bytes.subarray(4, 20);
  }

  /** Whether a client of RFC 3489 made it: it wants MAPPED-ADDRESS and knows no XOR-MAPPED-ADDRESS. */
  get isClassic(): boolean {
    return this.transactionId.length === 16;
  }

  /** Whether it carries the attribute, well formed or not. */
  has(codec: { readonly type: number }): boolean {
    return this.raw(codec.type) !== undefined;
  }

  /** The value of the first such attribute; undefined when there is none or it is malformed ({@link has} tells which). */
  get<T>(codec: AttributeCodec<T>): T | undefined {
    const raw = this.raw(codec.type);
    return raw === undefined ? undefined : this.decode(codec, raw);
  }

  /** The values of all such attributes; undefined when one is malformed. */
  all<T>(codec: AttributeCodec<T>): T[] | undefined {
    const values: T[] = [];
    for (const raw of this.attributes) {
      if (raw.type !== codec.type) continue;
      const value = this.decode(codec, raw);
      if (value === undefined) return undefined;
      values.push(value);
    }
    return values;
  }

  /** The bytes of an attribute's value. */
  valueOf(raw: RawAttribute): Buffer {
    return this.bytes.subarray(raw.at, raw.at + raw.length);
  }

  raw(type: number): RawAttribute | undefined {
    for (const attribute of this.attributes) if (attribute.type === type) return attribute;
    return undefined;
  }

  private decode<T>(codec: AttributeCodec<T>, raw: RawAttribute): T | undefined {
    return codec.decode(this.valueOf(raw), this.bytes.subarray(4, 20));
  }
}

/** Whether a datagram may be a STUN message by its first byte (RFC 7983): the two upper bits are zero. */
export function isStun(bytes: Uint8Array): boolean {
  return bytes.length >= HEADER_BYTES && (bytes[0] as number) < 0x40;
}

/**
 * Decodes a message from a whole datagram or a whole frame of a stream; otherwise the reason why it is none. Never
 * throws. A message without the magic cookie is one of RFC 3489.
 */
export function decodeMessage(bytes: Buffer): StunMessage | string {
  if (bytes.length < HEADER_BYTES) return 'too-short';
  const type = bytes.readUInt16BE(0);
  if (type > 0x3fff) return 'not-stun';
  const length = bytes.readUInt16BE(2);
  if ((length & 3) !== 0) return 'length-not-padded';
  if (length + HEADER_BYTES !== bytes.length) return 'length-wrong';
  const attributes: RawAttribute[] = [];
  let at = HEADER_BYTES;
  /** The last kind of integrity met: what follows it is not protected and does not count. */
  let sealedBy = 0;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return 'attribute-cut';
    const attributeType = bytes.readUInt16BE(at);
    const attributeLength = bytes.readUInt16BE(at + 2);
    if (at + 4 + attributeLength > bytes.length) return 'attribute-cut';
    const follows = sealedBy === 0 || (sealedBy < attributeRank(attributeType) && attributeRank(attributeType) > 0);
    if (follows) {
      if (attributes.length === MAX_ATTRIBUTES) return 'too-many-attributes';
      attributes.push({ type: attributeType, at: at + 4, length: attributeLength });
      sealedBy = Math.max(sealedBy, attributeRank(attributeType));
    }
    at += 4 + ((attributeLength + 3) & ~3);
  }
  return new StunMessage(type, bytes, attributes);
}

/** MESSAGE-INTEGRITY may be followed by MESSAGE-INTEGRITY-SHA256, and both by FINGERPRINT. */
function attributeRank(type: number): number {
  if (type === MESSAGE_INTEGRITY) return 1;
  if (type === MESSAGE_INTEGRITY_SHA256) return 2;
  return type === FINGERPRINT ? 3 : 0;
}

/** The 14-bit type of a method and a class (RFC 8489 section 5). */
export function messageType(method: number, of: MessageClass): number {
  const number = CLASSES.indexOf(of);
  return (
    (method & 0x000f) | ((method & 0x0070) << 1) | ((method & 0x0f80) << 2) | ((number & 1) << 4) | ((number & 2) << 7)
  );
}
