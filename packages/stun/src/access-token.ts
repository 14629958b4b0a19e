import { createCipheriv, createDecipheriv } from 'node:crypto';

/** What a token of RFC 7635 section 6.2 says. */
export interface AccessToken {
  /** Key of MESSAGE-INTEGRITY. */
  readonly macKey: Buffer;
  /** When it was made: seconds since 1970, fractions in 1/64000. */
  readonly timestamp: number;
  /** How long it is good for, seconds. */
  readonly lifetimeSeconds: number;
}

const TAG_BYTES = 16;
const MAX_NONCE_BYTES = 256;
const MAX_MAC_KEY_BYTES = 256;

/**
 * Seals a token:
 *
 * ```text
 * nonce length (16) | nonce | AES-GCM( key length (16) | mac key | timestamp (48.16) | lifetime (32) ) | tag (128)
 * ```
 * The server's name is authenticated with it. `key` has 16 or 32 bytes, `nonce` usually 12.
 */
export function sealAccessToken(
  token: AccessToken,
  { key, nonce, serverName }: { key: Uint8Array; nonce: Uint8Array; serverName: string },
): Buffer {
  const plain = Buffer.alloc(2 + token.macKey.length + 12);
  plain.writeUInt16BE(token.macKey.length, 0);
  plain.set(token.macKey, 2);
  const at = 2 + token.macKey.length;
  const seconds = Math.floor(token.timestamp);
  plain.writeBigUInt64BE((BigInt(seconds) << 16n) | BigInt(Math.round((token.timestamp - seconds) * 64_000)), at);
  plain.writeUInt32BE(token.lifetimeSeconds, at + 8);
  const cipher = createCipheriv(algorithm(key), key, nonce);
  cipher.setAAD(Buffer.from(serverName));
  const length = Buffer.alloc(2);
  length.writeUInt16BE(nonce.length);
  return Buffer.concat([length, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Opens a token; undefined when it was not made for this server with this key, or is malformed. Never throws. */
export function openAccessToken(
  bytes: Uint8Array,
  { key, serverName }: { key: Uint8Array; serverName: string },
): AccessToken | undefined {
  if (bytes.length < 2 || (key.length !== 16 && key.length !== 32)) return undefined;
  const token = Buffer.from(bytes);
  const nonceBytes = token.readUInt16BE(0);
  const at = 2 + nonceBytes;
  if (nonceBytes === 0 || nonceBytes > MAX_NONCE_BYTES || token.length < at + 14 + TAG_BYTES) return undefined;
  let plain: Buffer;
  try {
    const decipher = createDecipheriv(algorithm(key), key, token.subarray(2, at));
    decipher.setAAD(Buffer.from(serverName));
    decipher.setAuthTag(token.subarray(token.length - TAG_BYTES));
    plain = Buffer.concat([decipher.update(token.subarray(at, token.length - TAG_BYTES)), decipher.final()]);
  } catch {
    return undefined;
  }
  const keyBytes = plain.readUInt16BE(0);
  if (keyBytes > MAX_MAC_KEY_BYTES || plain.length < 2 + keyBytes + 12) return undefined;
  const time = plain.readBigUInt64BE(2 + keyBytes);
  return {
    macKey: plain.subarray(2, 2 + keyBytes),
    timestamp: Number(time >> 16n) + Number(time & 0xffffn) / 64_000,
    lifetimeSeconds: plain.readUInt32BE(2 + keyBytes + 8),
  };
}

function algorithm(key: Uint8Array): 'aes-128-gcm' | 'aes-256-gcm' {
  return key.length === 16 ? 'aes-128-gcm' : 'aes-256-gcm';
}
