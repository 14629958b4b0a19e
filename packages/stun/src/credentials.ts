import { createHash } from 'node:crypto';

/** Numbers of PASSWORD-ALGORITHM (RFC 8489 section 18.5). */
export const PASSWORD_ALGORITHM_MD5 = 1;
export const PASSWORD_ALGORITHM_SHA256 = 2;

/** Characters that SASLprep maps to nothing (RFC 3454 table B.1). */
const MAPPED_TO_NOTHING = /\u034f|[\u180b-\u180d]|[\ufe00-\ufe0f]|\u200d|[\u00ad\u1806\u200b\u200c\u2060\ufeff]/gu;
/** Spaces that become an ordinary one (RFC 3454 table C.1.2). */
const OTHER_SPACES = /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/gu;

/**
 * A name or password as SASLprep (RFC 4013) prepares it. Text of ASCII letters stays what it is; the OpaqueString
 * profile of RFC 8265, which RFC 8489 asks for, differs in compatibility characters only.
 */
export function prepared(text: string): string {
  return text.replace(MAPPED_TO_NOTHING, '').replace(OTHER_SPACES, ' ').normalize('NFKC');
}

/** Key of a long-term credential (RFC 8489 section 9.2.2): the hash of `user:realm:password`. */
export function longTermKey(user: string, realm: string, password: string, hash: 'md5' | 'sha256' = 'md5'): Buffer {
  return createHash(hash)
    .update(`${prepared(user)}:${prepared(realm)}:${prepared(password)}`)
    .digest();
}

/** Key of a short-term credential (section 9.1.1): the password itself. */
export function shortTermKey(password: string): Buffer {
  return Buffer.from(prepared(password));
}

/** USERHASH (section 14.4): SHA-256 of `user:realm`. */
export function userhash(user: string, realm: string): Buffer {
  return createHash('sha256')
    .update(`${prepared(user)}:${prepared(realm)}`)
    .digest();
}

const COOKIE = 'obMatJos2';
const COOKIE_BYTES = COOKIE.length + 4;

/** What a server says by the start of its nonce (RFC 8489 section 9.2). */
export interface NonceFeatures {
  readonly passwordAlgorithms: boolean;
  readonly usernameAnonymity: boolean;
}

/** The nonce cookie with the security features, to put in front of a nonce. */
export function nonceCookie({ passwordAlgorithms, usernameAnonymity }: NonceFeatures): string {
  // 24 bits, the first bit of the first byte being feature 0.
  return (
    COOKIE + Buffer.from([(passwordAlgorithms ? 0x80 : 0) | (usernameAnonymity ? 0x40 : 0), 0, 0]).toString('base64')
  );
}

/** The security features that a nonce announces; undefined when it has no cookie. */
export function nonceFeatures(nonce: string): NonceFeatures | undefined {
  if (!nonce.startsWith(COOKIE) || nonce.length < COOKIE_BYTES) return undefined;
  const bits = Buffer.from(nonce.slice(COOKIE.length, COOKIE_BYTES), 'base64')[0] ?? 0;
  return { passwordAlgorithms: (bits & 0x80) !== 0, usernameAnonymity: (bits & 0x40) !== 0 };
}
