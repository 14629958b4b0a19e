import { Scheduler, systemClock } from '@atoll/base';

const LONGEST_TIMER_MS = 0x7fff_ffff;

/** A scheduler on the machine's clock, with one real timer for the job that is due first. */
export class RealTimeScheduler {
  readonly scheduler: Scheduler;
  private timer: NodeJS.Timeout | undefined;
  private timerMs = Number.POSITIVE_INFINITY;
  private isClosed = false;

  constructor() {
    this.scheduler = new Scheduler((dueMs) => this.arm(dueMs));
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.scheduler.clear();
  }

  private arm(dueMs: number): void {
    if (this.isClosed || dueMs >= this.timerMs || dueMs === Number.POSITIVE_INFINITY) return;
    this.timerMs = dueMs;
    clearTimeout(this.timer);
    this.timer = setTimeout(
      () => {
        this.timerMs = Number.POSITIVE_INFINITY;
        this.scheduler.runDue(systemClock.nowMs());
        this.arm(this.scheduler.nextDueMs);
      },
      Math.max(0, Math.min(dueMs - systemClock.nowMs(), LONGEST_TIMER_MS)),
    );
  }
}
