import type { Check } from '../check.js';
import { type Verdict, verdict } from '../finding.js';
import { stunBurst } from '../probes/stun-burst.js';

/** Packets sent, their size (that of a small media packet) and their pace. */
const PACKETS = 200;
const PACKET_BYTES = 200;
const GAP_MS = 5;
/** Shares of loss, percent: what conceals itself in a call, and what cannot. */
const SOME_PERCENT = 1.5;
const HIGH_PERCENT = 4;

/** Judges the times of answers, ms; undefined stands for each one that did not come. */
export function judgeLoss(host: string, times: readonly (number | undefined)[]): readonly Verdict[] {
  const answered = times.filter((time) => time !== undefined).sort((a, b) => a - b);
  // Nothing at all is no loss but no way, and other checks say so.
  if (answered.length === 0) return [];
  const sent = times.length;
  const percent = Math.round((1000 * (sent - answered.length)) / sent) / 10;
  const rttMs = Math.round(10 * (answered[answered.length >> 1] ?? 0)) / 10;
  const facts = { host, sent, percent, rttMs };
  if (percent >= HIGH_PERCENT) return [verdict('fault', 'loss-high', facts)];
  return [percent >= SOME_PERCENT ? verdict('warning', 'loss-some', facts) : verdict('good', 'loss-good', facts)];
}

/** Loss and delay of small packets to the hub and back. */
export const checkLoss: Check = async ({ host, turn }, { limitMs }) => {
  if (turn === undefined) return [];
  const sizes = Array.from({ length: PACKETS }, () => PACKET_BYTES);
  return judgeLoss(host, await stunBurst(host, turn.port, { sizes, gapMs: GAP_MS, waitMs: limitMs }));
};
