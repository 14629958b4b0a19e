import { HEADER_BYTES } from './message.js';

/** Bytes in front of the data of a ChannelData message: channel number and length (RFC 8656 section 12.4). */
export const CHANNEL_HEADER_BYTES = 4;
/** Channel numbers that may be bound (RFC 8656 section 12). */
export const MIN_CHANNEL = 0x4000;
export const MAX_CHANNEL = 0x4fff;
/** RFC 5766 let clients choose up to here; the upper part is reserved now, but old clients use it. */
export const MAX_OLD_CHANNEL = 0x7ffe;

/** Whether a datagram is ChannelData by its first byte. */
export function isChannelData(bytes: Uint8Array): boolean {
  return bytes.length >= CHANNEL_HEADER_BYTES && ((bytes[0] as number) & 0xc0) === 0x40;
}

/** Number and data of a ChannelData message; padding after the data is allowed. Undefined when it is cut. */
export function decodeChannelData(bytes: Buffer): { readonly channel: number; readonly data: Buffer } | undefined {
  if (!isChannelData(bytes)) return undefined;
  const length = bytes.readUInt16BE(2);
  if (CHANNEL_HEADER_BYTES + length > bytes.length) return undefined;
  return {
    channel: bytes.readUInt16BE(0),
    data: bytes.subarray(CHANNEL_HEADER_BYTES, CHANNEL_HEADER_BYTES + length),
  };
}

/** A ChannelData message; in streams it is padded to a multiple of four (section 12.5). */
export function encodeChannelData(channel: number, data: Uint8Array, isPadded: boolean): Buffer {
  const length = CHANNEL_HEADER_BYTES + data.length;
  const bytes = Buffer.alloc(isPadded ? (length + 3) & ~3 : length);
  bytes.writeUInt16BE(channel, 0);
  bytes.writeUInt16BE(data.length, 2);
  bytes.set(data, CHANNEL_HEADER_BYTES);
  return bytes;
}

/**
 * The length of the message at the start of what a stream brought, with its padding: a STUN message or ChannelData.
 * 0 when more bytes are needed to know, undefined when it is neither: the stream is lost.
 */
export function frameBytes(bytes: Uint8Array): number | undefined {
  if (bytes.length === 0) return 0;
  const first = bytes[0] as number;
  if (first >= 0x80) return undefined;
  if (bytes.length < CHANNEL_HEADER_BYTES) return 0;
  const length = ((bytes[2] as number) << 8) | (bytes[3] as number);
  if (first >= 0x40) return CHANNEL_HEADER_BYTES + ((length + 3) & ~3);
  return (length & 3) === 0 ? HEADER_BYTES + length : undefined;
}

/** Cuts a stream into the messages it carries. Holds at most one unfinished message. */
export class StreamFramer {
  private rest: Buffer = Buffer.alloc(0);
  private isLost = false;

  /** Bytes of an unfinished message that wait. */
  get waitingBytes(): number {
    return this.rest.length;
  }

  /**
   * Takes what came and hands on every whole message, which is valid only during the call. False when the stream is no
   * STUN (any more). `deliver` may return false to have the rest left alone: {@link takeRest} gives it.
   */
  push(chunk: Buffer, deliver: (message: Buffer) => boolean | undefined): boolean {
    if (this.isLost) return false;
    let bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    for (;;) {
      const length = frameBytes(bytes);
      if (length === undefined) {
        this.isLost = true;
        this.rest = Buffer.alloc(0);
        return false;
      }
      if (length === 0 || length > bytes.length) break;
      const message = bytes.subarray(0, length);
      bytes = bytes.subarray(length);
      if (deliver(message) === false) break;
    }
    // A copy, so that a few bytes do not hold a large chunk alive.
    this.rest = bytes.length === 0 ? bytes : Buffer.from(bytes);
    return true;
  }

  /** What came behind the last message. */
  takeRest(): Buffer {
    const { rest } = this;
    this.rest = Buffer.alloc(0);
    return rest;
  }
}
