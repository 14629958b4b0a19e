import type { Clock, Job, RandomSource, Scheduler } from '@atoll/base';
import type { Value } from '@atoll/dht';
import type { InfoHash } from '@atoll/identity';
import { RetryWait } from '../core/retry-wait.js';
import { RENEW_MS } from './listen-session.js';

/** A permanent put of this client. */
interface KeptPut {
  readonly key: InfoHash;
  readonly value: Value;
}

interface Entry extends KeptPut {
  readonly job: Job;
  readonly wait: RetryWait;
}

export interface KeptPutsParts {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: RandomSource;
  /** Puts it to the proxy in use. */
  readonly put: (put: KeptPut) => Promise<unknown>;
}

/** Permanent puts of a client: renewed every 22 hours, sooner when a renewal failed (protocol/dht-proxy.md 16.4). */
export class KeptPuts {
  private readonly parts: KeptPutsParts;
  private readonly entries = new Map<string, Entry>();

  constructor(parts: KeptPutsParts) {
    this.parts = parts;
  }

  get(key: InfoHash, id: bigint): Value | undefined {
    return this.entries.get(nameOf(key, id))?.value;
  }

  /** Keeps a value that is being put for the first time, or in the place of another of its id. */
  keep(key: InfoHash, value: Value): void {
    this.drop(key, value.id);
    const { clock, random, scheduler } = this.parts;
    const entry: Entry = {
      key,
      value,
      wait: new RetryWait(random),
      job: scheduler.at(clock.nowMs() + RENEW_MS, () => void this.renew(entry)),
    };
    this.entries.set(nameOf(key, value.id), entry);
  }

  /** Forgets it: it ends at the proxy when its day is over. */
  drop(key: InfoHash, id: bigint): boolean {
    const name = nameOf(key, id);
    const entry = this.entries.get(name);
    if (entry === undefined) return false;
    this.parts.scheduler.cancel(entry.job);
    return this.entries.delete(name);
  }

  /** A proxy is there anew: it has to hear of every put. */
  renewAll(): void {
    for (const entry of this.entries.values()) this.parts.scheduler.move(entry.job, this.parts.clock.nowMs());
  }

  /** The proxy warns that it forgets this one soon. */
  renewOne(key: InfoHash, id: bigint): void {
    const entry = this.entries.get(nameOf(key, id));
    if (entry !== undefined) this.parts.scheduler.move(entry.job, this.parts.clock.nowMs());
  }

  private async renew(entry: Entry): Promise<void> {
    let nextMs = RENEW_MS;
    try {
      await this.parts.put(entry);
      entry.wait.reset();
    } catch {
      nextMs = entry.wait.next();
    }
    const isCurrent = this.entries.get(nameOf(entry.key, entry.value.id)) === entry;
    if (isCurrent) this.parts.scheduler.move(entry.job, this.parts.clock.nowMs() + nextMs);
  }
}

function nameOf(key: InfoHash, id: bigint): string {
  return `${key.binary}${id}`;
}
