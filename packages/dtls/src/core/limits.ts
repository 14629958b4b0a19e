import { UsageError } from '@atoll/base';

/** OpenSSL refuses less (256 bytes with IPv4 and UDP headers). */
export const MIN_MTU_BYTES = 228;
/** A flight is gathered in a buffer of 4 kB. */
export const MAX_MTU_BYTES = 4000;

/** An option that must be a whole number within bounds. */
export function whole(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new UsageError(`The DTLS option ${name} is ${value}; it must be a whole number from ${least} to ${most}.`);
}
