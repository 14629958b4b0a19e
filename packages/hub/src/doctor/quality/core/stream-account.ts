import type { DuePacket } from './paced-stream.js';

/** A packet that has not come when one has that left so much later is lost, ms. */
const REORDER_MS = 100;
/** What a stream still counts as seen without a break (W3C webrtc-stats, freezeCount): three frames, or one and 150 ms. */
const FREEZE_FRAMES = 3;
const FREEZE_MS = 150;
/** Weight of a new value in the jitter (RFC 3550 section 6.4.1). */
const JITTER_WEIGHT = 1 / 16;

/** What became of one stream. */
export interface StreamFigures {
  readonly packets: number;
  readonly lossPercent: number;
  /** Of which on the way there; undefined when the other side does not count. */
  readonly lossTherePercent?: number;
  /** Frames that were sent, and that could have been shown, each second. */
  readonly sentFramesPerSecond: number;
  readonly shownFramesPerSecond: number;
  readonly freezes: number;
  readonly longestFreezeMs: number;
  /** There and back: median and 95th percentile. */
  readonly delayMs: number;
  readonly slowDelayMs: number;
  readonly jitterMs: number;
  readonly megabitsPerSecond: number;
  /** Each second of it. */
  readonly seconds: readonly SecondFigures[];
}

export interface SecondFigures {
  readonly frames: number;
  readonly lossPercent: number;
  readonly delayMs: number;
}

interface Sent extends DuePacket {
  readonly sentMs: number;
  arrivedMs: number | undefined;
}

interface Frame {
  isKey: boolean;
  missing: number;
  completeMs: number;
  isLost: boolean;
}

/** Counts packets and frames of one stream, sans-I/O. */
export class StreamAccount {
  private readonly onLost: () => void;
  private readonly packets: Sent[] = [];
  private readonly frames: Frame[] = [];
  private judged = 0;
  private latestMs = Number.NEGATIVE_INFINITY;
  private theirCount = 0;
  private jitterMs = 0;
  private lastTransitMs: number | undefined;

  /** `onLost` is told of each packet that is lost, while the stream runs. */
  constructor(onLost: () => void = () => {}) {
    this.onLost = onLost;
  }

  /** A packet leaves. They are told in order. */
  sent(packet: DuePacket, nowMs: number): void {
    this.packets.push({ ...packet, sentMs: nowMs, arrivedMs: undefined });
    const frame = this.frames[packet.frame];
    if (frame === undefined) {
      this.frames[packet.frame] = { isKey: packet.isKey, missing: 1, completeMs: 0, isLost: false };
    } else frame.missing++;
  }

  /** A packet came back. */
  arrived(sequence: number, theirCount: number, nowMs: number): void {
    const packet = this.packets[sequence];
    if (packet === undefined || packet.arrivedMs !== undefined) return;
    packet.arrivedMs = nowMs;
    this.theirCount = Math.max(this.theirCount, theirCount);
    this.latestMs = Math.max(this.latestMs, packet.sentMs);
    const transitMs = nowMs - packet.sentMs;
    if (this.lastTransitMs !== undefined) {
      this.jitterMs += JITTER_WEIGHT * (Math.abs(transitMs - this.lastTransitMs) - this.jitterMs);
    }
    this.lastTransitMs = transitMs;
    const frame = this.frames[packet.frame];
    if (frame !== undefined && --frame.missing === 0) frame.completeMs = nowMs;
    this.judge();
  }

  /** What it all came to. */
  figures(durationMs: number, framesPerSecond: number): StreamFigures {
    const { packets } = this;
    const [first] = packets;
    const startMs = first?.sentMs ?? 0;
    const arrived = packets.filter(({ arrivedMs }) => arrivedMs !== undefined);
    const delays = arrived.map(({ arrivedMs = 0, sentMs }) => arrivedMs - sentMs).sort((a, b) => a - b);
    const shown = this.shownTimes();
    const freezes = freezesIn(shown, startMs, startMs + durationMs, framesPerSecond);
    const share = (lost: number): number => (packets.length === 0 ? 0 : round((100 * lost) / packets.length));
    const bytes = packets.reduce((sum, packet) => sum + packet.bytes, 0);
    return {
      packets: packets.length,
      lossPercent: share(packets.length - arrived.length),
      ...(this.theirCount === 0 ? {} : { lossTherePercent: share(packets.length - this.theirCount) }),
      sentFramesPerSecond: round((1000 * this.frames.length) / durationMs),
      shownFramesPerSecond: round((1000 * shown.length) / durationMs),
      freezes: freezes.length,
      longestFreezeMs: Math.round(Math.max(0, ...freezes)),
      delayMs: round(delays[delays.length >> 1] ?? 0),
      slowDelayMs: round(delays[Math.floor(0.95 * delays.length)] ?? 0),
      jitterMs: round(this.jitterMs),
      megabitsPerSecond: round((8 * bytes) / durationMs / 1000),
      seconds: this.secondsOf(shown, startMs, durationMs),
    };
  }

  private judge(): void {
    for (;;) {
      const packet = this.packets[this.judged];
      if (packet === undefined || packet.sentMs >= this.latestMs - REORDER_MS) return;
      this.judged++;
      if (packet.arrivedMs === undefined) this.onLost();
    }
  }

  /** When each frame could be shown: when it and all before it, back to a key frame, were there. */
  private shownTimes(): number[] {
    const times: number[] = [];
    let isBroken = false;
    let lastMs = Number.NEGATIVE_INFINITY;
    for (const { isKey, missing, completeMs } of this.frames) {
      if (isKey) isBroken = false;
      if (missing > 0) isBroken = true;
      if (isBroken) continue;
      lastMs = Math.max(lastMs, completeMs);
      times.push(lastMs);
    }
    return times;
  }

  private secondsOf(shown: readonly number[], startMs: number, durationMs: number): SecondFigures[] {
    const count = Math.ceil(durationMs / 1000);
    const delayMs = round(this.delayOf(this.packets));
    return Array.from({ length: count }, (_, second) => {
      const isIn = (ms: number): boolean => Math.floor((ms - startMs) / 1000) === second;
      const packets = this.packets.filter(({ sentMs }) => isIn(sentMs));
      const lost = packets.filter(({ arrivedMs }) => arrivedMs === undefined).length;
      return {
        frames: shown.filter(isIn).length,
        lossPercent: packets.length === 0 ? 0 : round((100 * lost) / packets.length),
        delayMs: packets.length === lost ? delayMs : round(this.delayOf(packets)),
      };
    });
  }

  private delayOf(packets: readonly Sent[]): number {
    const delays = packets
      .filter(({ arrivedMs }) => arrivedMs !== undefined)
      .map(({ arrivedMs = 0, sentMs }) => arrivedMs - sentMs)
      .sort((a, b) => a - b);
    return delays[delays.length >> 1] ?? 0;
  }
}

/** Gaps without a new picture that people notice, ms. */
function freezesIn(shown: readonly number[], startMs: number, endMs: number, framesPerSecond: number): number[] {
  const intervalMs = 1000 / framesPerSecond;
  const longMs = Math.max(FREEZE_FRAMES * intervalMs, intervalMs + FREEZE_MS);
  // The first picture may take its time: nothing was there that could freeze.
  const times = [...(shown.length === 0 ? [startMs] : shown), Math.max(endMs, shown.at(-1) ?? endMs)];
  return times
    .slice(1)
    .map((time, index) => time - (times[index] ?? time))
    .filter((gapMs) => gapMs > longMs);
}

function round(value: number): number {
  return Math.round(10 * value) / 10;
}
