import type { ListenerPlaces, QuotaChange, TurnStatistics } from '@atoll/turn';

/** What the parent tells a worker. */
export type ToWorker =
  | {
      readonly kind: 'start';
      /** Directives, which the worker makes the same configuration of. */
      readonly directives: ReadonlyMap<string, readonly string[]>;
      /** Where it listens, with descriptors that it inherited. */
      readonly places: ListenerPlaces;
      /** Its part of the relay ports. */
      readonly minPort: number;
      readonly maxPort: number;
      readonly nonceSecret: Uint8Array;
    }
  | { readonly kind: 'quotas'; readonly changes: readonly QuotaChange[] }
  | { readonly kind: 'report' }
  | { readonly kind: 'give-away'; readonly number: number; readonly token: Uint8Array; readonly user: string }
  | { readonly kind: 'found'; readonly number: number; readonly place: ReservedPlace | undefined };

/** What a worker tells its parent. */
export type ToParent =
  | { readonly kind: 'ready' }
  | { readonly kind: 'serving'; readonly listeners: readonly string[] }
  | { readonly kind: 'drained' }
  | { readonly kind: 'failed'; readonly isUsage: boolean; readonly code: string; readonly message: string }
  | { readonly kind: 'quotas'; readonly changes: readonly QuotaChange[] }
  | { readonly kind: 'report'; readonly statistics: TurnStatistics }
  | { readonly kind: 'find'; readonly number: number; readonly token: Uint8Array; readonly user: string }
  | { readonly kind: 'given-away'; readonly number: number; readonly place: ReservedPlace | undefined };

/** The port that was held for a RESERVATION-TOKEN. */
export interface ReservedPlace {
  readonly host: string;
  readonly port: number;
}

/** Adds a change to the sums of its user. */
export function addChange(sums: Map<string, QuotaChange>, { realm, user, allocations, bps }: QuotaChange): void {
  const key = `${realm}\n${user}`;
  const before = sums.get(key);
  const sum = { realm, user, allocations: allocations + (before?.allocations ?? 0), bps: bps + (before?.bps ?? 0) };
  if (sum.allocations === 0 && sum.bps === 0) sums.delete(key);
  else sums.set(key, sum);
}
