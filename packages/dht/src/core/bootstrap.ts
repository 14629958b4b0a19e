import type { Clock, Job, Scheduler } from '@atoll/base';

/** First wait between two tries, doubling, and the longest, in ms (protocol/dht.md 17). */
const FIRST_MS = 10_000;
const LONGEST_MS = 24 * 60 * 60_000;

/** Asks for the bootstrap addresses to be tried, again and again with longer waits, until somebody is found. */
export class BootstrapTimer {
  private readonly clock: Clock;
  private readonly scheduler: Scheduler;
  private readonly tryNow: () => void;
  private periodMs = FIRST_MS;
  private job: Job | undefined;

  constructor(clock: Clock, scheduler: Scheduler, tryNow: () => void) {
    this.clock = clock;
    this.scheduler = scheduler;
    this.tryNow = tryNow;
  }

  /** Whether another try is due. */
  get isScheduled(): boolean {
    return this.job !== undefined;
  }

  /** Tries at once, and goes on while nobody is found. */
  start(): void {
    this.periodMs = FIRST_MS;
    this.next(0);
  }

  /** Tries again in ten seconds unless tries are under way: everybody was lost. */
  restart(): void {
    if (this.job !== undefined) return;
    this.periodMs = FIRST_MS;
    this.next(FIRST_MS);
  }

  /** Somebody was found, or the node closes. */
  stop(): void {
    this.scheduler.cancel(this.job);
    this.job = undefined;
    this.periodMs = FIRST_MS;
  }

  private next(waitMs: number): void {
    this.scheduler.cancel(this.job);
    this.job = this.scheduler.at(this.clock.nowMs() + waitMs, () => {
      this.next(this.periodMs);
      this.periodMs = Math.min(2 * this.periodMs, LONGEST_MS);
      this.tryNow();
    });
  }
}
