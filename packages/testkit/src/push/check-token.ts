import { type KeyObject, verify } from 'node:crypto';

/** Header and claims of a JSON Web Token whose signature is good, else undefined. */
export function checkToken(
  token: string,
  algorithm: 'RS256' | 'ES256',
  key: KeyObject,
):
  | { readonly header: Readonly<Record<string, unknown>>; readonly claims: Readonly<Record<string, unknown>> }
  | undefined {
  const [head = '', body = '', signature = '', ...more] = token.split('.');
  if (more.length > 0) return undefined;
  try {
    const parse = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
    const [header, claims] = [parse(head), parse(body)];
    const isGood = verify(
      'sha256',
      Buffer.from(`${head}.${body}`),
      { key, dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url'),
    );
    return isGood && header.alg === algorithm ? { header, claims } : undefined;
  } catch {
    return undefined;
  }
}
