import type { Clock } from '@atoll/base';
import { deadConnections } from './dead-connections.js';
import type { ProxyLimits } from './limits.js';
import type { ListenStream } from './listen-stream.js';

/** Each idle stream gets a sign of life so often, s. */
const HEARTBEAT_SECONDS = 25;
/** The system's tables are looked at for dead connections so often, in ticks of a second. */
const DEAD_CHECK_TICKS = 10;

/** All open listens: their signs of life, the slow ones, and those whose other end is gone. */
export class ListenStreams {
  /** Time between signs of life on one stream, s. */
  readonly heartbeatSeconds: number;
  private readonly clock: Clock;
  private readonly limits: ProxyLimits;
  private readonly logDead: (count: number) => void;
  /** Streams by the second in which they get their sign of life, so that not all do at once. */
  private readonly slots: Set<ListenStream>[];
  private readonly slotOf = new WeakMap<ListenStream, Set<ListenStream>>();
  /** Since when a stream has had something waiting, ms of the clock. */
  private readonly slow = new Map<ListenStream, number>();
  private timer: NodeJS.Timeout | undefined;
  private ticks = 0;
  private nextSlot = 0;
  private isChecking = false;

  constructor(
    clock: Clock,
    limits: ProxyLimits,
    options: {
      readonly heartbeatSeconds?: number | undefined;
      readonly onDead?: ((count: number) => void) | undefined;
    },
  ) {
    this.clock = clock;
    this.limits = limits;
    this.logDead = options.onDead ?? (() => {});
    this.heartbeatSeconds = options.heartbeatSeconds ?? HEARTBEAT_SECONDS;
    this.slots = Array.from({ length: this.heartbeatSeconds }, () => new Set());
  }

  start(): void {
    this.timer = setInterval(() => this.tick(), 1000);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  add(stream: ListenStream): void {
    // The slot that comes last: a full period from now.
    const slot = this.slots[(this.nextSlot + this.slots.length - 1) % this.slots.length];
    if (slot === undefined) return;
    slot.add(stream);
    this.slotOf.set(stream, slot);
  }

  remove(stream: ListenStream): void {
    this.slotOf.get(stream)?.delete(stream);
    this.slow.delete(stream);
  }

  *all(): IterableIterator<ListenStream> {
    for (const slot of this.slots) yield* slot;
  }

  /** A stream takes less than it is given. */
  isSlow(stream: ListenStream): void {
    if (stream.queuedBytes > this.limits.queuedBytesPerListen) {
      stream.drop();
      return;
    }
    if (!this.slow.has(stream)) this.slow.set(stream, this.clock.nowMs());
    let queued = 0;
    let largest: ListenStream | undefined;
    for (const each of this.slow.keys()) {
      queued += each.queuedBytes;
      if (largest === undefined || each.queuedBytes > largest.queuedBytes) largest = each;
    }
    if (queued > this.limits.queuedBytes) largest?.drop();
  }

  private tick(): void {
    const slot = this.slots[this.nextSlot];
    this.nextSlot = (this.nextSlot + 1) % this.slots.length;
    for (const stream of [...(slot ?? [])]) stream.heartbeat();
    const nowMs = this.clock.nowMs();
    for (const [stream, sinceMs] of this.slow) {
      if (stream.queuedBytes === 0) this.slow.delete(stream);
      else if (nowMs - sinceMs > this.limits.slowListenerMs) stream.drop();
    }
    if (++this.ticks % DEAD_CHECK_TICKS === 0) void this.dropDead();
  }

  /** Drops listens whose path died: nobody acknowledges what was sent, and TCP would go on trying for a quarter of an hour. */
  private async dropDead(): Promise<void> {
    if (this.isChecking) return;
    this.isChecking = true;
    const dead = await deadConnections();
    this.isChecking = false;
    if (dead.size === 0) return;
    let count = 0;
    for (const stream of [...this.all()]) {
      const { address, port } = stream.remote;
      if (!dead.has(`${address}:${port}`)) continue;
      stream.drop();
      count++;
    }
    if (count > 0) this.logDead(count);
  }
}
