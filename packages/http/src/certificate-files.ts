import { readFile, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { AtollError, errorMessage } from '@atoll/base';

/** Certificate and key of an HTTPS listener. What begins with `-----BEGIN` is PEM itself, anything else a file of it. */
export interface CertificateFiles {
  /** The certificate, with its chain behind it. */
  readonly certificate: string;
  readonly privateKey: string;
  readonly password?: string | undefined;
  /** Whether clients are asked for a certificate, or let in with one only. Not at all when left out. */
  readonly clientCertificates?: 'asked' | 'required';
  /** Authorities that vouch for clients' certificates. */
  readonly clientAuthority?: string | undefined;
}

/**
 * Reads and checks certificate and key. Fails with `HTTP_CERTIFICATE_UNREADABLE`, naming file, user and mode, or
 * `HTTP_CERTIFICATE_UNUSABLE` when they do not belong together or are damaged.
 */
export async function readCertificate(files: CertificateFiles): Promise<SecureContextOptions> {
  const [cert, key, ca] = await Promise.all([
    readPem(files.certificate, 'certificate'),
    readPem(files.privateKey, 'private key'),
    files.clientAuthority === undefined ? undefined : readPem(files.clientAuthority, 'client authority'),
  ]);
  const secret = files.password === undefined ? {} : { passphrase: files.password };
  const options: SecureContextOptions = { cert, key, minVersion: 'TLSv1.2', ...secret };
  if (ca !== undefined) options.ca = ca;
  try {
    createSecureContext(options);
  } catch (cause) {
    throw new AtollError(
      'HTTP_CERTIFICATE_UNUSABLE',
      `The certificate ${named(files.certificate)} and the private key ${named(files.privateKey)} cannot be used: ${errorMessage(cause)}`,
      { cause },
    );
  }
  return options;
}

/** Changes when one of the files does. */
export async function certificateStamp(files: CertificateFiles): Promise<string> {
  const paths = [files.certificate, files.privateKey, files.clientAuthority ?? ''].filter((entry) => !isPem(entry));
  const stamps = paths.map(async (path) => {
    if (path === '') return '';
    const { mtimeMs, size, ino } = await stat(path);
    return `${mtimeMs} ${size} ${ino}`;
  });
  return (await Promise.all(stamps)).join(';');
}

function isPem(text: string): boolean {
  return text.startsWith('-----BEGIN');
}

function named(text: string): string {
  return isPem(text) ? 'given as PEM' : text;
}

async function readPem(source: string, what: string): Promise<string> {
  if (isPem(source)) return source;
  try {
    return await readFile(source, 'utf8');
  } catch (cause) {
    const mode = await stat(source).then(
      (facts) => ` (its mode is 0${(facts.mode & 0o777).toString(8)})`,
      () => '',
    );
    throw new AtollError(
      'HTTP_CERTIFICATE_UNREADABLE',
      `The ${what} ${source} cannot be read by ${userInfo().username}${mode}: ${errorMessage(cause)}`,
      { cause },
    );
  }
}
