import type { PushPayload, PushPriority, PushTarget } from './push-sender.js';

/** How long a push service may keep a push for a phone that is off, s (protocol/dht-proxy.md 14.2, 14.4). */
export const PUSH_TTL_SECONDS = 86_400;

/** One push on its way. */
export interface PushMessage {
  readonly target: PushTarget;
  readonly payload: PushPayload;
  readonly priority: PushPriority;
}

/** What became of one attempt. Reasons are words for counters and logs; they carry no token and no address. */
export type PushOutcome =
  | { readonly kind: 'sent' }
  /** The push service does not know the token any more: everything of this token is over. */
  | { readonly kind: 'gone'; readonly reason: string }
  /** This push will never pass; another one to the same token may. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** Worth another try, of this token (`token`) or of everything on this lane (`lane`), not before `afterMs`. */
  | {
      readonly kind: 'later';
      readonly reason: string;
      readonly scope: 'token' | 'lane';
      readonly afterMs?: number | undefined;
    };

export interface PushRefusal {
  readonly status: number;
  readonly reason: string;
}

/** One way to phones: a push service, or the kind of push services that phones name themselves. */
export interface PushRoute {
  /** Pushes of one lane share a back-off and a bound: the host that the push goes to. */
  laneOf(target: PushTarget): string;
  /** How many sends of one lane may be under way. */
  readonly sendsPerLane: number;
  /** Why a target cannot be served by this route, with the HTTP status of the answer, or undefined. */
  refusal(target: PushTarget): PushRefusal | undefined;
  /** One attempt, within the route's own time limit; never rejects. */
  send(message: PushMessage): Promise<PushOutcome>;
  /** Closes idle connections. */
  close(): void;
}

/** Delay that a `Retry-After` header asks for, ms: seconds or a date (RFC 9110 10.2.3). Undefined when unreadable. */
export function retryAfterMs(header: string | undefined, unixMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - unixMs);
}
