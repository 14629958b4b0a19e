import type { Clock } from '@atoll/base';
import { LIMITS } from './limits.js';

export interface UnauthorizedLimitOptions {
  /** Challenges (401, 438) in a burst and per second for one address; an honest client needs one or two. */
  readonly challengeBurst: number;
  readonly challengesPerSecond: number;
  /** Wrong credentials in a burst and per second for one address. */
  readonly failureBurst: number;
  readonly failuresPerSecond: number;
}

export const DEFAULT_UNAUTHORIZED_LIMIT: UnauthorizedLimitOptions = {
  challengeBurst: 2000,
  challengesPerSecond: 200,
  failureBurst: 100,
  failuresPerSecond: 5,
};

interface Source {
  challenges: number;
  failures: number;
  atMs: number;
}

/**
 * How often one source address is answered that it is not authorized. Without a bound a stranger could try passwords
 * for ever, or have the challenges sent to somebody whose address he writes on his datagrams.
 */
export class UnauthorizedLimit {
  private readonly clock: Clock;
  private readonly options: UnauthorizedLimitOptions;
  private readonly sources = new Map<string, Source>();
  private newest: string | undefined;

  constructor({ clock }: { readonly clock: Clock }, options: UnauthorizedLimitOptions) {
    this.clock = clock;
    this.options = options;
  }

  get size(): number {
    return this.sources.size;
  }

  /** Whether a challenge may be sent to this address; counts it. */
  takeChallenge(ip: string): boolean {
    const source = this.source(ip);
    if (source.challenges < 1) return false;
    source.challenges--;
    return true;
  }

  /** A request with wrong credentials came: whether it may be answered; counts it. */
  takeFailure(ip: string): boolean {
    const source = this.source(ip);
    if (source.failures < 1) return false;
    source.failures--;
    return true;
  }

  /** Whether credentials from this address are still looked at. */
  isOpen(ip: string): boolean {
    const known = this.sources.get(keyOf(ip));
    return known === undefined || this.source(ip).failures >= 1;
  }

  /** A challenge was answered rightly: it is not counted. */
  giveBack(ip: string): void {
    const source = this.sources.get(keyOf(ip));
    if (source !== undefined) source.challenges = Math.min(this.options.challengeBurst, source.challenges + 1);
  }

  private source(ip: string): Source {
    const key = keyOf(ip);
    const nowMs = this.clock.nowMs();
    const { challengeBurst, challengesPerSecond, failureBurst, failuresPerSecond } = this.options;
    let source = this.sources.get(key);
    if (source === undefined) {
      if (this.sources.size >= LIMITS.countedSources) this.forgetOldest();
      source = { challenges: challengeBurst, failures: failureBurst, atMs: nowMs };
    } else {
      const seconds = (nowMs - source.atMs) / 1000;
      source.challenges = Math.min(challengeBurst, source.challenges + seconds * challengesPerSecond);
      source.failures = Math.min(failureBurst, source.failures + seconds * failuresPerSecond);
      source.atMs = nowMs;
    }
    if (key === this.newest) return source;
    // Set anew, so that the map is in the order of use and the oldest goes first.
    this.sources.delete(key);
    this.sources.set(key, source);
    this.newest = key;
    return source;
  }

  private forgetOldest(): void {
    const oldest = this.sources.keys().next();
    if (oldest.done) return;
    this.sources.delete(oldest.value);
    if (oldest.value === this.newest) this.newest = undefined;
  }
}

/** One IPv4 address, or one IPv6 subnet of 64 bits: within it a stranger chooses addresses freely. */
function keyOf(ip: string): string {
  return ip.length === 4 ? ip : ip.slice(0, 8);
}
