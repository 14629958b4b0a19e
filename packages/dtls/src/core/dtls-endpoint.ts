import { type Clock, Endpoint, type Job, type Scheduler, UsageError } from '@atoll/base';
import { type DtlsFacts, useNative } from '../native.js';
import type { DtlsContext } from './context.js';
import { MAX_MTU_BYTES, MIN_MTU_BYTES, whole } from './limits.js';
import { type DtlsEnd, type DtlsSession, Session } from './session.js';

export interface DtlsEndpointComponents {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** Sends a datagram to the peer. `bytes` is valid only during the call. */
  send(bytes: Buffer): void;
}

export interface DtlsEndpointOptions {
  readonly context: DtlsContext;
  /** The client speaks first. A server here asks for no cookie: use it where the peer's address was proven before. */
  readonly role: 'client' | 'server';
  /** Largest datagram of a handshake, without IP and UDP headers. */
  readonly mtuBytes?: number;
  /** Name of the server (SNI), checked against its certificate where the context has authorities. */
  readonly serverName?: string;
  /** A handshake that takes longer ends. */
  readonly handshakeMs?: number;
  /** Where the peer is, for {@link DtlsSession.peer}. */
  readonly peer?: Endpoint;
  /** Judges the peer by its certificates once the handshake is through: a sentence refuses it. */
  readonly verifyPeer?: (session: DtlsSession) => string | undefined;
}

export interface DtlsEndpointHandler {
  opened?(session: DtlsSession): void;
  /** Decrypted data came, never empty. `bytes` is valid only during the call: copy what you keep. */
  receive(bytes: Buffer): void;
  /** Once. `detail` is OpenSSL's reason, or what `verifyPeer` said. */
  closed?(why: DtlsEnd, detail: string): void;
}

/** One DTLS 1.2 session with one peer, in either role: a TURN client, a leg of a call. It owns no socket and no clock. */
export class DtlsEndpoint implements DtlsSession {
  private readonly session: Session;
  private readonly role: 'client' | 'server';
  private readonly deadline: Job;

  constructor(components: DtlsEndpointComponents, options: DtlsEndpointOptions, handler: DtlsEndpointHandler) {
    const { native } = useNative();
    const { clock, scheduler } = components;
    const { context, role, serverName = '', peer = new Endpoint('\0\0\0\0', 0) } = options;
    const mtuBytes = whole('mtuBytes', options.mtuBytes ?? 1200, MIN_MTU_BYTES, MAX_MTU_BYTES);
    if (role === 'server' && !context.hasCertificate)
      throw new UsageError('A DTLS server needs a certificate and its key.');
    this.role = role;
    this.session = new Session(native.open(context.native, role === 'server', mtuBytes, serverName), peer, {
      clock,
      scheduler,
      transmit: (bytes) => components.send(bytes),
      opened: (session) => {
        scheduler.cancel(this.deadline);
        const refusal = options.verifyPeer?.(session);
        if (refusal === undefined) handler.opened?.(session);
        else session.end('refused', refusal);
      },
      received: (bytes) => handler.receive(bytes),
      ended: (_session, why, _wasOpen, detail) => {
        scheduler.cancel(this.deadline);
        handler.closed?.(why, detail);
      },
    });
    this.deadline = scheduler.at(clock.nowMs() + (options.handshakeMs ?? 30_000), () => this.session.end('timeout'));
  }

  get peer(): Endpoint {
    return this.session.peer;
  }

  get isOpen(): boolean {
    return this.session.isOpen;
  }

  /** A client sends its first flight; a server waits. */
  start(): void {
    if (this.role === 'client') this.session.start();
  }

  /** Takes a datagram of the peer. */
  receive(bytes: Uint8Array): void {
    this.session.receive(bytes);
  }

  send(bytes: Uint8Array): boolean {
    return this.session.send(bytes);
  }

  close(): void {
    this.session.close();
  }

  facts(): DtlsFacts | undefined {
    return this.session.facts();
  }

  peerCertificates(): Buffer[] {
    return this.session.peerCertificates();
  }

  exportKeyingMaterial(label: string, lengthBytes: number, context?: Uint8Array): Buffer | undefined {
    return this.session.exportKeyingMaterial(label, lengthBytes, context);
  }
}
