/** A job in a {@link Scheduler}. Hold it to move or cancel the job. */
export interface Job {
  /** When the job is due, in the scheduler's milliseconds. Infinity once it ran or was cancelled. */
  readonly dueMs: number;
}

interface HeapJob extends Job {
  dueMs: number;
  sequence: number;
  /** Position in the heap, -1 while the job is not scheduled. */
  index: number;
  readonly run: (subject: unknown) => void;
  readonly subject: unknown;
}

/**
 * The timers of one core: a heap of jobs that run when the owner says what time it is.
 *
 * It owns no clock. A shell arms one real timer for {@link nextDueMs}; a simulation steps virtual time. Jobs due at
 * the same instant run in the order they were scheduled, so a run is repeatable.
 */
export class Scheduler {
  private readonly heap: HeapJob[] = [];
  private sequence = 0;
  private readonly onEarlier: ((dueMs: number) => void) | undefined;

  /** `onEarlier` is told when a job becomes the next one due: the moment to arm the real timer anew. */
  constructor(onEarlier?: (dueMs: number) => void) {
    this.onEarlier = onEarlier;
  }

  /** Number of jobs that wait. */
  get size(): number {
    return this.heap.length;
  }

  /** When the next job is due, or Infinity. */
  get nextDueMs(): number {
    return this.heap[0]?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Runs `run` once when time reaches `dueMs`. With a `subject` for it, one function serves for many jobs, where a
   * closure for each would take more memory than the job.
   */
  at(dueMs: number, run: () => void): Job;
  at<T>(dueMs: number, run: (subject: T) => void, subject: T): Job;
  at(dueMs: number, run: (subject: never) => void, subject?: unknown): Job {
    const job: HeapJob = {
      dueMs,
      sequence: this.sequence++,
      index: this.heap.length,
      run: run as HeapJob['run'],
      subject,
    };
    this.heap.push(job);
    this.up(job.index);
    if (job.index === 0) this.onEarlier?.(dueMs);
    return job;
  }

  /** Moves a job to another time, also one that already ran. A job that already waits for that time stays. */
  move(job: Job, dueMs: number): void {
    const own = job as HeapJob;
    if (own.index < 0) {
      own.index = this.heap.length;
      own.dueMs = dueMs;
      own.sequence = this.sequence++;
      this.heap.push(own);
      this.up(own.index);
    } else {
      if (own.dueMs === dueMs) return;
      own.dueMs = dueMs;
      own.sequence = this.sequence++;
      this.up(own.index);
      this.down(own.index);
    }
    if (own.index === 0) this.onEarlier?.(dueMs);
  }

  /** Takes a job out. Nothing happens if it already ran or is undefined. */
  cancel(job: Job | undefined): void {
    if (job) this.remove(job as HeapJob);
  }

  /** Runs everything due at `nowMs`, including jobs that those jobs add for this instant. */
  runDue(nowMs: number): void {
    for (;;) {
      const job = this.heap[0];
      if (!job || job.dueMs > nowMs) return;
      this.remove(job);
      job.run(job.subject);
    }
  }

  /** Runs the job that is due first, whether its time has come or not. False when there is none. */
  runFirst(): boolean {
    const job = this.heap[0];
    if (!job) return false;
    this.remove(job);
    job.run(job.subject);
    return true;
  }

  /** Forgets all jobs. */
  clear(): void {
    for (const job of this.heap) {
      job.index = -1;
      job.dueMs = Number.POSITIVE_INFINITY;
    }
    this.heap.length = 0;
  }

  private remove(job: HeapJob): void {
    const at = job.index;
    if (at < 0) return;
    job.index = -1;
    job.dueMs = Number.POSITIVE_INFINITY;
    const last = this.heap.pop() as HeapJob;
    if (last === job) return;
    this.heap[at] = last;
    last.index = at;
    this.up(at);
    this.down(last.index);
  }

  private up(from: number): void {
    const heap = this.heap;
    const job = heap[from] as HeapJob;
    let at = from;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt] as HeapJob;
      if (!isBefore(job, parent)) break;
      heap[at] = parent;
      parent.index = at;
      at = parentAt;
    }
    heap[at] = job;
    job.index = at;
  }

  private down(from: number): void {
    const heap = this.heap;
    const job = heap[from] as HeapJob;
    let at = from;
    for (;;) {
      let childAt = 2 * at + 1;
      if (childAt >= heap.length) break;
      let child = heap[childAt] as HeapJob;
      const right = heap[childAt + 1];
      if (right && isBefore(right, child)) {
        childAt++;
        child = right;
      }
      if (!isBefore(child, job)) break;
      heap[at] = child;
      child.index = at;
      at = childAt;
    }
    heap[at] = job;
    job.index = at;
  }
}

function isBefore(a: HeapJob, b: HeapJob): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.sequence < b.sequence);
}
