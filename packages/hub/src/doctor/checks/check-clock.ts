import type { Check } from '../check.js';
import { type Verdict, verdict } from '../finding.js';
import { askHttp } from '../probes/ask-http.js';

/** Clocks that differ by more make signed values, certificates and time-limited passwords fail. */
const MOST_SECONDS = 60;

/** Judges the difference of two clocks, ms; undefined when the other one was not seen. */
export function judgeClock(host: string, differenceMs: number | undefined): readonly Verdict[] {
  if (differenceMs === undefined) return [];
  const seconds = Math.ceil(Math.abs(differenceMs) / 1000);
  const isOff = seconds > MOST_SECONDS;
  return [verdict(isOff ? 'fault' : 'good', isOff ? 'clock-off' : 'clock-good', { host, seconds })];
}

/** This machine's clock against the hub's, which stands in the Date of its HTTP answers (whole seconds). */
export const checkClock: Check = async ({ host, proxy = [], names = [], local }, { limitMs, unixMs }) => {
  const [url] = [...names, ...proxy];
  // On the hub's own host there is one clock only.
  if (url === undefined || local !== undefined) return [];
  const answer = await askHttp(url, { limitMs });
  const theirs = typeof answer === 'string' ? Number.NaN : Date.parse(answer.date ?? '');
  return judgeClock(host, Number.isNaN(theirs) ? undefined : unixMs() - theirs);
};
