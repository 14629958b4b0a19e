import type { Clock, Endpoint, Scheduler } from '@atoll/base';

/** Datagrams sent at once: the header and parts of the largest value fit a default receive buffer. */
const BURST = 64;
/** And then this many every {@link GAP_MS}. */
const STEP = 32;
const GAP_MS = 2;
/** Bytes that wait, of all messages; a message beyond it is sent without pacing its rest (and is counted as dropped). */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

/** Sends messages of many datagrams a little at a time, so that they do not overrun the receiver (protocol/dht.md 9). */
export class Pacer {
  private readonly clock: Clock;
  private readonly scheduler: Scheduler;
  private readonly send: (bytes: Buffer, to: Endpoint) => void;
  private waitingBytes = 0;
  /** Datagrams not sent because too much waited already. */
  dropped = 0;

  constructor(clock: Clock, scheduler: Scheduler, send: (bytes: Buffer, to: Endpoint) => void) {
    this.clock = clock;
    this.scheduler = scheduler;
    this.send = send;
  }

  /** Sends packets in their order; the buffers must stay as they are until sent. */
  sendAll(packets: readonly Buffer[], to: Endpoint): void {
    for (let i = 0; i < packets.length && i < BURST; i++) this.send(packets[i] as Buffer, to);
    if (packets.length <= BURST) return;
    let bytes = 0;
    for (let i = BURST; i < packets.length; i++) bytes += (packets[i] as Buffer).length;
    if (this.waitingBytes + bytes > MAX_WAITING_BYTES) {
      this.dropped += packets.length - BURST;
      return;
    }
    this.waitingBytes += bytes;
    this.later(packets, BURST, to);
  }

  private later(packets: readonly Buffer[], from: number, to: Endpoint): void {
    this.scheduler.at(this.clock.nowMs() + GAP_MS, () => {
      const end = Math.min(from + STEP, packets.length);
      for (let i = from; i < end; i++) {
        const packet = packets[i] as Buffer;
        this.waitingBytes -= packet.length;
        this.send(packet, to);
      }
      if (end < packets.length) this.later(packets, end, to);
    });
  }
}
