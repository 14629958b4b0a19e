import type { Clock, Job, Scheduler } from '@atoll/base';
import type { NodeRecord } from './node-record.js';

/** A lost node is asked again after so long, then after twice as long each time up to the last, in ms. */
const FIRST_WAIT_MS = 10_000;
const LAST_WAIT_MS = 5 * 60_000;
/** Asked in vain for so long, and it is given up, in ms. */
const GIVE_UP_MS = 12 * 60 * 60_000;
/** Lost nodes remembered; the one lost longest makes room. */
const MAX_LOST = 64;

interface Lost {
  readonly sinceMs: number;
  dueMs: number;
  waitMs: number;
}

export interface LostNodesParts {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly ping: (node: NodeRecord) => void;
}

/**
 * Nodes that answered once and fell silent. They are asked again now and then: when a network breaks in two, each half
 * has its own bootstrap-free life, and nobody but those who knew each other before can put it together again.
 * OpenDHT itself does not do this; its halves stay apart.
 */
export class LostNodes {
  private readonly parts: LostNodesParts;
  private readonly lost = new Map<NodeRecord, Lost>();
  private readonly job: Job;

  constructor(parts: LostNodesParts) {
    this.parts = parts;
    this.job = parts.scheduler.at(Number.POSITIVE_INFINITY, () => this.askAgain());
  }

  get size(): number {
    return this.lost.size;
  }

  /** A node fell silent. One that never answered is no loss. */
  add(node: NodeRecord): void {
    if (node.isClient || node.replyTimeMs === Number.NEGATIVE_INFINITY || this.lost.has(node)) return;
    const [longest] = this.lost.keys();
    if (this.lost.size >= MAX_LOST && longest !== undefined) this.remove(longest);
    const nowMs = this.parts.clock.nowMs();
    this.lost.set(node, { sinceMs: nowMs, dueMs: nowMs + FIRST_WAIT_MS, waitMs: FIRST_WAIT_MS });
    node.holds++;
    this.arm();
  }

  /** It was heard again, or is not waited for any more. */
  remove(node: NodeRecord): void {
    if (this.lost.delete(node)) node.holds--;
  }

  private askAgain(): void {
    const nowMs = this.parts.clock.nowMs();
    for (const [node, lost] of this.lost) {
      if (lost.dueMs > nowMs) continue;
      if (!node.isExpired || lost.sinceMs + GIVE_UP_MS < nowMs) {
        this.remove(node);
        continue;
      }
      lost.waitMs = Math.min(2 * lost.waitMs, LAST_WAIT_MS);
      lost.dueMs = nowMs + lost.waitMs;
      this.parts.ping(node);
    }
    this.arm();
  }

  private arm(): void {
    let next = Number.POSITIVE_INFINITY;
    for (const { dueMs } of this.lost.values()) next = Math.min(next, dueMs);
    this.parts.scheduler.move(this.job, next);
  }
}
