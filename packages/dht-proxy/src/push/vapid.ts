import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { AtollError, type Clock, errorCode, errorMessage } from '@atoll/base';
import { signJsonWebToken } from './json-web-token.js';

/** Life of a token, s; RFC 8292 2 allows 24 hours. */
const TOKEN_SECONDS = 12 * 3600;
/** A token is used until so much of its life is left, s. */
const RENEW_SECONDS = 3600;
/** Tokens kept, one for each origin. */
const MOST_TOKENS = 1000;

/** The proxy's own key towards Web Push services (RFC 8292): they know it again, and can write to the operator. */
export class VapidKey {
  /** The public key as clients need it for their registration: 65 bytes, base64url. */
  readonly publicKey: string;
  private readonly key: KeyObject;
  private readonly tokens = new Map<string, { readonly token: string; readonly expires: number }>();

  /** Throws `PUSH_KEY_UNUSABLE` when the key is not on P-256. */
  constructor(key: KeyObject) {
    const { crv, x = '', y = '' } = createPublicKey(key).export({ format: 'jwk' });
    if (crv !== 'P-256') throw new AtollError('PUSH_KEY_UNUSABLE', 'A VAPID key must be an EC key on P-256.');
    this.key = key;
    this.publicKey = Buffer.concat([
      Buffer.from([4]),
      Buffer.from(x, 'base64url'),
      Buffer.from(y, 'base64url'),
    ]).toString('base64url');
  }

  /** A new key, kept nowhere. */
  static generate(): VapidKey {
    return new VapidKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
  }

  /** The key of a file (PKCS #8, PEM), which is made with mode 0600 when it is missing. */
  static loadOrCreate(path: string): VapidKey {
    try {
      return new VapidKey(createPrivateKey(readFileSync(path)));
    } catch (cause) {
      if (errorCode(cause) !== 'ENOENT') {
        throw new AtollError('PUSH_KEY_UNUSABLE', `The VAPID key ${path} cannot be used: ${errorMessage(cause)}`, {
          cause,
        });
      }
    }
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const file = openSync(`${path}.new`, 'w', 0o600);
    writeSync(file, privateKey.export({ format: 'pem', type: 'pkcs8' }).toString());
    fsyncSync(file);
    closeSync(file);
    renameSync(`${path}.new`, path);
    return new VapidKey(privateKey);
  }

  /**
   * Value of the `Authorization` header for a push service (RFC 8292 3).
   *
   * @param origin Scheme, host and port of the endpoint.
   * @param contact `mailto:` or `https:` address of the operator, for the claim `sub`; left out when empty.
   */
  authorization(origin: string, contact: string, clock: Clock): string {
    const now = Math.floor(clock.unixMs() / 1000);
    const known = this.tokens.get(origin);
    if (known !== undefined && known.expires - now > RENEW_SECONDS && known.expires - now <= TOKEN_SECONDS) {
      return `vapid t=${known.token}, k=${this.publicKey}`;
    }
    const expires = now + TOKEN_SECONDS;
    const claims = { aud: origin, exp: expires, ...(contact === '' ? {} : { sub: contact }) };
    const token = signJsonWebToken('ES256', { typ: 'JWT' }, claims, this.key);
    const oldest = this.tokens.keys().next().value;
    if (this.tokens.size >= MOST_TOKENS && oldest !== undefined) this.tokens.delete(oldest);
    this.tokens.delete(origin);
    this.tokens.set(origin, { token, expires });
    return `vapid t=${token}, k=${this.publicKey}`;
  }
}
