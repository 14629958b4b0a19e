import { type KeyObject, sign } from 'node:crypto';

/** Signature algorithms of RFC 7518 3.1 that push services ask for. */
export type JsonWebTokenAlgorithm = 'RS256' | 'ES256';

/**
 * A signed JSON Web Token in compact form (RFC 7515 7.1).
 *
 * @param key RSA for RS256, EC on P-256 for ES256.
 */
export function signJsonWebToken(
  algorithm: JsonWebTokenAlgorithm,
  header: Readonly<Record<string, string>>,
  claims: Readonly<Record<string, string | number>>,
  key: KeyObject,
): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: algorithm, ...header })}.${part(claims)}`;
  // RFC 7518 3.4: an ECDSA signature is r and s side by side, not the DER that Node makes by default.
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}
