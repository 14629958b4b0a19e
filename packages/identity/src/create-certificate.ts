import { type KeyObject, randomBytes, webcrypto } from 'node:crypto';
import { AtollError } from '@atoll/base';
import type { Name } from '@peculiar/x509';
import { Certificate } from './certificate.js';
import type { Identity } from './identity.js';
import type { PrivateKey } from './private-key.js';
import type { PublicKey } from './public-key.js';

const UID = '0.9.2342.19200300.100.1.1';
const CN = '2.5.4.3';
const YEAR_MS = 365 * 24 * 60 * 60_000;
const DEFAULT_VALIDITY_MS = 10 * YEAR_MS;

export interface CertificateRequest {
  /** Common name. */
  readonly name: string;
  readonly key: PrivateKey;
  /** Who signs; self-signed when left out. */
  readonly issuer?: Identity | undefined;
  readonly isCa: boolean;
  /** UNIX ms; now when left out. */
  readonly validFromMs: number;
  readonly validityMs?: number;
}

/** A new X.509 certificate with names, ids and usages as OpenDHT makes them (protocol/dht.md 11.5). */
export async function createCertificate(request: CertificateRequest): Promise<Certificate> {
  const { key, issuer, isCa, validFromMs } = request;
  const signer = issuer?.privateKey ?? key;
  const x509 = await loadX509();
  const { BasicConstraintsExtension, KeyUsageFlags, KeyUsagesExtension, SubjectKeyIdentifierExtension } = x509;
  const nameOf = (name: string, owner: PublicKey): Name =>
    new x509.Name([{ [CN]: [{ utf8String: name }] }, { [UID]: [{ utf8String: owner.id.toString() }] }]);
  const subject = nameOf(request.name, key.publicKey);
  const generated = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serial(),
      subject,
      issuer: issuer === undefined ? subject : nameOf(issuer.certificate.name, issuer.certificate.publicKey),
      notBefore: new Date(validFromMs),
      notAfter: new Date(validFromMs + (request.validityMs ?? DEFAULT_VALIDITY_MS)),
      publicKey: await importPublic(key.publicKey.key),
      signingKey: await importPrivate(signer.key),
      signingAlgorithm: algorithmOf(signer.key),
      extensions: [
        new BasicConstraintsExtension(isCa, undefined, true),
        new KeyUsagesExtension(
          isCa
            ? KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign
            : KeyUsageFlags.digitalSignature | KeyUsageFlags.dataEncipherment,
          true,
        ),
        new SubjectKeyIdentifierExtension(key.publicKey.id.toString()),
      ],
    },
    webcrypto,
  );
  const certificate = Certificate.decode(Buffer.from(generated.rawData));
  if (certificate === undefined) {
    throw new AtollError('IDENTITY_CERTIFICATE_NOT_MADE', 'The new certificate cannot be read back.');
  }
  return certificate.withIssuer(issuer?.certificate);
}

/** Loaded when first needed: it is large, and only making certificates needs it. */
async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  await import('reflect-metadata');
  return import('@peculiar/x509');
}

/** Eight random bytes, positive and without leading zeros. */
function serial(): string {
  const bytes = randomBytes(8);
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function algorithmOf(
  key: KeyObject,
): webcrypto.RsaHashedImportParams | (webcrypto.EcKeyImportParams & { hash: string }) {
  return key.asymmetricKeyType === 'rsa'
    ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-384' }
    : { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' };
}

function importPrivate(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ type: 'pkcs8', format: 'der' });
  return webcrypto.subtle.importKey('pkcs8', der, algorithmOf(key), true, ['sign']);
}

function importPublic(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ type: 'spki', format: 'der' });
  return webcrypto.subtle.importKey('spki', der, algorithmOf(key), true, ['verify']);
}
