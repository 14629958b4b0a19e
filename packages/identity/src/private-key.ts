import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  privateDecrypt,
  sign,
} from 'node:crypto';
import { promisify } from 'node:util';
import { AtollError } from '@atoll/base';
import { decryptAesGcm } from './aes-gcm.js';
import { PublicKey } from './public-key.js';

const generate = promisify(generateKeyPair);
const signInThread = promisify(sign) as (algorithm: string, data: Uint8Array, key: KeyObject) => Promise<Buffer>;

/** RSA length of new keys, in bits, as OpenDHT and Jami have it. */
export const DEFAULT_RSA_BITS = 4096;

/** A private key: RSA for values, EC (P-384) for authorities only (protocol/dht.md 11.1). */
export class PrivateKey {
  readonly key: KeyObject;
  readonly publicKey: PublicKey;

  constructor(key: KeyObject) {
    this.key = key;
    this.publicKey = new PublicKey(createPublicKey(key));
  }

  /** A new RSA key of so many bits, made in a worker thread; seconds for 4096. */
  static async generateRsa(bits = DEFAULT_RSA_BITS): Promise<PrivateKey> {
    const { privateKey } = await generate('rsa', { modulusLength: bits });
    return new PrivateKey(privateKey);
  }

  /** A new EC key on P-384. */
  static async generateEc(): Promise<PrivateKey> {
    const { privateKey } = await generate('ec', { namedCurve: 'P-384' });
    return new PrivateKey(privateKey);
  }

  /**
   * From PKCS #8 (also PKCS #1 or SEC 1), PEM or DER. Throws `IDENTITY_KEY_UNREADABLE`, also for a missing or wrong
   * password.
   */
  static decode(bytes: Uint8Array | string, password?: string): PrivateKey {
    const buffer = Buffer.from(bytes);
    const secret = password === undefined || password === '' ? {} : { passphrase: password };
    try {
      const isPem = buffer.includes('-----BEGIN');
      return new PrivateKey(
        isPem
          ? createPrivateKey({ key: buffer, format: 'pem', ...secret })
          : createPrivateKey({ key: buffer, format: 'der', type: 'pkcs8', ...secret }),
      );
    } catch (cause) {
      throw new AtollError(
        'IDENTITY_KEY_UNREADABLE',
        password === undefined
          ? 'The private key cannot be read: it is damaged, or protected by a password that was not given.'
          : 'The private key cannot be read: it is damaged, or the password is wrong.',
        { cause },
      );
    }
  }

  get isRsa(): boolean {
    return this.publicKey.isRsa;
  }

  /** RSA-SHA512 PKCS #1 v1.5 (protocol/dht.md 11.2); with an EC key ECDSA-SHA512, which peers never accept on values. */
  sign(bytes: Uint8Array): Buffer {
    return sign('sha512', bytes, this.key);
  }

  /** As {@link sign}, in a worker thread. */
  signAsync(bytes: Uint8Array): Promise<Buffer> {
    return signInThread('sha512', bytes, this.key);
  }

  /** Opens what {@link PublicKey.encrypt} sealed; undefined when it is not for this key or damaged. */
  decrypt(sealed: Buffer): Buffer | undefined {
    const block = this.publicKey.modulusBytes;
    if (block === 0 || sealed.length < block) return undefined;
    const head = this.decryptBlock(sealed.subarray(0, block));
    if (head === undefined || sealed.length === block) return head;
    return decryptAesGcm(head, sealed.subarray(block));
  }

  /** PKCS #8 PEM; with a password PBES2 with AES-256 (protocol/dht.md 11.5). */
  toPem(password?: string): string {
    const protection = password === undefined || password === '' ? {} : { cipher: 'aes-256-cbc', passphrase: password };
    return this.key.export({ type: 'pkcs8', format: 'pem', ...protection }).toString();
  }

  /** PKCS #8 DER. */
  toDer(): Buffer {
    return this.key.export({ type: 'pkcs8', format: 'der' });
  }

  private decryptBlock(sealed: Buffer): Buffer | undefined {
    // Node refuses PKCS #1 v1.5 decryption (CVE-2023-46809), which this protocol is made of, so the padding is taken
    // off here, looking at every byte whatever they are. Values are answered to nobody, so there is no oracle to time.
    let padded: Buffer;
    try {
      padded = privateDecrypt({ key: this.key, padding: constants.RSA_NO_PADDING }, sealed);
    } catch {
      return undefined;
    }
    return unpad(padded);
  }
}

/** The message in an RSAES-PKCS1-v1_5 block (RFC 8017 section 7.2.2): 00 02, at least 8 non-zero bytes, 00, message. */
function unpad(padded: Buffer): Buffer | undefined {
  let separator = 0;
  let isLooking = 1;
  for (let i = 2; i < padded.length; i++) {
    const isZero = padded[i] === 0 ? 1 : 0;
    separator |= isLooking & isZero ? i : 0;
    isLooking &= 1 - isZero;
  }
  const isBad = (padded[0] as number) | ((padded[1] as number) ^ 2) | isLooking | (separator < 10 ? 1 : 0);
  return isBad === 0 ? padded.subarray(separator + 1) : undefined;
}
