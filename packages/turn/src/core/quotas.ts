import { LIMITS } from './limits.js';
import type { Realms } from './realms.js';

/** A place in the quotas, taken by one allocation. */
export interface QuotaPlace {
  readonly realm: string;
  readonly user: string;
  /** Bandwidth taken from the whole server's capacity, bytes a second. */
  readonly bps: number;
}

/** Places that were taken from the quotas, or given back where the numbers are negative. */
export interface QuotaChange {
  readonly realm: string;
  readonly user: string;
  readonly allocations: number;
  readonly bps: number;
}

/** Counts allocations of users, realms and the server, and the bandwidth promised to them. */
export class Quotas {
  private readonly realms: Realms;
  private readonly bpsCapacity: number;
  private readonly onChange: ((change: QuotaChange) => void) | undefined;
  private readonly byUser = new Map<string, number>();
  private readonly byRealm = new Map<string, number>();
  private total = 0;
  private bps = 0;

  /** `bpsCapacity` 0 is no bound; `onChange` is told what is taken and given back here. */
  constructor(
    { realms, onChange }: { readonly realms: Realms; readonly onChange?: ((change: QuotaChange) => void) | undefined },
    { bpsCapacity }: { readonly bpsCapacity: number },
  ) {
    this.realms = realms;
    this.onChange = onChange;
    this.bpsCapacity = bpsCapacity;
  }

  get allocations(): number {
    return this.total;
  }

  /** Takes a place; undefined when one of the quotas is used up. */
  take(realm: string, user: string): QuotaPlace | undefined {
    const { userQuota, totalQuota, maxBps } = this.realms.optionsOf(realm);
    const userKey = `${realm}\n${user}`;
    const ofUser = this.byUser.get(userKey) ?? 0;
    const ofRealm = this.byRealm.get(realm) ?? 0;
    if (this.total >= LIMITS.allocations) return undefined;
    if (totalQuota > 0 && ofRealm >= totalQuota) return undefined;
    if (userQuota > 0 && user !== '' && ofUser >= userQuota) return undefined;
    if (this.bpsCapacity > 0 && this.bps + maxBps > this.bpsCapacity) return undefined;
    const change = { realm, user, allocations: 1, bps: maxBps };
    this.count(change);
    this.onChange?.(change);
    return { realm, user, bps: maxBps };
  }

  giveBack({ realm, user, bps }: QuotaPlace): void {
    const change = { realm, user, allocations: -1, bps: -bps };
    this.count(change);
    this.onChange?.(change);
  }

  /** Counts places taken or given back, here or in another process that shares the quotas. */
  count({ realm, user, allocations, bps }: QuotaChange): void {
    add(this.byUser, `${realm}\n${user}`, allocations);
    add(this.byRealm, realm, allocations);
    this.total += allocations;
    this.bps += bps;
  }
}

function add(counts: Map<string, number>, key: string, more: number): void {
  const count = (counts.get(key) ?? 0) + more;
  if (count <= 0) counts.delete(key);
  else counts.set(key, count);
}
