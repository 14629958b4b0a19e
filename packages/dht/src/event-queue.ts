import { AtollError } from '@atoll/base';

/** Events that wait for a slow reader. */
const MAX_WAITING = 65_536;

/** Turns callbacks into an async iteration: pushed from one side, read from the other, ended by either. */
export class EventQueue<T> implements AsyncIterableIterator<T> {
  private readonly waiting: T[] = [];
  private reader: { resolve(result: IteratorResult<T>): void; reject(error: unknown): void } | undefined;
  private isEnded = false;
  private failure: unknown;
  private readonly onEnd: () => void;

  /** `onEnd` runs once, when the reader stops or the queue is ended. */
  constructor(onEnd: () => void = () => {}) {
    this.onEnd = onEnd;
  }

  push(event: T): void {
    if (this.isEnded) return;
    if (this.reader !== undefined) {
      const { resolve } = this.reader;
      this.reader = undefined;
      resolve({ value: event, done: false });
    } else if (this.waiting.length >= MAX_WAITING) {
      this.end(new AtollError('DHT_LISTENER_SLOW', `More than ${MAX_WAITING} events waited to be read; listen again.`));
    } else this.waiting.push(event);
  }

  /** No more events; with a failure the reader hears it after those that wait. */
  end(failure?: unknown): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.failure = failure;
    this.onEnd();
    const { reader } = this;
    this.reader = undefined;
    if (reader === undefined) return;
    if (failure === undefined) reader.resolve({ value: undefined, done: true });
    else reader.reject(failure);
  }

  next(): Promise<IteratorResult<T>> {
    const event = this.waiting.shift();
    if (event !== undefined) return Promise.resolve({ value: event, done: false });
    if (this.isEnded) {
      const { failure } = this;
      this.failure = undefined;
      return failure === undefined ? Promise.resolve({ value: undefined, done: true }) : Promise.reject(failure);
    }
    return new Promise((resolve, reject) => {
      this.reader = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<T>> {
    this.waiting.length = 0;
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
