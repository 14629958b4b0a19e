import { existsSync, mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { generateIdentity, saveIdentity } from '@atoll/identity';
import type { TlsSettings } from '@atoll/turn';
import { turnStateDirectory } from './configuration.js';

const RSA_BITS = 2048;

/** A certificate of our own, for a server that was given none: made once and kept. */
export async function ownCertificate(): Promise<TlsSettings> {
  const directory = turnStateDirectory();
  const path = join(directory, 'turn-server');
  const files = { certificate: `${path}.crt`, privateKey: `${path}.pem` };
  if (!existsSync(files.certificate) || !existsSync(files.privateKey)) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    await saveIdentity(path, await generateIdentity(hostname(), Date.now(), { bits: RSA_BITS }));
  }
  return files;
}
