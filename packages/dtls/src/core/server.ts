import {
  binaryBytes,
  type Clock,
  type Endpoint,
  type Job,
  type RandomSource,
  type Scheduler,
  UsageError,
} from '@atoll/base';
import { FLAG_ACCEPTED, META_ENTRIES, META_SESSION, useNative } from '../native.js';
import type { DtlsContext } from './context.js';
import { clientRandom, isClientHello } from './hello.js';
import { MAX_MTU_BYTES, MIN_MTU_BYTES, whole } from './limits.js';
import { type DtlsEnd, type DtlsSession, Session, type SessionOwner } from './session.js';

/** All maintenance happens in these steps: idle sessions, slow handshakes, the cookie secret. */
const TICK_MS = 1000;
/** A cookie is good for one to two of these (RFC 6347 4.2.1). */
const COOKIE_SECRET_TICKS = 60;
const COOKIE_SECRET_BYTES = 32;
/** A session silent for this long gives its record buffers back (33 kB). */
const REST_TICKS = 15;

export interface DtlsServerComponents {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: RandomSource;
  /** Sends a datagram. `bytes` is valid only during the call. */
  send(bytes: Buffer, to: Endpoint): void;
}

export interface DtlsServerOptions {
  readonly context: DtlsContext;
  /** Largest datagram of a handshake, without IP and UDP headers. Data goes as it is given. */
  readonly mtuBytes?: number;
  /** Sessions at once, half-open ones among them. Beyond it a newcomer hears nothing. */
  readonly maxSessions?: number;
  /** Half-open handshakes at once. The oldest gives way. */
  readonly maxHandshakes?: number;
  /** Half-open handshakes of one address. Beyond it newcomers from there hear nothing and try again. */
  readonly maxHandshakesPerAddress?: number;
  /** A handshake that takes longer ends. */
  readonly handshakeMs?: number;
  /** A session in which the peer is silent for longer ends. */
  readonly idleMs?: number;
  /** Judges a peer by its certificates once its handshake is through: a sentence refuses it. */
  readonly verifyPeer?: (session: DtlsSession) => string | undefined;
}

/** What a server tells its owner. */
export interface DtlsServerHandler {
  opened?(session: DtlsSession): void;
  /** Decrypted data came, never empty. `bytes` is valid only during the call: copy what you keep. */
  receive(bytes: Buffer, from: Endpoint, session: DtlsSession): void;
  /** An open session ended. */
  closed?(session: DtlsSession, why: DtlsEnd): void;
  /** A handshake ended before the session was open; `detail` is OpenSSL's reason, or what `verifyPeer` said. */
  handshakeFailed?(peer: Endpoint, why: DtlsEnd, detail: string): void;
}

export interface DtlsServerStats {
  /** ClientHellos looked at, most of them answered with a cookie and forgotten. */
  hellos: number;
  /** Sessions that began: their client came back with its cookie. */
  accepted: number;
  opened: number;
  /** Handshakes that ended before the session was open. */
  failed: number;
  /** ClientHellos not answered because a bound was reached. */
  refused: number;
  /** Half-open handshakes that gave way to newer ones. */
  evicted: number;
  /** Datagrams that belong to no session and are no ClientHello. */
  strays: number;
}

/**
 * DTLS 1.2 sessions of many peers on one socket, told apart by their address and port. It owns no socket and no clock.
 *
 * A ClientHello is answered with a cookie made of the peer's address and a secret, and nothing is kept, until the
 * client proves with the cookie that it is where it says (RFC 6347 4.2.1). A client that begins anew from an address
 * with a session replaces that session after the same proof (4.2.8).
 */
export class DtlsServer {
  readonly stats: DtlsServerStats = {
    hellos: 0,
    accepted: 0,
    opened: 0,
    failed: 0,
    refused: 0,
    evicted: 0,
    strays: 0,
  };
  private context: DtlsContext;
  private readonly components: DtlsServerComponents;
  private readonly handler: DtlsServerHandler;
  private readonly mtuBytes: number;
  private readonly maxSessions: number;
  private readonly maxHandshakes: number;
  private readonly maxHandshakesPerAddress: number;
  private readonly handshakeMs: number;
  private readonly idleTicks: number;
  private readonly verifyPeer: ((session: DtlsSession) => string | undefined) | undefined;
  private readonly sessions = new Map<string, Session>();
  /** Half-open ones, oldest first, with the random bytes of the ClientHello that began them. */
  private readonly handshakes = new Set<Session>();
  private readonly handshakesOf = new Map<string, number>();
  private readonly randoms = new WeakMap<Session, string>();
  /** The present secret, then the one before it. */
  private readonly secrets: Buffer;
  private readonly tickJob: Job;
  private readonly owner: SessionOwner;
  private tick = 0;
  private isClosed = false;

  constructor(components: DtlsServerComponents, options: DtlsServerOptions, handler: DtlsServerHandler) {
    useNative();
    if (!options.context.hasCertificate) throw new UsageError('A DTLS server needs a certificate and its key.');
    this.components = components;
    this.handler = handler;
    this.context = options.context;
    this.mtuBytes = whole('mtuBytes', options.mtuBytes ?? 1200, MIN_MTU_BYTES, MAX_MTU_BYTES);
    this.maxSessions = whole('maxSessions', options.maxSessions ?? 16_384, 1, 500_000);
    this.maxHandshakes = whole('maxHandshakes', options.maxHandshakes ?? 1024, 1, 100_000);
    this.maxHandshakesPerAddress = whole(
      'maxHandshakesPerAddress',
      options.maxHandshakesPerAddress ?? Math.min(256, this.maxHandshakes),
      1,
      this.maxHandshakes,
    );
    this.handshakeMs = options.handshakeMs ?? 30_000;
    this.idleTicks = Math.max(1, Math.ceil((options.idleMs ?? 600_000) / TICK_MS));
    this.verifyPeer = options.verifyPeer;
    const { clock, scheduler, random } = components;
    this.owner = {
      clock,
      scheduler,
      transmit: (bytes, session) => components.send(bytes, session.peer),
      opened: (session) => this.opened(session),
      received: (bytes, session) => handler.receive(bytes, session.peer, session),
      ended: (session, why, wasOpen, detail) => this.ended(session, why, wasOpen, detail),
    };
    this.secrets = random.bytes(2 * COOKIE_SECRET_BYTES);
    this.tickJob = scheduler.at(clock.nowMs() + random.uniform(0, TICK_MS), () => this.maintain());
  }

  /** Sessions, half-open ones among them. */
  get size(): number {
    return this.sessions.size;
  }

  /** Half-open handshakes. */
  get handshakeCount(): number {
    return this.handshakes.size;
  }

  /** Certificates and rules for handshakes from now on. Sessions and handshakes under way keep theirs. */
  setContext(context: DtlsContext): void {
    this.context = context;
  }

  /** The session with a peer, open or half-open. */
  sessionOf(peer: Endpoint): DtlsSession | undefined {
    return this.sessions.get(peer.key);
  }

  /** Takes a datagram that came from the network. */
  receive(bytes: Buffer, from: Endpoint): void {
    const session = this.sessions.get(from.key);
    if (session === undefined || (isClientHello(bytes) && this.beginsAnew(session, bytes))) {
      this.hello(bytes, from, session);
      return;
    }
    session.heardTick = this.tick;
    session.receive(bytes);
  }

  /** Encrypts and sends to an open session. False when there is none, or the size is not 1 to 16,384 bytes. */
  send(bytes: Uint8Array, to: Endpoint): boolean {
    return this.sessions.get(to.key)?.send(bytes) ?? false;
  }

  /** Says close_notify to everybody. */
  close(): void {
    this.isClosed = true;
    this.components.scheduler.cancel(this.tickJob);
    for (const session of [...this.sessions.values()]) session.close();
  }

  /** A ClientHello that came before is that of the session, however late its copy arrives. */
  private beginsAnew(session: Session, bytes: Buffer): boolean {
    const random = clientRandom(bytes);
    return random !== undefined && random !== this.randoms.get(session);
  }

  private hello(bytes: Buffer, from: Endpoint, former: Session | undefined): void {
    if (this.isClosed) return;
    if (!isClientHello(bytes)) {
      this.stats.strays++;
      return;
    }
    this.stats.hellos++;
    const isFull = former === undefined && this.sessions.size >= this.maxSessions;
    if (isFull || (this.handshakesOf.get(from.ip) ?? 0) >= this.maxHandshakesPerAddress) {
      this.stats.refused++;
      return;
    }
    const { native, arena } = useNative();
    const { at } = arena;
    const cookieKey = binaryBytes(from.key);
    const result = native.listen(this.context.native, this.mtuBytes, bytes, cookieKey, this.secrets, at);
    if ((result & FLAG_ACCEPTED) !== 0) {
      this.accept(arena.meta[META_SESSION] as number, result, bytes, from, former);
      return;
    }
    if (result >>> 8 === 0) return;
    const length = (arena.meta[META_ENTRIES + 1] as number) >>> 1;
    arena.at = at + length;
    try {
      this.components.send(arena.view(at, length), from);
    } finally {
      arena.at = at;
    }
  }

  private accept(id: number, result: number, bytes: Buffer, from: Endpoint, former: Session | undefined): void {
    const { arena } = useNative();
    const { at } = arena;
    const session = new Session(id, from, this.owner);
    session.heardTick = this.tick;
    this.stats.accepted++;
    const outcome = session.read(result);
    try {
      former?.end('replaced');
      if (this.handshakes.size >= this.maxHandshakes) {
        const [oldest] = this.handshakes;
        this.stats.evicted++;
        oldest?.end('evicted');
      }
      this.sessions.set(from.key, session);
      this.handshakes.add(session);
      this.handshakesOf.set(from.ip, (this.handshakesOf.get(from.ip) ?? 0) + 1);
      this.randoms.set(session, clientRandom(bytes) ?? '');
      session.act(outcome);
    } finally {
      arena.at = at;
    }
  }

  private leaveHandshake(session: Session): void {
    if (!this.handshakes.delete(session)) return;
    const { ip } = session.peer;
    const left = (this.handshakesOf.get(ip) ?? 1) - 1;
    if (left > 0) this.handshakesOf.set(ip, left);
    else this.handshakesOf.delete(ip);
  }

  private maintain(): void {
    this.tick++;
    const { clock, scheduler, random } = this.components;
    const nowMs = clock.nowMs();
    if (this.tick % COOKIE_SECRET_TICKS === 0) {
      this.secrets.copy(this.secrets, COOKIE_SECRET_BYTES, 0, COOKIE_SECRET_BYTES);
      random.bytes(COOKIE_SECRET_BYTES).copy(this.secrets);
    }
    for (const session of this.handshakes) {
      if (nowMs - session.startedMs < this.handshakeMs) break;
      session.end('timeout');
    }
    for (const session of this.sessions.values()) {
      const silentTicks = this.tick - session.heardTick;
      if (silentTicks > this.idleTicks) session.end('idle');
      else if (silentTicks >= REST_TICKS) session.rest();
    }
    if (!this.isClosed) scheduler.move(this.tickJob, nowMs + TICK_MS);
  }

  private opened(session: Session): void {
    this.leaveHandshake(session);
    const refusal = this.verifyPeer?.(session);
    if (refusal !== undefined) {
      session.isOpen = false;
      session.end('refused', refusal);
      return;
    }
    this.stats.opened++;
    this.handler.opened?.(session);
  }

  private ended(session: Session, why: DtlsEnd, wasOpen: boolean, detail: string): void {
    this.leaveHandshake(session);
    if (this.sessions.get(session.peer.key) === session) this.sessions.delete(session.peer.key);
    if (wasOpen) {
      this.handler.closed?.(session, why);
    } else {
      this.stats.failed++;
      this.handler.handshakeFailed?.(session.peer, why, detail);
    }
  }
}
