import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

const MAGIC = 0x41745131;
/** What every packet begins with, bytes; a hello and its answer are nothing else. */
export const HEADER_BYTES = 64;
const COOKIE_AT = 32;
export const COOKIE_BYTES = 16;
const TAG_AT = COOKIE_AT + COOKIE_BYTES;
const TAG_BYTES = 16;
/** Largest packet, UDP payload: what RTP packets of WebRTC come to. */
export const MAX_PACKET_BYTES = 1200;

const KINDS = ['hello', 'cookie', 'data', 'echo'] as const;
type QualityKind = (typeof KINDS)[number];

/** One packet of the quality test. */
export interface QualityPacket {
  readonly kind: QualityKind;
  /** Number of the stream in its session. */
  readonly stream: number;
  readonly sequence: number;
  /** When the responder received it, ms of its own clock; 0 in what it receives. */
  readonly theirMs: number;
  /** How many packets of the stream the responder received so far; 0 in what it receives. */
  readonly theirCount: number;
  /** Proof that the sender hears what is sent to its address; zeros in a hello. */
  readonly cookie: Buffer;
}

/** The key that a token stands for; both sides have to know the token. */
export function qualityKey(token: string): Buffer {
  return createHash('sha256').update(`atoll quality\0${token}`).digest();
}

/**
 * Writes a packet of `bytes` bytes (at least the header):
 *
 * ```text
 *  0 magic "AtQ1" (4)  kind (1)  stream (1)  zero (2)  sequence (4)  responder's count (4)
 * 16 responder's time, ms (float 64)  zero (8)
 * 32 cookie (16)
 * 48 HMAC-SHA-256 of bytes 0 to 47, cut to 16
 * 64 filler
 * ```
 */
export function encodeQuality(key: Uint8Array, packet: QualityPacket, bytes = HEADER_BYTES): Buffer {
  const out = Buffer.alloc(Math.max(HEADER_BYTES, bytes));
  out.writeUInt32BE(MAGIC, 0);
  out[4] = KINDS.indexOf(packet.kind) + 1;
  out[5] = packet.stream;
  out.writeUInt32BE(packet.sequence, 8);
  out.writeUInt32BE(packet.theirCount, 12);
  out.writeDoubleBE(packet.theirMs, 16);
  packet.cookie.copy(out, COOKIE_AT, 0, COOKIE_BYTES);
  tagOf(key, out).copy(out, TAG_AT);
  return out;
}

/** Reads a packet; the reason when it is none, or none of somebody who knows the token. The cookie is a view. */
export function decodeQuality(key: Uint8Array, bytes: Buffer): QualityPacket | string {
  if (bytes.length < HEADER_BYTES || bytes.length > MAX_PACKET_BYTES) return 'size';
  if (bytes.readUInt32BE(0) !== MAGIC) return 'magic';
  const kind = KINDS[(bytes[4] ?? 0) - 1];
  if (kind === undefined) return 'kind';
  if (!timingSafeEqual(tagOf(key, bytes), bytes.subarray(TAG_AT, TAG_AT + TAG_BYTES))) return 'tag';
  return {
    kind,
    stream: bytes[5] ?? 0,
    sequence: bytes.readUInt32BE(8),
    theirCount: bytes.readUInt32BE(12),
    theirMs: bytes.readDoubleBE(16),
    cookie: bytes.subarray(COOKIE_AT, COOKIE_AT + COOKIE_BYTES),
  };
}

function tagOf(key: Uint8Array, bytes: Buffer): Buffer {
  return createHmac('sha256', key).update(bytes.subarray(0, TAG_AT)).digest().subarray(0, TAG_BYTES);
}
