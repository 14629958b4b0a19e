import { parseIp } from '@atoll/base';

/** Addresses remembered at a time when nothing else is said. */
const MAX_ADDRESSES = 10_000;

export interface AddressLimitsOptions {
  /** Tokens that come back each second. */
  readonly perSecond: number;
  /** Tokens of an address that was quiet for long. */
  readonly burst: number;
  /** Addresses remembered; of more, the one longest quiet is forgotten. */
  readonly maxAddresses?: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

/**
 * How much each client address may ask: a token bucket for each, in a bounded table. All addresses of one IPv6 /64 share
 * a bucket, because one machine has them all.
 */
export class AddressLimits {
  private readonly nowMs: () => number;
  private readonly perMs: number;
  private readonly burst: number;
  private readonly maxAddresses: number;
  private readonly buckets = new Map<string, Bucket>();

  constructor(components: { readonly nowMs: () => number }, options: AddressLimitsOptions) {
    this.nowMs = components.nowMs;
    this.perMs = options.perSecond / 1000;
    this.burst = options.burst;
    this.maxAddresses = options.maxAddresses ?? MAX_ADDRESSES;
  }

  /** Takes tokens of an address; false when it has too few, and then takes none. */
  take(address: string, tokens = 1): boolean {
    const key = address.includes(':') ? networkOf(address) : address;
    const nowMs = this.nowMs();
    let bucket = this.buckets.get(key);
    if (bucket === undefined) {
      bucket = { tokens: this.burst, atMs: nowMs };
      this.makeRoom();
      this.buckets.set(key, bucket);
    } else {
      bucket.tokens = Math.min(this.burst, bucket.tokens + (nowMs - bucket.atMs) * this.perMs);
      // A full bucket is one that may be forgotten: it goes to the old end only when it is used again.
      if (nowMs - bucket.atMs > 1000) {
        this.buckets.delete(key);
        this.buckets.set(key, bucket);
      }
      bucket.atMs = nowMs;
    }
    if (bucket.tokens < tokens) return false;
    bucket.tokens -= tokens;
    return true;
  }

  /** Whole seconds until an address has so many tokens again, at least 1; for `Retry-After`. */
  retryAfterSeconds(address: string, tokens = 1): number {
    const missing = tokens - (this.buckets.get(networkOf(address))?.tokens ?? this.burst);
    return Math.max(1, Math.ceil(missing / (this.perMs * 1000)));
  }

  get size(): number {
    return this.buckets.size;
  }

  private makeRoom(): void {
    if (this.buckets.size < this.maxAddresses) return;
    const [oldest] = this.buckets.keys();
    if (oldest !== undefined) this.buckets.delete(oldest);
  }
}

/** The /64 of an IPv6 address as a key; other addresses are their own. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const ip = parseIp(address);
  return ip === undefined || ip.length === 4 ? address : ip.slice(0, 8);
}
