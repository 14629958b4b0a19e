import type { Verdict } from './finding.js';
import type { DoctorTarget } from './target.js';

/** What checks are given beside the target. */
export interface CheckTools {
  /** Wall clock, ms. */
  readonly unixMs: () => number;
  /** Longest wait for an answer that should come at once, ms. */
  readonly limitMs: number;
  /** A STUN server with two addresses (RFC 5780), as an IP address and a port; the target's TURN server when left out. */
  readonly stun?: { readonly host: string; readonly port: number } | undefined;
}

/** Looks at one thing: probes the world, then judges what it saw. A check that has nothing to look at finds nothing. */
export type Check = (target: DoctorTarget, tools: CheckTools) => Promise<readonly Verdict[]>;
