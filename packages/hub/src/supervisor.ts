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
  /** Waits, or ends early when the signal says so. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Runs one service and starts it again, with growing waits, whenever it fails. */
export class Supervisor {
  private readonly make: () => HubService;
  private readonly parts: SupervisorParts;
  private readonly stopping = new AbortController();
  private current: HubService | undefined;
  private facts: Readonly<Record<string, unknown>> = {};
  private running: Promise<void> | undefined;
  /** How often the service was started again. */
  restarts = 0;

  constructor(make: () => HubService, parts: SupervisorParts) {
    this.make = make;
    this.parts = parts;
  }

  /** First start: fails if the service cannot be brought up, because then a person should hear why. */
  async start(): Promise<Readonly<Record<string, unknown>>> {
    const service = await this.bringUp();
    this.running = this.watch(service);
    return this.facts;
  }

  /** Whether the service answers. */
  async probe(): Promise<void> {
    if (this.current === undefined) throw new Error('it is being started again');
    await this.current.probe();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.current?.stop();
    await this.running;
  }

  private async bringUp(): Promise<HubService> {
    const service = this.make();
    this.facts = await service.start();
    this.current = service;
    return service;
  }

  /** Rejects when the service no longer answers its probe: a process that runs but does nothing is no service. */
  private async silence(service: HubService, signal: AbortSignal): Promise<void> {
    let silent = 0;
    for (;;) {
      await this.parts.wait(PROBE_EVERY_MS, signal);
      if (signal.aborted || this.current !== service) return;
      try {
        await service.probe();
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
        this.parts.logger.error(`The ${first.name} service failed: ${errorMessage(error)}`);
        this.current = undefined;
        await service?.stop().catch(() => {});
      }
      if (signal.aborted) return;
      service = undefined;
      if (this.parts.nowMs() - startedMs >= SOUND_RUN_MS) waitMs = FIRST_WAIT_MS;
      await this.parts.wait(waitMs, signal);
      waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
      this.restarts++;
    }
  }
}
