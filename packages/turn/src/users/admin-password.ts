import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

const SALT_BYTES = 8;
const ENCRYPTED = /^\$5\$([0-9a-f]{16})\$([0-9a-f]{64})$/;

/** A password in the form coturn stores for admins and its command line: `$5$salt$SHA-256(salt | password)`. */
export function encryptAdminPassword(password: string, salt: Uint8Array = randomBytes(SALT_BYTES)): string {
  const hash = createHash('sha256').update(salt).update(password).digest('hex');
  return `$5$${Buffer.from(salt).toString('hex')}$${hash}`;
}

/** Whether a stored form is that of the password. */
export function isAdminPassword(password: string, stored: string): boolean {
  const match = ENCRYPTED.exec(stored);
  if (match === null) return false;
  const made = encryptAdminPassword(password, Buffer.from(match[1] ?? '', 'hex'));
  return made.length === stored.length && timingSafeEqual(Buffer.from(made), Buffer.from(stored));
}
