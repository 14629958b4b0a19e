import { AtollError } from '@atoll/base';
import {
  Certificate,
  decryptAesGcm,
  decryptWithPassword,
  InfoHash,
  PkId,
  PrivateKey,
  PublicKey,
} from '@atoll/identity';
import { recorded, recordedTexts } from '../corpus.js';
import { type FuzzTarget, holds } from '../fuzz-target.js';

/** PEM texts of the vectors, and the DER in them. */
function encodings(kind: string): Buffer[] {
  return recordedTexts('keys', `-----BEGIN ${kind}`).flatMap((text) => {
    const body = text.split('\n').filter((line) => line !== '' && !line.startsWith('-----'));
    return [Buffer.from(text), Buffer.from(body.join(''), 'base64')];
  });
}

function runCertificate(input: Buffer): void {
  const certificate = Certificate.decode(input);
  if (certificate === undefined) return;
  holds(certificate.id.binary.length === 20 && certificate.longId.binary.length === 32, () => 'ids that are none');
  holds(/^[0-9a-f]*$/.test(certificate.serial), () => `a serial ${certificate.serial}`);
  holds(
    [certificate.name, certificate.uid, certificate.issuerName].every((text) => typeof text === 'string'),
    () => 'names',
  );
  certificate.chainFault(Date.UTC(2026, 0, 1));
  holds(Certificate.decode(certificate.toPem()) !== undefined, () => 'the PEM of a certificate is none');
}

function runPrivateKey(input: Buffer): void {
  try {
    PrivateKey.decode(input);
  } catch (error) {
    holds(error instanceof AtollError, () => `threw ${error}`);
  }
}

function runPublicKey(input: Buffer): void {
  const key = PublicKey.decode(input);
  if (key === undefined) return;
  holds(key.id.binary.length === 20, () => 'an id that is none');
  holds(!key.verify(input, input.subarray(0, key.modulusBytes)), () => 'verified what nobody signed');
}

const KEY = Buffer.alloc(32, 7);

function runSealed(input: Buffer): void {
  holds(decryptAesGcm(KEY, input) === undefined, () => 'opened what nobody sealed');
  for (const length of [0, 15, 20, 33])
    holds(decryptAesGcm(KEY.subarray(0, length), input) === undefined, () => 'opened');
  // Only what is too short for a salt: more would cost a tenth of a second of password hashing.
  void decryptWithPassword(input.subarray(0, 15), 'password');
  const text = input.subarray(0, 80).latin1Slice();
  holds(
    InfoHash.parse(text).binary.length === 20 && PkId.parse(text).binary.length === 32,
    () => 'a hash that is none',
  );
  holds(InfoHash.key(text).binary.length === 20, () => 'a key that is none');
}

export const targets: FuzzTarget[] = [
  { name: 'identity-certificate', weight: 0.3, corpus: () => encodings('CERTIFICATE'), run: runCertificate },
  { name: 'identity-public-key', weight: 0.3, corpus: () => encodings('PUBLIC KEY'), run: runPublicKey },
  { name: 'identity-private-key', weight: 0.3, corpus: () => encodings('PRIVATE KEY'), run: runPrivateKey },
  { name: 'identity-sealed', weight: 0.3, corpus: () => recorded('values', 'packed'), run: runSealed },
];
