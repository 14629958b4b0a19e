import type { Clock, Endpoint, Job, Scheduler } from '@atoll/base';
import { decodeDiscovery, encodeAnnouncement, QUERY } from './announcement.js';

/** Port of both groups (protocol/peer-discovery.md 1). */
export const DISCOVERY_PORT = 8888;
export const DISCOVERY_GROUPS = { 4: '239.192.0.1', 6: 'ff08::101' } as const;

/** After a change everything is said again after 10, 20 and 40 seconds (protocol/peer-discovery.md 3). */
const FIRST_REPEAT_MS = 10_000;
const LAST_REPEAT_MS = 60_000;
/** Questions answered in one second: more would make us a tool against whoever is said to ask. */
const MAX_ANSWERS_PER_SECOND = 64;

export interface PeerDiscoveryParts {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly sendToGroup: (bytes: Buffer) => void;
  readonly sendTo: (bytes: Buffer, to: Endpoint) => void;
}

/** Finds and is found on the local network, in one family, without sockets (protocol/peer-discovery.md). */
export class PeerDiscovery {
  private readonly parts: PeerDiscoveryParts;
  private readonly published = new Map<string, Buffer>();
  private readonly discovering = new Map<string, (object: Buffer, from: Endpoint) => void>();
  private repeatJob: Job | undefined;
  private repeatMs = FIRST_REPEAT_MS;
  private answersSinceMs = Number.NEGATIVE_INFINITY;
  private answers = 0;
  /** Datagrams that were no packets of this protocol, or too many questions. */
  dropped = 0;

  constructor(parts: PeerDiscoveryParts) {
    this.parts = parts;
  }

  /** Announces a service with its msgpack object, at once and whenever somebody asks. */
  publish(service: string, object: Buffer): void {
    this.published.set(service, object);
    this.announce();
  }

  /** Stops announcing; there is no goodbye in this protocol. */
  unpublish(service: string): void {
    this.published.delete(service);
  }

  /** Hears of a service of others; asks for it at once. The callback must take the same news many times. */
  discover(service: string, onFound: (object: Buffer, from: Endpoint) => void): void {
    const isFirst = this.discovering.size === 0;
    this.discovering.set(service, onFound);
    if (isFirst) this.parts.sendToGroup(QUERY);
  }

  stopDiscovering(service: string): void {
    this.discovering.delete(service);
  }

  /** One datagram from the group or to us. */
  receive(bytes: Buffer, from: Endpoint): void {
    const packet = decodeDiscovery(bytes);
    if (typeof packet === 'string') {
      this.dropped++;
      return;
    }
    if (packet.kind === 'query') {
      if (this.published.size > 0 && this.mayAnswer()) this.parts.sendTo(encodeAnnouncement(this.published), from);
      return;
    }
    for (const [service, object] of packet.services) this.discovering.get(service)?.(object, from);
  }

  /** Links or addresses changed, or everybody was lost: ask and announce again, now and a few times more. */
  connectivityChanged(): void {
    this.repeatMs = FIRST_REPEAT_MS;
    this.sayAll();
    this.planRepeat();
  }

  /** Somebody was found: no more repeats. */
  settle(): void {
    this.parts.scheduler.cancel(this.repeatJob);
  }

  private sayAll(): void {
    if (this.discovering.size > 0) this.parts.sendToGroup(QUERY);
    this.announce();
  }

  private announce(): void {
    if (this.published.size > 0) this.parts.sendToGroup(encodeAnnouncement(this.published));
  }

  private planRepeat(): void {
    const { clock, scheduler } = this.parts;
    const dueMs = clock.nowMs() + this.repeatMs;
    if (this.repeatJob !== undefined) scheduler.move(this.repeatJob, dueMs);
    else this.repeatJob = scheduler.at(dueMs, () => this.repeat());
  }

  private repeat(): void {
    this.sayAll();
    this.repeatMs *= 2;
    if (this.repeatMs < LAST_REPEAT_MS) this.planRepeat();
  }

  private mayAnswer(): boolean {
    const nowMs = this.parts.clock.nowMs();
    if (nowMs - this.answersSinceMs >= 1000) {
      this.answersSinceMs = nowMs;
      this.answers = 0;
    }
    if (this.answers >= MAX_ANSWERS_PER_SECOND) {
      this.dropped++;
      return false;
    }
    this.answers++;
    return true;
  }
}
