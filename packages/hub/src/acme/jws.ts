import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';

/** The public half of a key on P-256 as a JSON Web Key, its members in the order of RFC 7638 section 3. */
export interface PublicJwk {
  readonly crv: string;
  readonly kty: string;
  readonly x: string;
  readonly y: string;
}

export function publicJwk(key: KeyObject): PublicJwk {
  const { crv = '', kty = '', x = '', y = '' } = createPublicKey(key).export({ format: 'jwk' });
  return { crv, kty, x, y };
}

/** SHA-256 of a key (RFC 7638), base64url. */
export function thumbprint(key: KeyObject): string {
  return createHash('sha256')
    .update(JSON.stringify(publicJwk(key)))
    .digest('base64url');
}

/**
 * A body that is signed with ES256, as flattened JSON (RFC 7515 section 7.2.2). Without a payload it is what ACME calls
 * POST-as-GET (RFC 8555 section 6.3).
 */
export function signJws(key: KeyObject, header: Readonly<Record<string, unknown>>, payload?: unknown): string {
  const parts = {
    protected: base64url({ alg: 'ES256', ...header }),
    payload: payload === undefined ? '' : base64url(payload),
  };
  const signature = sign('sha256', Buffer.from(`${parts.protected}.${parts.payload}`), {
    key,
    dsaEncoding: 'ieee-p1363',
  });
  return JSON.stringify({ ...parts, signature: signature.toString('base64url') });
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
