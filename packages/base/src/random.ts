import { randomFillSync } from 'node:crypto';

/** Where a core takes its chance from. The simulation gives a seeded one. */
export interface RandomSource {
  /** `length` random bytes. */
  bytes(length: number): Buffer;
  /** A whole number in [0, 2^32). */
  uint32(): number;
  /** A real number in [low, high). */
  uniform(low: number, high: number): number;
}

const POOL_BYTES = 8192;
const MAX_POOLED_BYTES = 64;
const pool = Buffer.allocUnsafeSlow(POOL_BYTES);
let taken = POOL_BYTES;

function uint32(): number {
  if (taken + 4 > POOL_BYTES) {
    randomFillSync(pool);
    taken = 0;
  }
  const value = pool.readUInt32LE(taken);
  taken += 4;
  return value;
}

/** Short ones, such as ids, come from the pool: a call to the system's generator costs more than they do. */
function bytes(length: number): Buffer {
  const result = Buffer.allocUnsafe(length);
  if (length > MAX_POOLED_BYTES) return randomFillSync(result);
  if (taken + length > POOL_BYTES) {
    randomFillSync(pool);
    taken = 0;
  }
  pool.copy(result, 0, taken, taken + length);
  // What was given out is known to its taker alone, whatever becomes of this memory.
  pool.fill(0, taken, taken + length);
  taken += length;
  return result;
}

/** Cryptographically strong randomness of the machine. */
export const systemRandom: RandomSource = {
  bytes,
  uint32,
  uniform: (low, high) => low + (uint32() / 0x1_0000_0000) * (high - low),
};
