import { within } from '../lab/deadline.js';

/** One push as a test service got it. */
export interface ReceivedPush {
  /** Path and query of the request. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Status that was answered. */
  readonly status: number;
}

/** What a test push service got so far, to be waited for by event. */
export class ReceivedPushes {
  readonly all: ReceivedPush[] = [];
  /** Told of each one as it comes. */
  onPush: ((push: ReceivedPush) => void) | undefined;
  private readonly watchers = new Set<() => void>();

  add(push: ReceivedPush): void {
    this.all.push(push);
    this.onPush?.(push);
    for (const look of [...this.watchers]) look();
  }

  /** The first push, past ones included, that is as wanted. */
  async waitFor(isWanted: (push: ReceivedPush) => boolean, limitMs = 30_000): Promise<ReceivedPush> {
    let look = (): void => {};
    const found = new Promise<ReceivedPush>((resolve) => {
      look = () => {
        const push = this.all.find(isWanted);
        if (push !== undefined) resolve(push);
      };
    });
    this.watchers.add(look);
    look();
    try {
      const told = (): string => this.all.map(({ status, path, body }) => `${status} ${path} ${body}`).join('\n');
      return await within(found, () => `no such push among:\n${told()}`, limitMs);
    } finally {
      this.watchers.delete(look);
    }
  }
}
