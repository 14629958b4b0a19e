import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import { encodeNameConstraints, type NameConstraints } from './name-constraints.js';

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const NAME_CONSTRAINTS = '2.5.29.30';
/** Clocks of devices differ: what is issued now is valid since so long, ms. */
const BACKDATED_MS = 24 * 60 * 60_000;
const DAY_MS = 24 * 60 * 60_000;
const AUTHORITY_MS = 3650 * DAY_MS;
/** Apple's devices take no certificate that is valid for longer than 825 days; this is what public authorities give. */
const LEAF_MS = 397 * DAY_MS;

export interface Issuer {
  /** PEM. */
  readonly certificate: string;
  readonly privateKey: KeyObject;
}

/** A new key on P-256, which every TLS client takes. */
export function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
}

/** The certificate of an authority, signed by itself, as PEM. */
export async function issueAuthority(
  name: string,
  key: KeyObject,
  constraints: NameConstraints,
  nowMs: number,
): Promise<string> {
  const x509 = await loadX509();
  const keys = await importKeys(key);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serial(),
      name: new x509.Name([{ CN: [{ utf8String: name }] }]),
      notBefore: new Date(nowMs - BACKDATED_MS),
      notAfter: new Date(nowMs + AUTHORITY_MS),
      keys,
      signingAlgorithm: P256,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        new x509.Extension(NAME_CONSTRAINTS, true, encodeNameConstraints(constraints)),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    },
    webcrypto,
  );
  return `${certificate.toString('pem')}\n`;
}

/** A server's certificate for names and addresses, as PEM. */
export async function issueLeaf(
  issuer: Issuer,
  key: KeyObject,
  names: readonly string[],
  nowMs: number,
): Promise<string> {
  const x509 = await loadX509();
  const { publicKey } = await importKeys(key);
  const authority = new x509.X509Certificate(issuer.certificate);
  const signing = await importKeys(issuer.privateKey);
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serial(),
      subject: new x509.Name([{ CN: [{ utf8String: names[0] ?? 'localhost' }] }]),
      issuer: authority.subjectName,
      notBefore: new Date(nowMs - BACKDATED_MS),
      notAfter: new Date(Math.min(nowMs + LEAF_MS, authority.notAfter.getTime())),
      publicKey,
      signingKey: signing.privateKey,
      signingAlgorithm: P256,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
        ),
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(signing.publicKey),
      ],
    },
    webcrypto,
  );
  return `${certificate.toString('pem')}\n`;
}

/** A request for a certificate of names (PKCS #10), in DER. The names stand in its extension alone. */
export async function requestFor(key: KeyObject, names: readonly string[]): Promise<Uint8Array> {
  const x509 = await loadX509();
  const request = await x509.Pkcs10CertificateRequestGenerator.create(
    {
      keys: await importKeys(key),
      signingAlgorithm: P256,
      extensions: [new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns' as const, value })))],
    },
    webcrypto,
  );
  return new Uint8Array(request.rawData);
}

/** Loaded when first needed: it is large, and only making certificates needs it. */
async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  await import('reflect-metadata');
  return import('@peculiar/x509');
}

async function importKeys(
  key: KeyObject,
): Promise<{ publicKey: webcrypto.CryptoKey; privateKey: webcrypto.CryptoKey }> {
  const { subtle } = webcrypto;
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  return {
    publicKey: await subtle.importKey('spki', spki, P256, true, ['verify']),
    privateKey: await subtle.importKey('pkcs8', pkcs8, P256, false, ['sign']),
  };
}

/** Eight random bytes, positive and without leading zeros. */
function serial(): string {
  const bytes = randomBytes(8);
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40;
  return bytes.toString('hex');
}
