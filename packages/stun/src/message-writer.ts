import { asBuffer } from '@atoll/base';
import type { AttributeCodec } from './attribute-codec.js';
import { fingerprintOf, INTEGRITY_BYTES, integrityOf } from './integrity.js';
import {
  FINGERPRINT,
  HEADER_BYTES,
  MAGIC_COOKIE,
  MESSAGE_INTEGRITY,
  MESSAGE_INTEGRITY_SHA256,
  type MessageClass,
  messageType,
  type StunMessage,
} from './message.js';

/** Most bytes of a message: its length field counts up to 65,532 behind the header. */
const MAX_BYTES = HEADER_BYTES + 65_532;
const FIRST_BYTES = 256;

/**
 * Writes one message.
 *
 * ```ts
 * const bytes = new MessageWriter(Method.binding, 'success', request.transactionId)
 *   .add(Attribute.xorMappedAddress, from)
 *   .addIntegrity(key)
 *   .finish(true);
 * ```
 */
export class MessageWriter {
  private bytes = Buffer.allocUnsafe(FIRST_BYTES);
  private at = HEADER_BYTES;
  private header: Uint8Array | undefined;

  /** `transactionId` has twelve bytes; sixteen (instead of the cookie too) answer a client of RFC 3489. */
  constructor(method: number, of: MessageClass, transactionId: Uint8Array) {
    this.bytes.writeUInt16BE(messageType(method, of), 0);
    if (transactionId.length === 16) this.bytes.set(transactionId, 4);
    else {
      this.bytes.writeUInt32BE(MAGIC_COOKIE, 4);
      this.bytes.set(transactionId, 8);
    }
  }

  /** The answer to a request. */
  static answer(request: StunMessage, of: 'success' | 'error'): MessageWriter {
    return new MessageWriter(request.method, of, request.transactionId);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.at;
  }

  add<T>(codec: AttributeCodec<T>, value: T): this {
    this.header ??= this.bytes.subarray(4, HEADER_BYTES);
    return this.addRaw(codec.type, codec.encode(value, this.header));
  }

  /** Adds an attribute by its number. Throws when the message would be longer than a message can be. */
  addRaw(type: number, value: Uint8Array): this {
    const padded = (value.length + 3) & ~3;
    this.reserve(4 + padded);
    const { bytes, at } = this;
    bytes.writeUInt16BE(type, at);
    bytes.writeUInt16BE(value.length, at + 2);
    asBuffer(value).copy(bytes, at + 4);
    bytes.fill(0, at + 4 + value.length, at + 4 + padded);
    this.at += 4 + padded;
    return this;
  }

  /** MESSAGE-INTEGRITY with this key (RFC 8489 section 14.5). */
  addIntegrity(key: Uint8Array): this {
    return this.addRaw(MESSAGE_INTEGRITY, integrityOf(this.bytes, this.at, key, 'sha1'));
  }

  /** MESSAGE-INTEGRITY-SHA256 with this key, cut to `valueBytes` (section 14.6). */
  addIntegritySha256(key: Uint8Array, valueBytes: number = INTEGRITY_BYTES.sha256): this {
    const whole = integrityOf(this.bytes, this.at, key, 'sha256', valueBytes);
    return this.addRaw(MESSAGE_INTEGRITY_SHA256, whole.subarray(0, valueBytes));
  }

  /** The finished bytes, with FINGERPRINT as the last attribute when asked for. */
  finish(hasFingerprint = false): Buffer {
    if (!hasFingerprint) {
      this.bytes.writeUInt16BE(this.at - HEADER_BYTES, 2);
      return this.bytes.subarray(0, this.at);
    }
    this.reserve(8);
    const { bytes, at } = this;
    bytes.writeUInt16BE(at + 8 - HEADER_BYTES, 2);
    bytes.writeUInt16BE(FINGERPRINT, at);
    bytes.writeUInt16BE(4, at + 2);
    bytes.writeUInt32BE(fingerprintOf(bytes, at), at + 4);
    this.at += 8;
    return bytes.subarray(0, this.at);
  }

  private reserve(more: number): void {
    const needed = this.at + more;
    if (needed <= this.bytes.length) return;
    if (needed > MAX_BYTES) throw new RangeError('a STUN message has at most 65,552 bytes');
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.bytes.length));
    this.bytes.copy(larger, 0, 0, this.at);
    this.bytes = larger;
  }
}
