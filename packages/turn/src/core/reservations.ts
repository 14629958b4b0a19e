import type { Endpoint, RandomSource, Scheduler } from '@atoll/base';
import { LIFETIMES_MS, LIMITS } from './limits.js';
import type { UdpRelay } from './relay.js';

/** Ports held for the owner of a RESERVATION-TOKEN (RFC 8656 section 7.2). */
export class Reservations {
  private readonly parts: {
    readonly scheduler: Scheduler;
    readonly nowMs: () => number;
    readonly random: RandomSource;
  };
  private readonly held = new Map<string, { relay: UdpRelay; user: string; forget: () => void }>();

  constructor(parts: { readonly scheduler: Scheduler; readonly nowMs: () => number; readonly random: RandomSource }) {
    this.parts = parts;
  }

  get size(): number {
    return this.held.size;
  }

  get isFull(): boolean {
    return this.held.size >= LIMITS.reservations;
  }

  /** Holds a relay; gives its token. */
  hold(relay: UdpRelay, user: string): Buffer {
    const token = this.parts.random.bytes(8);
    const key = token.toString('latin1');
    const { scheduler } = this.parts;
    const expiry = scheduler.at(this.parts.nowMs() + LIFETIMES_MS.reservation, () => {
      this.held.delete(key);
      relay.close();
    });
    this.held.set(key, { relay, user, forget: () => scheduler.cancel(expiry) });
    return token;
  }

  /** The relay behind a token of this user, which is then the caller's. */
  take(token: Uint8Array, user: string): UdpRelay | undefined {
    const key = Buffer.from(token).toString('latin1');
    const found = this.held.get(key);
    if (found === undefined || found.user !== user) return undefined;
    found.forget();
    this.held.delete(key);
    return found.relay;
  }

  /** As {@link take}, for another process: the socket is closed, and its address may be bound there. */
  giveAway(token: Uint8Array, user: string): Endpoint | undefined {
    const relay = this.take(token, user);
    relay?.close();
    return relay?.local;
  }

  close(): void {
    for (const { relay, forget } of this.held.values()) {
      forget();
      relay.close();
    }
    this.held.clear();
  }
}
