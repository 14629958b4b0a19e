import { createHmac, hash as digestOf, timingSafeEqual } from 'node:crypto';
import { crc32 } from './crc32.js';
import { FINGERPRINT, HEADER_BYTES, MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256, type StunMessage } from './message.js';

/** What the CRC-32 of FINGERPRINT is mixed with: “STUN”. */
const FINGERPRINT_XOR = 0x5354554e;

/** Bytes of the two HMACs. */
export const INTEGRITY_BYTES = { sha1: 20, sha256: 32 } as const;

/** Of SHA-1 and SHA-256: a key of an HMAC is filled up to it (RFC 2104). */
const BLOCK_BYTES = 64;
const [INNER_PAD, OUTER_PAD] = [0x36, 0x5c];
/** Longer messages than any request or answer has take the slower way. */
const SCRATCH_MESSAGE_BYTES = 2048;
const inner = Buffer.alloc(BLOCK_BYTES + SCRATCH_MESSAGE_BYTES);
const outer = {
  sha1: Buffer.alloc(BLOCK_BYTES + INTEGRITY_BYTES.sha1),
  sha256: Buffer.alloc(BLOCK_BYTES + INTEGRITY_BYTES.sha256),
};

/** The HMAC over a message up to `end`, as if the integrity attribute were its last one. */
export function integrityOf(
  bytes: Buffer,
  end: number,
  key: Uint8Array,
  hash: 'sha1' | 'sha256',
  valueBytes: number = INTEGRITY_BYTES[hash],
): Buffer {
  const length = end - HEADER_BYTES + 4 + valueBytes;
  if (end > SCRATCH_MESSAGE_BYTES || key.length > BLOCK_BYTES) {
    const header = Buffer.from(bytes.subarray(0, HEADER_BYTES));
    header.writeUInt16BE(length, 2);
    return createHmac(hash, key).update(header).update(bytes.subarray(HEADER_BYTES, end)).digest();
  }
  // RFC 2104 with two hashes at one go each: an Hmac object costs as much as both, and the garbage collector more.
  const around = outer[hash];
  for (let at = 0; at < BLOCK_BYTES; at++) {
    const byte = at < key.length ? (key[at] as number) : 0;
    inner[at] = byte ^ INNER_PAD;
    around[at] = byte ^ OUTER_PAD;
  }
  bytes.copy(inner, BLOCK_BYTES, 0, end);
  inner.writeUInt16BE(length, BLOCK_BYTES + 2);
  around.latin1Write(digestOf(hash, inner.subarray(0, BLOCK_BYTES + end), 'binary'), BLOCK_BYTES);
  return digestOf(hash, around, 'buffer');
}

/** The value of FINGERPRINT for a message up to `end`, whose header already counts the attribute. */
export function fingerprintOf(bytes: Uint8Array, end: number): number {
  return (crc32(bytes, end) ^ FINGERPRINT_XOR) >>> 0;
}

/** Whether MESSAGE-INTEGRITY is there and made with this key (RFC 8489 section 14.5). */
export function hasValidIntegrity(message: StunMessage, key: Uint8Array): boolean {
  const raw = message.raw(MESSAGE_INTEGRITY);
  if (raw === undefined || raw.length !== INTEGRITY_BYTES.sha1) return false;
  return timingSafeEqual(integrityOf(message.bytes, raw.at - 4, key, 'sha1'), message.valueOf(raw));
}

/** Whether MESSAGE-INTEGRITY-SHA256 is there and made with this key; it may be cut to 16 bytes (section 14.6). */
export function hasValidIntegritySha256(message: StunMessage, key: Uint8Array): boolean {
  const raw = message.raw(MESSAGE_INTEGRITY_SHA256);
  if (raw === undefined || raw.length < 16 || raw.length > INTEGRITY_BYTES.sha256 || raw.length % 4 !== 0) return false;
  const whole = integrityOf(message.bytes, raw.at - 4, key, 'sha256', raw.length);
  return timingSafeEqual(whole.subarray(0, raw.length), message.valueOf(raw));
}

/** Whether FINGERPRINT is there, last, and right (section 14.7). */
export function hasValidFingerprint(message: StunMessage): boolean {
  const raw = message.raw(FINGERPRINT);
  if (raw === undefined || raw.length !== 4 || raw.at + 4 !== message.bytes.length) return false;
  return message.valueOf(raw).readUInt32BE() === fingerprintOf(message.bytes, raw.at - 4);
}
