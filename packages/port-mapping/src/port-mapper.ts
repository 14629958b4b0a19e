import { errorCode, errorMessage, type Logger } from '@atoll/base';
import { openMulticastSocket } from '@atoll/udp';
import type { Gateway, Mapping, Transport } from './gateway.js';
import { ANNOUNCEMENT_GROUP, ANNOUNCEMENT_PORT } from './wire/nat-pmp.js';

/** Time that is asked for, seconds: a router frees the ports of a hub that is gone. */
export const LIFETIME_SECONDS = 7200;
/** Wait before a router that did not answer is looked for again, ms. */
const RETRY_MS = 60_000;
/** The earliest next renewal, ms, however short a lifetime a router grants, and however often it is announced. */
const MIN_RENEWAL_MS = 30_000;
/** How often a router is asked whether it still has what it granted, ms. */
const CHECK_MS = 300_000;
const STOP_MS = 3000;

export interface WantedPort {
  readonly transport: Transport;
  readonly port: number;
  readonly description: string;
}

export interface MapperOptions {
  readonly ports: readonly WantedPort[];
  readonly find: () => Promise<Gateway>;
  readonly logger: Logger;
  /** Told after each round. */
  readonly onMapped?: (gateway: Gateway, mappings: readonly Mapping[]) => void;
  /** Told at the stop of what was taken away. */
  readonly onUnmapped?: (mappings: readonly Mapping[]) => Promise<void>;
}

/**
 * Keeps ports mapped while it runs: renews at half of their lifetime (RFC 6887 section 11.2.1), looks for the router
 * again when it does not answer, and maps anew when a router announces that it started (section 14.1).
 */
export class PortMapper {
  private readonly options: MapperOptions;
  private readonly mapped = new Map<string, Mapping>();
  private gateway: Gateway | undefined;
  private timer: NodeJS.Timeout | undefined;
  private round: Promise<void> = Promise.resolve();
  private lastMs = Number.NEGATIVE_INFINITY;
  private isStopped = false;
  private announcements: { close(): Promise<void> } | undefined;
  /** Why the last round failed. */
  problem: Error | undefined;

  constructor(options: MapperOptions) {
    this.options = options;
  }

  get mappings(): readonly Mapping[] {
    return [...this.mapped.values()];
  }

  get router(): Gateway | undefined {
    return this.gateway;
  }

  /** Resolves after the first round, whether it went well or not: a router may come later. */
  async start(): Promise<void> {
    this.announcements = await openMulticastSocket(
      { family: 4, group: ANNOUNCEMENT_GROUP, port: ANNOUNCEMENT_PORT },
      { receive: (_bytes, from) => this.announced(from.host) },
    ).catch(() => undefined);
    await this.run();
  }

  /** Takes every mapping away, as far as the router answers in time. */
  async stop(): Promise<void> {
    this.isStopped = true;
    clearTimeout(this.timer);
    await this.announcements?.close();
    const { gateway } = this;
    const late = new Promise<void>((resolve) => setTimeout(resolve, STOP_MS).unref());
    const removal = this.round.then(async () => {
      const removed = await Promise.allSettled(this.mappings.map((mapping) => gateway?.unmap(mapping)));
      await this.options.onUnmapped?.(this.mappings.filter((_mapping, i) => removed[i]?.status === 'fulfilled'));
    });
    await Promise.race([removal, late]);
  }

  private run(): Promise<void> {
    clearTimeout(this.timer);
    this.round = this.mapAll().then(
      (renewalMs) => this.arm(Math.min(renewalMs, CHECK_MS), performance.now() + renewalMs),
      (error: Error) => {
        if (this.problem?.message !== error.message) this.options.logger.warn(`Ports are not mapped: ${error.message}`);
        this.problem = error;
        // Another router may stand there by now, but for one that answers that it will not.
        if (errorCode(error) !== 'PORT_MAP_REFUSED') this.gateway = undefined;
        this.arm(RETRY_MS);
      },
    );
    return this.round;
  }

  /** The next round comes after this time, or at `dueMs` where the router still has our mappings until then. */
  private arm(afterMs: number, dueMs = 0): void {
    if (!this.isStopped) this.timer = setTimeout(() => void this.look(dueMs), afterMs);
  }

  private async look(dueMs: number): Promise<void> {
    const { gateway } = this;
    const [mapping] = this.mappings;
    const leftMs = dueMs - performance.now();
    const isWell =
      leftMs > 0 &&
      gateway !== undefined &&
      mapping !== undefined &&
      (await gateway.remembers(mapping).catch(() => false));
    if (isWell) this.arm(Math.min(leftMs, CHECK_MS), dueMs);
    else if (!this.isStopped) await this.run();
  }

  /** Resolves to when the next round is due, ms. */
  private async mapAll(): Promise<number> {
    const { ports, find, onMapped, logger } = this.options;
    this.lastMs = performance.now();
    this.gateway ??= await find();
    let shortest = LIFETIME_SECONDS;
    let failure: unknown;
    for (const { transport, port, description } of ports) {
      if (this.isStopped) break;
      const key = `${transport} ${port}`;
      const externalPort = this.mapped.get(key)?.externalPort ?? port;
      try {
        const wanted = { transport, internalPort: port, externalPort, lifetime: LIFETIME_SECONDS, description };
        const mapping = await this.gateway.map(wanted);
        this.mapped.set(key, mapping);
        if (mapping.lifetime > 0) shortest = Math.min(shortest, mapping.lifetime);
      } catch (error) {
        // One port that is refused does not take the others down.
        failure ??= error;
      }
    }
    if (failure !== undefined && this.mapped.size === 0) throw failure;
    if (failure !== undefined) logger.warn(`A port is not mapped: ${errorMessage(failure)}`);
    this.problem = undefined;
    onMapped?.(this.gateway, this.mappings);
    return Math.max(shortest * 500, MIN_RENEWAL_MS);
  }

  /** A router says that it started, or that its address changed. Whoever says so: more than a new round never comes of it. */
  private announced(from: string): void {
    if (this.isStopped || (this.gateway !== undefined && from !== this.gateway.address)) return;
    const waitMs = Math.max(0, this.lastMs + MIN_RENEWAL_MS - performance.now());
    clearTimeout(this.timer);
    this.arm(waitMs);
  }
}
