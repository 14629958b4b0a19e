import { constants, createPublicKey, type KeyObject, publicEncrypt, randomBytes, verify } from 'node:crypto';
import { AtollError } from '@atoll/base';
import { encryptAesGcm } from './aes-gcm.js';
import { InfoHash, PkId } from './info-hash.js';

/** What PKCS #1 v1.5 padding takes of an RSA block, in bytes. */
const PADDING_BYTES = 11;
/** Keys remembered by their encoding: the same owners sign value after value. */
const MAX_REMEMBERED = 2048;
/** Larger encodings are no keys that anybody uses (RSA-16384 has about 2 kB). */
const MAX_KEY_BYTES = 8192;

const remembered = new Map<string, PublicKey>();

/** A public key and its two ids (protocol/dht.md 1, 11.1). */
export class PublicKey {
  /** DER `SubjectPublicKeyInfo`. */
  readonly spki: Buffer;
  readonly key: KeyObject;
  private shortId: InfoHash | undefined;
  private fullId: PkId | undefined;

  constructor(key: KeyObject) {
    this.key = key;
    this.spki = key.export({ type: 'spki', format: 'der' });
  }

  /** From DER `SubjectPublicKeyInfo` or PEM text as a stranger sent it; undefined when it is no key. */
  static decode(bytes: Buffer): PublicKey | undefined {
    if (bytes.length === 0 || bytes.length > MAX_KEY_BYTES) return undefined;
    const encoding = bytes.latin1Slice();
    const known = remembered.get(encoding);
    if (known !== undefined) return known;
    let key: PublicKey;
    try {
      const isPem = encoding.startsWith('-----BEGIN');
      key = new PublicKey(
        isPem ? createPublicKey(encoding) : createPublicKey({ key: bytes, format: 'der', type: 'spki' }),
      );
    } catch {
      return undefined;
    }
    if (remembered.size >= MAX_REMEMBERED) {
      const [oldest] = remembered.keys();
      if (oldest !== undefined) remembered.delete(oldest);
    }
    remembered.set(encoding, key);
    return key;
  }

  /** Short id: SHA-1 of the SPKI. */
  get id(): InfoHash {
    this.shortId ??= InfoHash.of(this.spki);
    return this.shortId;
  }

  /** Long id: SHA-256 of the SPKI. */
  get longId(): PkId {
    this.fullId ??= PkId.of(this.spki);
    return this.fullId;
  }

  get isRsa(): boolean {
    return this.key.asymmetricKeyType === 'rsa';
  }

  /** RSA modulus length in bytes; 0 for other keys. */
  get modulusBytes(): number {
    return this.isRsa ? (this.key.asymmetricKeyDetails?.modulusLength ?? 0) / 8 : 0;
  }

  equals(other: PublicKey): boolean {
    return this === other || this.spki.equals(other.spki);
  }

  /** RSA-SHA512 PKCS #1 v1.5. Other kinds of keys never verify (protocol/dht.md 11.1). */
  verify(bytes: Uint8Array, signature: Uint8Array): boolean {
    if (!this.isRsa) return false;
    try {
      return verify('sha512', bytes, this.key, signature);
    } catch {
      return false;
    }
  }

  /**
   * Seals bytes for the holder of the private key: RSA alone when they fit into one block, else a random AES key by
   * RSA and the bytes by AES-GCM (protocol/dht.md 11.3). Throws `IDENTITY_NOT_RSA` for other keys.
   */
  encrypt(plain: Uint8Array): Buffer {
    if (!this.isRsa)
      throw new AtollError('IDENTITY_NOT_RSA', 'Only RSA keys can be encrypted to; this key is of another kind.');
    const room = this.modulusBytes - PADDING_BYTES;
    if (plain.length <= room) return this.encryptBlock(plain);
    const key = randomBytes(room >= 32 ? 32 : room >= 24 ? 24 : 16);
    return Buffer.concat([this.encryptBlock(key), encryptAesGcm(key, plain)]);
  }

  toPem(): string {
    return this.key.export({ type: 'spki', format: 'pem' }).toString();
  }

  private encryptBlock(plain: Uint8Array): Buffer {
    return publicEncrypt({ key: this.key, padding: constants.RSA_PKCS1_PADDING }, plain);
  }
}
