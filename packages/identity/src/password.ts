import { createHash, randomBytes } from 'node:crypto';
import { decryptAesGcm, encryptAesGcm } from './aes-gcm.js';

const SALT_BYTES = 16;
const PASSES = 16;
const MEMORY_KIB = 65_536;
const RAW_BYTES = 32;
/** `Algorithm.Argon2i`: a const enum that isolated modules cannot read. */
const ARGON2I = 1;

/** Argon2i: 16 passes, 64 MiB, one lane, 32 bytes (protocol/dht.md 11.4). */
export type Argon2i = (password: string, salt: Buffer) => Promise<Buffer>;

/** The portable implementation: WebAssembly, works everywhere. Loaded when it is first needed: it is large. */
export const portableArgon2i: Argon2i = async (password, salt) => {
  const { argon2i } = await import('hash-wasm');
  const hash = await argon2i({
    password,
    salt,
    iterations: PASSES,
    memorySize: MEMORY_KIB,
    parallelism: 1,
    hashLength: RAW_BYTES,
    outputType: 'binary',
  });
  return Buffer.from(hash);
};

/** The native implementation, about ten times as fast; undefined where its package is not installed. */
export async function nativeArgon2i(): Promise<Argon2i | undefined> {
  try {
    const { hashRaw } = await import('@node-rs/argon2');
    return (password, salt) =>
      hashRaw(password, {
        salt,
        algorithm: ARGON2I,
        timeCost: PASSES,
        memoryCost: MEMORY_KIB,
        parallelism: 1,
        outputLen: RAW_BYTES,
      });
  } catch {
    return undefined;
  }
}

/** The AES-256 key of a password and salt. */
export async function keyOfPassword(password: string, salt: Buffer, argon2i?: Argon2i): Promise<Buffer> {
  const hash = argon2i ?? (await nativeArgon2i()) ?? portableArgon2i;
  return createHash('sha256')
    .update(await hash(password, salt))
    .digest();
}

/** Salt, then AES-GCM under the key of the password (protocol/dht.md 11.4). Takes a tenth of a second and 64 MiB. */
export async function encryptWithPassword(plain: Uint8Array, password: string): Promise<Buffer> {
  const salt = randomBytes(SALT_BYTES);
  return Buffer.concat([salt, encryptAesGcm(await keyOfPassword(password, salt), plain)]);
}

/** Opens what {@link encryptWithPassword} made; undefined for a wrong password or damaged bytes. */
export async function decryptWithPassword(sealed: Buffer, password: string): Promise<Buffer | undefined> {
  if (sealed.length < SALT_BYTES) return undefined;
  const key = await keyOfPassword(password, sealed.subarray(0, SALT_BYTES));
  return decryptAesGcm(key, sealed.subarray(SALT_BYTES));
}
