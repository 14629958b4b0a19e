import type { Clock, Endpoint, Job, Scheduler } from '@atoll/base';
import {
  type Arena,
  type DtlsFacts,
  FLAG_CLOSED,
  FLAG_FAILED,
  FLAG_OPENED,
  FLAG_TIMER,
  META_ENTRIES,
  META_TIMER,
  type NativePart,
  useNative,
} from '../native.js';

/**
 * Why a session ended: the peer said close_notify; we closed; nothing came for too long; the handshake took too long;
 * the peer began anew from the same address; others needed the place; `verifyPeer` refused; OpenSSL gave up.
 */
export type DtlsEnd = 'close-notify' | 'closed' | 'idle' | 'timeout' | 'replaced' | 'evicted' | 'refused' | 'failed';

/** One peer's session. Its methods do nothing once it ended. */
export interface DtlsSession {
  readonly peer: Endpoint;
  /** Whether the handshake is through and the session did not end. */
  readonly isOpen: boolean;
  /** Encrypts and sends 1 to 16,384 bytes in one datagram. False when the session is not open or the size is wrong. */
  send(bytes: Uint8Array): boolean;
  /** Says close_notify and forgets the session. */
  close(): void;
  /** What was agreed upon; undefined unless the session is open. */
  facts(): DtlsFacts | undefined;
  /** The peer's chain in DER, its own certificate first; empty when it showed none. */
  peerCertificates(): Buffer[];
  /** Keying material (RFC 5705), such as `EXTRACTOR-dtls_srtp` (RFC 5764 4.2). Undefined unless the session is open. */
  exportKeyingMaterial(label: string, lengthBytes: number, context?: Uint8Array): Buffer | undefined;
}

/** What a session needs of those who keep it. */
export interface SessionOwner {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  transmit(bytes: Buffer, session: Session): void;
  /** The handshake is through. May end the session. */
  opened(session: Session): void;
  received(bytes: Buffer, session: Session): void;
  /** Once for each session; `detail` is OpenSSL's reason where there is one. */
  ended(session: Session, why: DtlsEnd, wasOpen: boolean, detail: string): void;
}

/** A datagram to send or received plaintext in the arena. */
interface Entry {
  readonly at: number;
  readonly length: number;
  readonly isPlain: boolean;
}

interface Outcome {
  readonly flags: number;
  /** Time until the flight under way is to be sent again. */
  readonly timerMs: number | undefined;
  readonly detail: string;
  readonly entries: readonly Entry[];
}

const CLOSED = 0;

export class Session implements DtlsSession {
  readonly peer: Endpoint;
  isOpen = false;
  /** Number of the owner's tick in which the peer was last heard; the owner compares. */
  heardTick = 0;
  isResting = false;
  readonly startedMs: number;
  /** Number in the native part; 0 once the session ended. */
  private id: number;
  private timer: Job | undefined;
  private readonly owner: SessionOwner;
  private readonly native: NativePart;
  private readonly arena: Arena;

  constructor(id: number, peer: Endpoint, owner: SessionOwner) {
    const { native, arena } = useNative();
    this.native = native;
    this.arena = arena;
    this.id = id;
    this.peer = peer;
    this.owner = owner;
    this.startedMs = owner.clock.nowMs();
  }

  get hasEnded(): boolean {
    return this.id === CLOSED;
  }

  /** A client's first flight. */
  start(): void {
    if (this.id !== CLOSED) this.take(this.native.start(this.id, this.arena.at));
  }

  receive(bytes: Uint8Array): void {
    if (this.id === CLOSED) return;
    this.isResting = false;
    this.take(this.native.receive(this.id, bytes, this.arena.at));
  }

  send(bytes: Uint8Array): boolean {
    if (!this.isOpen) return false;
    const { arena } = this;
    const { at } = arena;
    const length = this.native.send(this.id, bytes, at);
    if (length === 0) return false;
    arena.at = at + length;
    try {
      this.owner.transmit(arena.view(at, length), this);
    } finally {
      arena.at = at;
    }
    return true;
  }

  close(): void {
    this.end('closed');
  }

  facts(): DtlsFacts | undefined {
    return this.isOpen ? this.native.describe(this.id) : undefined;
  }

  peerCertificates(): Buffer[] {
    return this.isOpen ? this.native.peerCertificates(this.id) : [];
  }

  exportKeyingMaterial(label: string, lengthBytes: number, context?: Uint8Array): Buffer | undefined {
    return this.isOpen ? this.native.exportKeys(this.id, label, lengthBytes, context) : undefined;
  }

  /** Gives memory back while the peer is silent. */
  rest(): void {
    if (!this.isOpen || this.isResting) return;
    this.isResting = true;
    this.native.rest(this.id);
  }

  end(why: DtlsEnd, detail = ''): void {
    if (this.id === CLOSED) return;
    const { id, arena } = this;
    const wasOpen = this.isOpen;
    this.id = CLOSED;
    this.isOpen = false;
    this.owner.scheduler.cancel(this.timer);
    const { at } = arena;
    const result = this.native.close(id, at);
    try {
      const entries = this.entries(result);
      for (const entry of entries) this.owner.transmit(arena.view(entry.at, entry.length), this);
    } finally {
      arena.at = at;
    }
    this.owner.ended(this, why, wasOpen, detail);
  }

  /** Acts on what a call of the native part left in the arena. */
  take(result: number): void {
    if (result === 0) return;
    const { arena, owner } = this;
    const { at } = arena;
    try {
      if (result === 1 << 8) {
        // The media path: one record came or one flight goes, and nothing else changed.
        const offset = arena.meta[META_ENTRIES] as number;
        const word = arena.meta[META_ENTRIES + 1] as number;
        const length = word >>> 1;
        arena.at = offset + length;
        const view = arena.view(offset, length);
        if ((word & 1) === 1) owner.received(view, this);
        else owner.transmit(view, this);
        return;
      }
      this.act(this.read(result));
    } finally {
      arena.at = at;
    }
  }

  /** Reads what a call left, so that others can be made. The arena's top moves above it; the caller moves it back. */
  read(result: number): Outcome {
    return {
      flags: result & 0xff,
      timerMs: (result & FLAG_TIMER) === 0 ? undefined : (this.arena.meta[META_TIMER] as number),
      detail: (result & FLAG_FAILED) === 0 ? '' : this.native.failure(),
      entries: this.entries(result),
    };
  }

  act({ flags, timerMs, detail, entries }: Outcome): void {
    const { arena, owner } = this;
    for (const entry of entries) if (!entry.isPlain) owner.transmit(arena.view(entry.at, entry.length), this);
    if ((flags & FLAG_OPENED) !== 0 && !this.hasEnded) {
      this.isOpen = true;
      owner.opened(this);
    }
    for (const entry of entries)
      if (entry.isPlain && this.isOpen) owner.received(arena.view(entry.at, entry.length), this);
    if ((flags & FLAG_CLOSED) !== 0) this.end('close-notify');
    else if ((flags & FLAG_FAILED) !== 0) this.end('failed', detail);
    this.plan(timerMs);
  }

  private entries(result: number): Entry[] {
    const { arena } = this;
    const entries: Entry[] = [];
    for (let i = 0; i < result >>> 8; i++) {
      const at = arena.meta[META_ENTRIES + 2 * i] as number;
      const word = arena.meta[META_ENTRIES + 2 * i + 1] as number;
      entries.push({ at, length: word >>> 1, isPlain: (word & 1) === 1 });
      arena.at = at + (word >>> 1);
    }
    return entries;
  }

  /** Plans the retransmission of the flight under way. OpenSSL decides by the machine's clock whether it is time. */
  private plan(inMs: number | undefined): void {
    const { scheduler, clock } = this.owner;
    if (inMs === undefined || this.id === CLOSED) return scheduler.cancel(this.timer);
    const dueMs = clock.nowMs() + Math.max(1, inMs);
    if (this.timer === undefined) {
      this.timer = scheduler.at(dueMs, () => {
        if (this.id === CLOSED) return;
        const result = this.native.timeout(this.id, this.arena.at);
        this.take(result);
        if (result === 0) this.plan(undefined);
      });
    } else scheduler.move(this.timer, dueMs);
  }
}
