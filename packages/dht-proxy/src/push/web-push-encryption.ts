import { createCipheriv, createDecipheriv, createECDH, createHmac, type ECDH } from 'node:crypto';
import type { RandomSource } from '@atoll/base';

const CURVE = 'prime256v1';
const PUBLIC_KEY_BYTES = 65;
const AUTH_BYTES = 16;
const SALT_BYTES = 16;
const TAG_BYTES = 16;
const HEADER_BYTES = SALT_BYTES + 4 + 1 + PUBLIC_KEY_BYTES;
/** Record size written into the header, unless the record is longer. */
const RECORD_BYTES = 4096;
/** Mark of the last record (RFC 8188 2). */
const LAST_RECORD = 2;

/** What encryption adds to a plaintext: header, mark and tag. */
export const WEB_PUSH_OVERHEAD_BYTES = HEADER_BYTES + 1 + TAG_BYTES;

/** What a Web Push client hands out (RFC 8291 2). */
export interface WebPushKeys {
  /** P-256 point, uncompressed, 65 bytes (`p256dh`). */
  readonly publicKey: Buffer;
  /** 16 bytes (`auth`). */
  readonly authSecret: Buffer;
}

/**
 * Keys from the topic of a UnifiedPush client, `<p256dh>|<auth>` in base64 or base64url, padded or not
 * (protocol/dht-proxy.md 14.4). Undefined when the client offers none, a reason when they are damaged.
 */
export function parseWebPushKeys(topic: string): WebPushKeys | string | undefined {
  const [publicText = '', authText = '', ...more] = topic.split('|');
  if (publicText === '' || authText === '' || more.length > 0) return undefined;
  if (!/^[\w+/-]+={0,2}$/.test(publicText) || !/^[\w+/-]+={0,2}$/.test(authText)) return 'keys are not base64';
  // Node's base64 decoder reads both alphabets.
  const publicKey = Buffer.from(publicText, 'base64');
  const authSecret = Buffer.from(authText, 'base64');
  if (publicKey.length !== PUBLIC_KEY_BYTES || publicKey[0] !== 4) return 'p256dh is no uncompressed P-256 point';
  if (authSecret.length !== AUTH_BYTES) return 'auth is not 16 bytes';
  const probe = createECDH(CURVE);
  probe.setPrivateKey(Buffer.alloc(32, 1));
  if (sharedSecret(probe, publicKey) === undefined) return 'p256dh is not on the curve';
  return { publicKey, authSecret };
}

/** For reproducing published examples: the sender's key and the salt, which are otherwise random. */
export interface WebPushFixedInputs {
  readonly senderPrivateKey: Buffer;
  readonly salt: Buffer;
}

/** Encrypts one message with `aes128gcm` (RFC 8291, RFC 8188) in a single record; keys are of {@link parseWebPushKeys}. */
export function encryptWebPush(
  plaintext: Uint8Array,
  keys: WebPushKeys,
  random: RandomSource,
  fixed?: WebPushFixedInputs,
): Buffer {
  const sender = createECDH(CURVE);
  if (fixed === undefined) sender.generateKeys();
  else sender.setPrivateKey(fixed.senderPrivateKey);
  const salt = fixed?.salt ?? random.bytes(SALT_BYTES);
  const senderPublicKey = sender.getPublicKey();
  const secret = sender.computeSecret(keys.publicKey);
  const { key, nonce } = contentKeys(secret, keys, senderPublicKey, salt);
  const cipher = createCipheriv('aes-128-gcm', key, nonce);
  const sealed = Buffer.concat([
    cipher.update(plaintext),
    cipher.update(Buffer.from([LAST_RECORD])),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
  const header = Buffer.alloc(HEADER_BYTES);
  salt.copy(header);
  header.writeUInt32BE(Math.max(RECORD_BYTES, sealed.length), SALT_BYTES);
  header[SALT_BYTES + 4] = PUBLIC_KEY_BYTES;
  senderPublicKey.copy(header, SALT_BYTES + 5);
  return Buffer.concat([header, sealed]);
}

/** The receiving side: opens a message of a single record with the client's private key, or says why not. */
export function decryptWebPush(body: Buffer, privateKey: Buffer, authSecret: Buffer): Buffer | string {
  if (body.length < WEB_PUSH_OVERHEAD_BYTES) return 'too short';
  if (body[SALT_BYTES + 4] !== PUBLIC_KEY_BYTES) return 'key id is no P-256 point';
  const salt = body.subarray(0, SALT_BYTES);
  const senderPublicKey = body.subarray(SALT_BYTES + 5, HEADER_BYTES);
  const sealed = body.subarray(HEADER_BYTES);
  if (sealed.length > body.readUInt32BE(SALT_BYTES)) return 'more than one record';
  const receiver = createECDH(CURVE);
  receiver.setPrivateKey(privateKey);
  const secret = sharedSecret(receiver, senderPublicKey);
  if (secret === undefined) return 'sender key is not on the curve';
  const keys = { publicKey: receiver.getPublicKey(), authSecret };
  const { key, nonce } = contentKeys(secret, keys, senderPublicKey, salt);
  const decipher = createDecipheriv('aes-128-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  try {
    const padded = Buffer.concat([decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES)), decipher.final()]);
    const mark = padded.findLastIndex((byte) => byte !== 0);
    return padded[mark] === LAST_RECORD ? padded.subarray(0, mark) : 'no end of record';
  } catch {
    return 'damaged, or for another key';
  }
}

function sharedSecret(own: ECDH, theirs: Buffer): Buffer | undefined {
  try {
    return own.computeSecret(theirs);
  } catch {
    return undefined;
  }
}

/** RFC 8291 3.3 and 3.4, then RFC 8188 2.2 and 2.3. Each step is an HKDF of one block, hence plain HMACs. */
function contentKeys(
  secret: Buffer,
  keys: WebPushKeys,
  senderPublicKey: Buffer,
  salt: Buffer,
): { key: Buffer; nonce: Buffer } {
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), keys.publicKey, senderPublicKey]);
  const input = expand(hmac(keys.authSecret, secret), info, 32);
  const pseudorandom = hmac(salt, input);
  return {
    key: expand(pseudorandom, Buffer.from('Content-Encoding: aes128gcm\0'), 16),
    nonce: expand(pseudorandom, Buffer.from('Content-Encoding: nonce\0'), 12),
  };
}

function hmac(key: Buffer, data: Buffer): Buffer {
  return createHmac('sha256', key).update(data).digest();
}

function expand(key: Buffer, info: Buffer, length: number): Buffer {
  return hmac(key, Buffer.concat([info, Buffer.from([1])])).subarray(0, length);
}
