import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Bytes that AES-GCM adds to a plaintext. */
const AES_GCM_OVERHEAD_BYTES = IV_BYTES + TAG_BYTES;

/** IV (12 random bytes), ciphertext, tag (16 bytes). The key has 16, 24 or 32 bytes (protocol/dht.md 11.3). */
export function encryptAesGcm(key: Uint8Array, plain: Uint8Array): Buffer {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(algorithm(key), key, iv) as ReturnType<typeof createCipheriv> & {
    getAuthTag(): Buffer;
  };
  return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Opens what {@link encryptAesGcm} made; undefined when it is damaged or the key is another. */
export function decryptAesGcm(key: Uint8Array, sealed: Buffer): Buffer | undefined {
  if (sealed.length < AES_GCM_OVERHEAD_BYTES || ![16, 24, 32].includes(key.length)) return undefined;
  const decipher = createDecipheriv(algorithm(key), key, sealed.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  try {
    const plain = decipher.update(sealed.subarray(IV_BYTES, sealed.length - TAG_BYTES));
    return Buffer.concat([plain, decipher.final()]);
  } catch {
    return undefined;
  }
}

function algorithm(key: Uint8Array): 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm' {
  if (key.length === 16) return 'aes-128-gcm';
  return key.length === 24 ? 'aes-192-gcm' : 'aes-256-gcm';
}
