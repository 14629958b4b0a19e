import { LIMITS } from './limits.js';
import type { Realms } from './realms.js';

/** A place in the quotas, taken by one allocation. */
export interface QuotaPlace {
  readonly realm: string;
  readonly user: string;
  /** Bandwidth taken from the whole server's capacity, bytes a second. */
  readonly bps: number;
}

/** Counts allocations of users, realms and the server, and the bandwidth promised to them. */
export class Quotas {
  private readonly realms: Realms;
  private readonly bpsCapacity: number;
  private readonly byUser = new Map<string, number>();
  private readonly byRealm = new Map<string, number>();
  private total = 0;
  private bps = 0;

  /** `bpsCapacity` 0 is no bound. */
  constructor({ realms }: { readonly realms: Realms }, { bpsCapacity }: { readonly bpsCapacity: number }) {
    this.realms = realms;
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
    this.byUser.set(userKey, ofUser + 1);
    this.byRealm.set(realm, ofRealm + 1);
    this.total++;
    this.bps += maxBps;
    return { realm, user, bps: maxBps };
  }

  giveBack({ realm, user, bps }: QuotaPlace): void {
    lower(this.byUser, `${realm}\n${user}`);
    lower(this.byRealm, realm);
    this.total--;
    this.bps -= bps;
  }
}

function lower(counts: Map<string, number>, key: string): void {
  const count = counts.get(key) ?? 0;
  if (count <= 1) counts.delete(key);
  else counts.set(key, count - 1);
}
