import { createHmac } from 'node:crypto';
import type { Clock, Endpoint, RandomSource } from '@atoll/base';
import { COOKIE_BYTES, decodeQuality, encodeQuality, type QualityPacket } from './quality-packet.js';

/** Tests that may run at once. */
const MAX_SESSIONS = 8;
/** A cookie is good for this long and at most twice as long, ms; a session ends as long after its last packet. */
const SESSION_MS = 60_000;
/** What is sent back to one session in a second, bytes, and at once. */
const MAX_BYTES_PER_SECOND = 20_000_000;
const BURST_BYTES = 4_000_000;

interface Session {
  /** Packets received by stream. */
  readonly counts: Map<number, number>;
  credit: number;
  seenMs: number;
}

export interface QualityResponderComponents {
  readonly clock: Clock;
  readonly random: RandomSource;
}

/**
 * The other side of a quality test, sans-I/O: sends each packet back with the time at which it came. It answers only who
 * knows the token, only to addresses that have shown to hear it, and never with more bytes than it received.
 */
export class QualityResponder {
  /** Packets that were not answered. */
  dropped = 0;
  private readonly clock: Clock;
  private readonly key: Buffer;
  private readonly secret: Buffer;
  private readonly sessions = new Map<string, Session>();

  constructor({ clock, random }: QualityResponderComponents, key: Buffer) {
    this.clock = clock;
    this.key = key;
    this.secret = random.bytes(32);
  }

  /** The answer to a datagram, if it gets one; not longer than the datagram. */
  receive(bytes: Buffer, from: Endpoint): Buffer | undefined {
    const answer = this.answerTo(bytes, from);
    if (answer === undefined) this.dropped++;
    return answer;
  }

  private answerTo(bytes: Buffer, from: Endpoint): Buffer | undefined {
    const packet = decodeQuality(this.key, bytes);
    if (typeof packet === 'string') return undefined;
    const nowMs = this.clock.nowMs();
    const epoch = Math.floor(nowMs / SESSION_MS);
    if (packet.kind === 'hello') {
      return encodeQuality(this.key, { ...packet, kind: 'cookie', cookie: this.cookieOf(from, epoch) });
    }
    if (packet.kind !== 'data') return undefined;
    const isKnown = [epoch, epoch - 1].some((each) => this.cookieOf(from, each).equals(packet.cookie));
    const session = isKnown ? this.sessionOf(packet, nowMs) : undefined;
    if (session === undefined) return undefined;
    const passedMs = nowMs - session.seenMs;
    session.credit = Math.min(BURST_BYTES, session.credit + (passedMs * MAX_BYTES_PER_SECOND) / 1000);
    session.seenMs = nowMs;
    if (session.credit < bytes.length) return undefined;
    session.credit -= bytes.length;
    const theirCount = (session.counts.get(packet.stream) ?? 0) + 1;
    session.counts.set(packet.stream, theirCount);
    return encodeQuality(this.key, { ...packet, kind: 'echo', theirMs: nowMs, theirCount }, bytes.length);
  }

  private sessionOf(packet: QualityPacket, nowMs: number): Session | undefined {
    const id = packet.cookie.toString('latin1');
    const known = this.sessions.get(id);
    if (known !== undefined) return known;
    for (const [each, { seenMs }] of this.sessions) if (nowMs - seenMs > SESSION_MS) this.sessions.delete(each);
    if (this.sessions.size >= MAX_SESSIONS) return undefined;
    const session = { counts: new Map<number, number>(), credit: BURST_BYTES, seenMs: nowMs };
    this.sessions.set(id, session);
    return session;
  }

  private cookieOf(from: Endpoint, epoch: number): Buffer {
    return createHmac('sha256', this.secret).update(`${from} ${epoch}`).digest().subarray(0, COOKIE_BYTES);
  }
}
