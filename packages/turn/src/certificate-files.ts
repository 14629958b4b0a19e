import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { createSecureContext } from 'node:tls';
import { AtollError, errorCode, errorMessage } from '@atoll/base';

/** Files, or their text as PEM. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly privateKey: string;
  readonly passphrase?: string | undefined;
}

/** A certificate chain and its key, as PEM. */
export interface LoadedCertificate {
  readonly cert: string;
  readonly key: string;
  readonly passphrase?: string | undefined;
  readonly validUntilMs: number;
}

/**
 * Reads a certificate and its key and checks that they are usable now. Fails with `TURN_CERTIFICATE_UNUSABLE` and a
 * sentence that names the file, and where it cannot be read the user and the mode.
 */
export function loadCertificate(files: CertificateFiles, nowMs: number): LoadedCertificate {
  const cert = readSecret(files.certificate, 'certificate');
  const key = readSecret(files.privateKey, 'private key');
  const [certificateName, keyName] = [nameOf(files.certificate), nameOf(files.privateKey)];
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(cert);
  } catch (cause) {
    throw unusable(`The certificate ${certificateName} is no PEM certificate`, cause);
  }
  const validUntilMs = Date.parse(parsed.validTo);
  if (validUntilMs <= nowMs) {
    throw unusable(`The certificate ${certificateName} expired on ${parsed.validTo}; renew it`, undefined);
  }
  if (Date.parse(parsed.validFrom) > nowMs) {
    throw unusable(`The certificate ${certificateName} is not valid before ${parsed.validFrom}`, undefined);
  }
  const loaded = {
    cert,
    key,
    validUntilMs,
    ...(files.passphrase === undefined ? {} : { passphrase: files.passphrase }),
  };
  try {
    createSecureContext(loaded);
  } catch (cause) {
    throw unusable(
      `The private key ${keyName} cannot be used with the certificate ${certificateName}: ${errorMessage(cause)}`,
      cause,
    );
  }
  return loaded;
}

function isPem(text: string): boolean {
  return text.includes('-----BEGIN ');
}

function nameOf(file: string): string {
  return isPem(file) ? 'given as PEM' : file;
}

function readSecret(path: string, what: string): string {
  if (isPem(path)) return path;
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw unusable(
      `The ${what} ${path} cannot be read by ${userInfo().username}${modeOf(path)}: ${errorCode(cause)}`,
      cause,
    );
  }
}

function modeOf(path: string): string {
  try {
    return ` (its mode is 0${(statSync(path).mode & 0o777).toString(8)})`;
  } catch {
    return '';
  }
}

function unusable(sentence: string, cause: unknown): AtollError {
  return new AtollError('TURN_CERTIFICATE_UNUSABLE', `${sentence}.`, { cause });
}
