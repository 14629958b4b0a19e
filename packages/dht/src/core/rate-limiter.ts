import type { Endpoint } from '@atoll/base';

/** Events of one window remembered at first: so few that thousands of quiet addresses take little memory. */
const FIRST_EVENTS = 4;

/** Accepts at most `quota` events in any second. */
class SlidingWindow {
  private readonly quota: number;
  private accepted: Float64Array;
  private count = 0;
  private next = 0;
  lastMs = 0;

  constructor(quota: number) {
    this.quota = quota;
    this.accepted = new Float64Array(Math.min(FIRST_EVENTS, quota));
  }

  /** Whether one more event fits; records it when it does. */
  accept(nowMs: number): boolean {
    this.lastMs = nowMs;
    if (this.count < this.accepted.length) {
      this.count++;
    } else if ((this.accepted[this.next] as number) >= nowMs - 1000) {
      // The oldest one kept is within the last second: full, unless the memory may still grow to the quota.
      if (this.accepted.length >= this.quota) return false;
      this.grow();
      this.count++;
    }
    this.accepted[this.next] = nowMs;
    this.next = this.next + 1 === this.accepted.length ? 0 : this.next + 1;
    return true;
  }

  private grow(): void {
    const larger = new Float64Array(Math.min(this.accepted.length * 4, this.quota));
    larger.set(this.accepted.subarray(this.next));
    larger.set(this.accepted.subarray(0, this.next), this.accepted.length - this.next);
    this.next = this.accepted.length;
    this.accepted = larger;
  }
}

/** Requests per second: in all, and from one address. -1 is unlimited. */
export interface RateLimits {
  readonly perSecond: number;
  readonly perSecondAndAddress: number;
}

/** As OpenDHT has it (protocol/dht.md 15.1). */
export const DEFAULT_RATE_LIMITS: RateLimits = { perSecond: 8192, perSecondAndAddress: 1024 };

/** Addresses whose rate is remembered; beyond it only the limit in all holds for newcomers. */
const MAX_ADDRESSES = 16_384;
/** Requests between two cleanings at least. */
const CLEAN_EVERY = 64;

/** Sliding-window limits on requests (protocol/dht.md 15.1). Replies and errors are never limited. */
export class RateLimiter {
  private readonly total: SlidingWindow | undefined;
  private readonly perAddress: number;
  private readonly addresses = new Map<string, SlidingWindow>();
  private sinceCleaning = 0;

  constructor(limits: RateLimits = DEFAULT_RATE_LIMITS) {
    this.total = limits.perSecond < 0 ? undefined : new SlidingWindow(limits.perSecond);
    this.perAddress = limits.perSecondAndAddress;
  }

  accept(from: Endpoint, nowMs: number): boolean {
    if (this.perAddress >= 0) {
      const address = addressBucket(from);
      let window = this.addresses.get(address);
      if (window === undefined && this.addresses.size < MAX_ADDRESSES) {
        window = new SlidingWindow(this.perAddress);
        this.addresses.set(address, window);
      }
      // As often as costs no more than the requests themselves: an address that is silent for a second needs no memory.
      if (++this.sinceCleaning >= Math.max(CLEAN_EVERY, this.addresses.size)) this.clean(nowMs);
      if (window !== undefined && !window.accept(nowMs)) return false;
    }
    return this.total === undefined || this.total.accept(nowMs);
  }

  /** Number of addresses remembered. */
  get size(): number {
    return this.addresses.size;
  }

  private clean(nowMs: number): void {
    this.sinceCleaning = 0;
    for (const [address, window] of this.addresses) {
      if (window.lastMs < nowMs - 1000) this.addresses.delete(address);
    }
  }
}

/** What counts as one address: an IPv4 address, or the first 64 bits of an IPv6 one (protocol/dht.md 12.4, 15.1). */
export function addressBucket(endpoint: Endpoint): string {
  return endpoint.ip.length === 4 ? endpoint.ip : endpoint.ip.slice(0, 8);
}
