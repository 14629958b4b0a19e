import { errorMessage, type Logger } from '@atoll/base';

/** First and longest wait before a failed service is started again, ms; a run this long counts as sound. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 60_000;
const SOUND_RUN_MS = 60_000;
/** A running service is asked so often, ms; after so many silent probes in a row it counts as failed. */
const PROBE_EVERY_MS = 30_000;
const SILENT_PROBES = 3;

/** A service of the hub. */
export interface HubService {
  readonly name: string;
  /** Brings it up; what it returns stands in the ready file under the service's name. */
  start(): Promise<Readonly<Record<string, unknown>>>;
  /** Resolves when it answers through its whole path; rejects when it does not. */
  probe(): Promise<void>;
  /** Rejects if the service fails while running; never resolves while it runs. */
  readonly failed: Promise<never>;
  stop(): Promise<void>;
}

export interface SupervisorParts {
  readonly logger: Logger;
  readonly nowMs: () => number;
  readonly unixMs: () => number;
  /** Waits, or ends early when the signal says so. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** How a supervised service is. */
export interface ServiceState {
  readonly isOn: boolean;
  /** It answered its last probe. */
  readonly isWell: boolean;
  /** Since when it has been running without a break. */
  readonly sinceMs: number | undefined;
  /** How often it was started again by itself. */
  readonly restarts: number;
  readonly lastError: { readonly atMs: number; readonly message: string } | undefined;
}

/**
 * Runs one service and starts it again, with growing waits, whenever it fails. It can be switched off and on: what is
 * asked of it is done one after the other.
 */
export class Supervisor {
  private readonly make: () => HubService;
  private readonly parts: SupervisorParts;
  private stopping = new AbortController();
  private current: HubService | undefined;
  private running: Promise<void> | undefined;
  private turn: Promise<unknown> = Promise.resolve();
  private isWell = false;
  private sinceMs: number | undefined;
  private lastError: ServiceState['lastError'];
  /** What the service's start returned. */
  facts: Readonly<Record<string, unknown>> = {};
  /** How often the service was started again. */
  restarts = 0;

  constructor(make: () => HubService, parts: SupervisorParts) {
    this.make = make;
    this.parts = parts;
  }

  get state(): ServiceState {
    const { isWell, sinceMs, restarts, lastError } = this;
    return { isOn: this.running !== undefined, isWell, sinceMs, restarts, lastError };
  }

  /**
   * Starts it and waits for its first probe; nothing to do when it runs. Fails if it cannot be brought up, because then a
   * person should hear why.
   */
  start(): Promise<Readonly<Record<string, unknown>>> {
    return this.afterThat(async () => {
      if (this.running !== undefined) return this.facts;
      this.stopping = new AbortController();
      const service = await this.bringUp();
      this.running = this.watch(service);
      return this.facts;
    });
  }

  /** Whether the service answers. */
  async probe(): Promise<void> {
    try {
      if (this.current === undefined) throw new Error('it is being started again');
      await this.current.probe();
      this.isWell = true;
    } catch (error) {
      this.failedWith(error);
      throw error;
    }
  }

  /** Stops it; nothing to do when it does not run. */
  stop(): Promise<void> {
    return this.afterThat(async () => {
      if (this.running === undefined) return;
      this.stopping.abort();
      const { current } = this;
      this.current = undefined;
      this.isWell = false;
      this.sinceMs = undefined;
      await current?.stop();
      await this.running;
      this.running = undefined;
      this.facts = {};
    });
  }

  private afterThat<T>(work: () => Promise<T>): Promise<T> {
    const done = this.turn.then(work, work);
    this.turn = done.catch(() => {});
    return done;
  }

  private async bringUp(): Promise<HubService> {
    const service = this.make();
    try {
      this.facts = await service.start();
    } catch (error) {
      await service.stop().catch(() => {});
      throw error;
    }
    this.current = service;
    this.sinceMs = this.parts.unixMs();
    return service;
  }

  private failedWith(error: unknown): void {
    this.isWell = false;
    this.lastError = { atMs: this.parts.unixMs(), message: errorMessage(error) };
  }

  /** Rejects when the service no longer answers its probe: a process that runs but does nothing is no service. */
  private async silence(service: HubService, signal: AbortSignal): Promise<void> {
    let silent = 0;
    for (;;) {
      await this.parts.wait(PROBE_EVERY_MS, signal);
      if (signal.aborted || this.current !== service) return;
      try {
        await this.probe();
        silent = 0;
      } catch (error) {
        if (++silent >= SILENT_PROBES) throw error;
      }
    }
  }

  private async watch(first: HubService): Promise<void> {
    const { signal } = this.stopping;
    const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    let service: HubService | undefined = first;
    let waitMs = FIRST_WAIT_MS;
    while (!signal.aborted) {
      const startedMs = this.parts.nowMs();
      try {
        service ??= await this.bringUp();
        await Promise.race([service.failed, this.silence(service, signal), stopped]);
      } catch (error) {
        if (signal.aborted) return;
        this.parts.logger.error(`The ${first.name} service failed: ${errorMessage(error)}`);
        this.failedWith(error);
        this.current = undefined;
        this.sinceMs = undefined;
        await service?.stop().catch(() => {});
      }
      if (signal.aborted) {
        // Switched off while it was coming up again: nobody else knows of it.
        if (this.current === service && service !== first) await service?.stop().catch(() => {});
        return;
      }
      service = undefined;
      if (this.parts.nowMs() - startedMs >= SOUND_RUN_MS) waitMs = FIRST_WAIT_MS;
      await this.parts.wait(waitMs, signal);
      waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
      this.restarts++;
    }
  }
}
