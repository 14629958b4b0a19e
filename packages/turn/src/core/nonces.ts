import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock } from '@atoll/base';
import { nonceCookie } from '@atoll/stun';
import { LIMITS } from './limits.js';

const MAC_BYTES = 12;
const SEALED = /^([0-9a-z]{1,9})-([A-Za-z0-9_-]{16})$/;

export interface NonceOptions {
  /** How long a nonce is good for, ms. */
  readonly lifetimeMs: number;
  /** Known to every process that shares the port. */
  readonly secret: Uint8Array;
  /** Whether clients are told that SHA-256 and USERHASH are understood. */
  readonly passwordAlgorithms: boolean;
  readonly usernameAnonymity: boolean;
}

/**
 * Nonces that need no memory: the time they were made, sealed for the client's address.
 *
 * `[cookie of RFC 8489 9.2] | seconds in base 36 | "-" | HMAC over both and the address, 16 characters`
 */
export class Nonces {
  private readonly clock: Clock;
  private readonly options: NonceOptions;
  private readonly prefix: string;
  /** Seals made or checked lately: a nonce comes back within moments. */
  private readonly recent = new Map<string, Buffer>();

  constructor({ clock }: { readonly clock: Clock }, options: NonceOptions) {
    this.clock = clock;
    this.options = options;
    const { passwordAlgorithms, usernameAnonymity } = options;
    this.prefix = passwordAlgorithms || usernameAnonymity ? nonceCookie({ passwordAlgorithms, usernameAnonymity }) : '';
  }

  /** A nonce for a client at this address. */
  make(ip: string): string {
    const time = Math.floor(this.clock.unixMs() / 1000).toString(36);
    return `${this.prefix}${time}-${this.mac(time, ip).toString('base64url')}`;
  }

  /** Whether a nonce was made here for this address and is not too old. */
  isFresh(nonce: string, ip: string): boolean {
    if (!nonce.startsWith(this.prefix)) return false;
    const [, time, mac] = SEALED.exec(nonce.slice(this.prefix.length)) ?? [];
    if (time === undefined || mac === undefined) return false;
    const given = Buffer.from(mac, 'base64url');
    if (given.length !== MAC_BYTES || !timingSafeEqual(given, this.mac(time, ip))) return false;
    const ageMs = this.clock.unixMs() - 1000 * Number.parseInt(time, 36);
    return ageMs >= -1000 && ageMs <= this.options.lifetimeMs;
  }

  private mac(time: string, ip: string): Buffer {
    const key = `${time} ${ip}`;
    let mac = this.recent.get(key);
    if (mac === undefined) {
      const sealed = createHmac('sha256', this.options.secret).update(`${this.prefix}${time}`).update(ip, 'latin1');
      mac = sealed.digest().subarray(0, MAC_BYTES);
      if (this.recent.size >= LIMITS.recentNonces) this.recent.clear();
      this.recent.set(key, mac);
    }
    return mac;
  }
}
