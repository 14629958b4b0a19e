import { HEADER_BYTES, MAX_PACKET_BYTES } from './quality-packet.js';

/** Packets leave at so many times the mean rate: a large frame is no burst, and takes longer than its own time. */
const PACE = 4;
/** After a loss a key frame comes at most so often, ms: more of them would only bring more loss. */
const KEY_EVERY_MS = 1000;

/** A stream to be imitated. */
export interface StreamShape {
  /** Sizes of successive frames, bytes; begun anew when they are over. The first one is a key frame. */
  readonly frameBytes: readonly number[];
  readonly framesPerSecond: number;
  readonly durationMs: number;
}

/** A packet that is due. */
export interface DuePacket {
  readonly sequence: number;
  readonly frame: number;
  readonly isKey: boolean;
  /** Its size with header. */
  readonly bytes: number;
}

/** Cuts frames into packets and says when each one is to leave, sans-I/O. */
export class PacedStream {
  /** When the next packet is due; Infinity when all are out. */
  dueMs: number;
  private readonly shape: StreamShape;
  private readonly startMs: number;
  private readonly intervalMs: number;
  private readonly keyBytes: number;
  private readonly bytesPerMs: number;
  private keyMs = Number.NEGATIVE_INFINITY;
  private sequence = 0;
  private frame = 0;
  private isKeyWanted = false;
  private readonly waiting: DuePacket[] = [];

  constructor(shape: StreamShape, startMs: number) {
    this.shape = shape;
    this.startMs = startMs;
    this.dueMs = startMs;
    this.intervalMs = 1000 / shape.framesPerSecond;
    this.keyBytes = Math.max(...shape.frameBytes);
    const bytes = shape.frameBytes.reduce((sum, each) => sum + each, 0);
    this.bytesPerMs = (PACE * bytes) / (shape.frameBytes.length * this.intervalMs);
  }

  /** The other side lost a frame: the next one is a key frame, which is as large as the largest frame. */
  requestKeyFrame(): void {
    this.isKeyWanted = true;
  }

  /** All packets that are due by now. */
  take(nowMs: number): DuePacket[] {
    const due: DuePacket[] = [];
    while (this.dueMs <= nowMs) {
      const next = this.waiting.shift() ?? this.cutFrame();
      if (next === undefined) {
        this.dueMs = Number.POSITIVE_INFINITY;
        break;
      }
      due.push(next);
      const pacedMs = this.dueMs + next.bytes / this.bytesPerMs;
      const frameMs = this.startMs + this.frame * this.intervalMs;
      this.dueMs = this.waiting.length > 0 ? pacedMs : Math.max(pacedMs, frameMs);
    }
    return due;
  }

  private cutFrame(): DuePacket | undefined {
    const { frame, shape } = this;
    if (frame * this.intervalMs >= shape.durationMs) return undefined;
    const at = frame % shape.frameBytes.length;
    const isForced = this.isKeyWanted && this.dueMs - this.keyMs >= KEY_EVERY_MS;
    const isKey = at === 0 || isForced;
    const size = isForced ? this.keyBytes : (shape.frameBytes[at] ?? 0);
    if (isKey) {
      this.isKeyWanted = false;
      this.keyMs = this.dueMs;
    }
    this.frame++;
    const room = MAX_PACKET_BYTES - HEADER_BYTES;
    const count = Math.max(1, Math.ceil(size / room));
    for (let i = 0; i < count; i++) {
      const bytes = HEADER_BYTES + Math.min(room, Math.max(0, size - i * room));
      this.waiting.push({ sequence: this.sequence++, frame, isKey, bytes });
    }
    return this.waiting.shift();
  }
}
