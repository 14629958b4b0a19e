import { open, readFile, rename } from 'node:fs/promises';
import { AtollError, errorMessage } from '@atoll/base';
import { Certificate } from './certificate.js';
import { createCertificate } from './create-certificate.js';
import { DEFAULT_RSA_BITS, PrivateKey } from './private-key.js';

/** A private key with its certificate. */
export interface Identity {
  readonly privateKey: PrivateKey;
  readonly certificate: Certificate;
}

export interface NewIdentity {
  /** Signs the certificate; without one the identity is an authority itself, as OpenDHT has it. */
  readonly issuer?: Identity | undefined;
  /** RSA unless 'ec', which serves authorities only. */
  readonly kind?: 'rsa' | 'ec';
  /** RSA length; 4096 when left out. */
  readonly bits?: number;
  /** Whether it may sign others; by default when there is no issuer. */
  readonly isCa?: boolean;
}

/** A new key with a certificate valid for ten years from `nowUnixMs`. */
export async function generateIdentity(name: string, nowUnixMs: number, options: NewIdentity = {}): Promise<Identity> {
  const privateKey =
    options.kind === 'ec'
      ? await PrivateKey.generateEc()
      : await PrivateKey.generateRsa(options.bits ?? DEFAULT_RSA_BITS);
  const certificate = await createCertificate({
    name,
    key: privateKey,
    issuer: options.issuer,
    isCa: options.isCa ?? options.issuer === undefined,
    validFromMs: nowUnixMs,
  });
  return { privateKey, certificate };
}

/** Writes `path.pem` (key, readable by the owner only) and `path.crt` (chain, leaf first), each whole or not at all. */
export async function saveIdentity(path: string, identity: Identity, password?: string): Promise<void> {
  await writeWhole(`${path}.pem`, identity.privateKey.toPem(password), 0o600);
  await writeWhole(`${path}.crt`, identity.certificate.toPem(), 0o644);
}

/** Reads a key file and a certificate file. Throws an error that names the file at fault. */
export async function loadIdentity(
  certificatePath: string,
  privateKeyPath: string,
  password?: string,
): Promise<Identity> {
  const certificate = Certificate.decode(await read(certificatePath));
  if (certificate === undefined) {
    throw new AtollError('IDENTITY_CERTIFICATE_UNREADABLE', `${certificatePath} holds no certificate.`);
  }
  const keyBytes = await read(privateKeyPath);
  let privateKey: PrivateKey;
  try {
    privateKey = PrivateKey.decode(keyBytes, password);
  } catch (cause) {
    throw new AtollError('IDENTITY_KEY_UNREADABLE', `${privateKeyPath}: ${errorMessage(cause)}`, { cause });
  }
  if (!privateKey.publicKey.equals(certificate.publicKey)) {
    throw new AtollError(
      'IDENTITY_MISMATCH',
      `The key in ${privateKeyPath} is not the one certified in ${certificatePath}.`,
    );
  }
  return { privateKey, certificate };
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new AtollError('IDENTITY_FILE_UNREADABLE', `${path} cannot be read: ${errorMessage(cause)}`, { cause });
  }
}

async function writeWhole(path: string, text: string, mode: number): Promise<void> {
  const draft = `${path}.${process.pid}.new`;
  const file = await open(draft, 'w', mode);
  try {
    await file.chmod(mode);
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
}
