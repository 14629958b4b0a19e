import type { Logger } from '@atoll/base';
import { BoundedCache } from '../client/bounded-cache.js';
import { type Lookup, NameClient } from '../client/name-client.js';
import type { NameStore } from '../store/name-store.js';

export interface UpstreamOptions {
  /** Address of the other name server. */
  readonly server: string;
  /** Longest wait for it, ms: a person waits behind it. */
  readonly limitMs?: number;
  /** How long an answer is given without asking again, ms. */
  readonly freshMs?: number;
  /** How long a kept answer is given while the server cannot be asked, ms. */
  readonly keptMs?: number;
  readonly authority?: string | undefined;
}

export interface UpstreamComponents {
  readonly store: NameStore;
  readonly logger: Logger;
  readonly nowMs: () => number;
  readonly unixMs: () => number;
}

/** In requests of a forwarder; who gets it does not forward again, so that servers may know each other. */
export const FORWARDED_HEADER = 'atoll-names-forwarded';

const LIMIT_MS = 4000;
const FRESH_MS = 60_000;
const KEPT_MS = 30 * 86_400_000;
/** Answers remembered as fresh. */
const MAX_FRESH = 10_000;
/** Questions under way at a time; of more, what is kept is answered. */
const MAX_ASKING = 64;
/** Wait after a failure before the server is asked again, first and longest, ms. */
const FIRST_PAUSE_MS = 2000;
const LONGEST_PAUSE_MS = 60_000;

/** Another name server, asked for what is not known here; what it said is kept for when it cannot be reached. */
export class Upstream {
  readonly server: string;
  private readonly components: UpstreamComponents;
  private readonly client: NameClient;
  private readonly keptMs: number;
  private readonly fresh: BoundedCache<Lookup>;
  private readonly asking = new Map<string, Promise<Lookup>>();
  private readonly stopping = new AbortController();
  private pausedUntilMs = 0;
  private pauseMs = FIRST_PAUSE_MS;

  constructor(components: UpstreamComponents, options: UpstreamOptions) {
    this.components = components;
    const { limitMs = LIMIT_MS, freshMs = FRESH_MS, authority } = options;
    const headers = { [FORWARDED_HEADER]: '1' };
    this.client = new NameClient({ server: options.server, limitMs, headers, authority, cacheMs: 0 });
    this.server = this.client.server;
    this.keptMs = options.keptMs ?? KEPT_MS;
    this.fresh = new BoundedCache<Lookup>(components, { maxEntries: MAX_FRESH, lifeMs: freshMs });
  }

  lookup(name: string): Promise<Lookup> {
    return this.answer(`name ${name}`, (signal) => this.client.lookup(name, signal));
  }

  lookupAddress(address: string): Promise<Lookup> {
    return this.answer(`address ${address}`, (signal) => this.client.lookupAddress(address, signal));
  }

  /** Whether the last question was answered. */
  get isReachable(): boolean {
    return this.pausedUntilMs === 0;
  }

  close(): void {
    this.stopping.abort();
  }

  private async answer(question: string, ask: (signal: AbortSignal) => Promise<Lookup>): Promise<Lookup> {
    const fresh = this.fresh.get(question);
    if (fresh !== undefined) return fresh;
    if (this.components.nowMs() < this.pausedUntilMs) return this.kept(question, 'it did not answer a moment ago');
    const underWay = this.asking.get(question);
    if (underWay !== undefined) return underWay;
    if (this.asking.size >= MAX_ASKING) return this.kept(question, 'too many questions are under way');
    const asking = this.ask(question, ask).finally(() => this.asking.delete(question));
    this.asking.set(question, asking);
    return asking;
  }

  private async ask(question: string, ask: (signal: AbortSignal) => Promise<Lookup>): Promise<Lookup> {
    const { logger, nowMs, unixMs, store } = this.components;
    const result = await ask(this.stopping.signal);
    if (result.state === 'error') {
      if (this.pausedUntilMs === 0) logger.warn(`Upstream: ${result.reason}`);
      this.pausedUntilMs = nowMs() + this.pauseMs;
      this.pauseMs = Math.min(2 * this.pauseMs, LONGEST_PAUSE_MS);
      return this.kept(question, result.reason);
    }
    this.pausedUntilMs = 0;
    this.pauseMs = FIRST_PAUSE_MS;
    this.fresh.set(question, result);
    if (result.state === 'found') await store.keepAnswer(question, JSON.stringify(result), unixMs());
    return result;
  }

  private async kept(question: string, why: string): Promise<Lookup> {
    const { store, unixMs } = this.components;
    const kept = await store.keptAnswer(question);
    if (kept !== undefined && unixMs() - kept.unixMs < this.keptMs) return JSON.parse(kept.body) as Lookup;
    return { state: 'error', reason: `the upstream server cannot be asked: ${why}` };
  }
}
