import type { Family } from '@atoll/base';

/** How one family stands (protocol/dht.md 17). */
export type Connectivity = 'disconnected' | 'connecting' | 'connected';

/** Whether the node is of use, and why. */
export interface Health {
  readonly state: 'offline' | 'degraded' | 'online';
  /** One sentence for people. */
  readonly reason: string;
}

/** Requests remembered for the ratio of answers. */
const WINDOW = 64;
/** Fewer answers than this share, and the node is degraded. */
const GOOD_SHARE = 0.5;

/** The share of answered requests lately, from which health is derived: that the process runs proves nothing. */
export class AnswerRatio {
  private readonly outcomes = new Uint8Array(WINDOW);
  private next = 0;
  private count = 0;
  private answered = 0;

  record(wasAnswered: boolean): void {
    if (this.count === WINDOW) this.answered -= this.outcomes[this.next] as number;
    else this.count++;
    this.outcomes[this.next] = wasAnswered ? 1 : 0;
    this.answered += wasAnswered ? 1 : 0;
    this.next = (this.next + 1) % WINDOW;
  }

  /** Share from 0 to 1; undefined before anything was asked. */
  get share(): number | undefined {
    return this.count === 0 ? undefined : this.answered / this.count;
  }
}

/** Health from what the core sees. */
export function deriveHealth(
  connectivity: ReadonlyMap<Family, Connectivity>,
  goodNodes: number,
  answerShare: number | undefined,
): Health {
  const states = [...connectivity.values()];
  if (!states.includes('connected')) {
    return states.includes('connecting')
      ? { state: 'offline', reason: 'Other nodes are known, but none has answered yet.' }
      : { state: 'offline', reason: 'No other node is known: this node is alone on its network.' };
  }
  if (answerShare !== undefined && answerShare < GOOD_SHARE) {
    const percent = Math.round(answerShare * 100);
    return { state: 'degraded', reason: `Only ${percent} % of the latest requests were answered.` };
  }
  return { state: 'online', reason: `${goodNodes} good nodes answer.` };
}
