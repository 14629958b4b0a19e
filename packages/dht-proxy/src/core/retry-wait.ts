import type { RandomSource } from '@atoll/base';

const FIRST_MS = 1000;
const LONGEST_MS = 60_000;

/** Waits between attempts: one second doubling to a minute, each a little different (trap 9 of protocol/dht-proxy.md). */
export class RetryWait {
  private readonly random: RandomSource;
  private failures = 0;

  constructor(random: RandomSource) {
    this.random = random;
  }

  /** The wait after one more failure, ms. */
  next(): number {
    const ms = Math.min(FIRST_MS * 2 ** this.failures, LONGEST_MS);
    this.failures++;
    return ms * this.random.uniform(0.75, 1);
  }

  /** It worked. */
  reset(): void {
    this.failures = 0;
  }
}
