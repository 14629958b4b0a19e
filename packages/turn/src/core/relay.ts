import type { Endpoint, Family } from '@atoll/base';
import type { IcmpError } from '@atoll/stun';
import type { ClientListener } from './client.js';

/** Which port a relayed transport address must have. */
export type PortWish = 'any' | 'even' | 'even-with-next';

export interface UdpRelayRequest {
  readonly family: Family;
  /** Address on which the client reached the server, a hint for the relay's own one. */
  readonly near: Endpoint;
  readonly port: PortWish;
}

/** What a relay tells the allocation that owns it. */
export interface UdpRelayHandler {
  /** A datagram of a peer in `memory`; four bytes in front of `start` may be overwritten. Valid during the call. */
  receiveRange(memory: Buffer, start: number, end: number, from: Endpoint): void;
  /** An ICMP error came for a datagram sent to `to`. */
  unreachable?(to: Endpoint, error: IcmpError): void;
}

/** A UDP socket at a relayed transport address. */
export interface UdpRelay {
  /** The relayed transport address as peers see it. */
  readonly address: Endpoint;
  /** The held next port of an `even-with-next` request, to be given to its owner later. */
  readonly next?: UdpRelay;
  setHandler(handler: UdpRelayHandler | undefined): void;
  sendRange(memory: Buffer, start: number, end: number, to: Endpoint, dontFragment: boolean): void;
  close(): void;
}

/** A TCP connection with a peer (RFC 6062). */
export interface PeerConnection {
  readonly peer: Endpoint;
  close(): void;
}

/** Counts the bytes of a session's streams and says how long to wait before more is read, ms. */
export interface StreamMeter {
  fromClient(bytes: number): number;
  fromPeer(bytes: number): number;
}

export interface TcpRelayHandler {
  /** A peer connected; false refuses it. */
  accepted(connection: PeerConnection): boolean;
  closed(connection: PeerConnection): void;
}

/** A listening TCP socket at a relayed transport address. */
export interface TcpRelay {
  readonly address: Endpoint;
  /** Connects to a peer from the relayed transport address. */
  connect(peer: Endpoint, timeoutMs: number, done: (connection: PeerConnection | undefined) => void): void;
  /** Joins a client's connection, whose messages end here, with a peer's: from now on bytes flow through. */
  join(connection: PeerConnection, listener: ClientListener, client: Endpoint, meter: StreamMeter): boolean;
  /** Closes the listening socket and every connection. */
  close(): void;
}

/** Makes relays; the shell's part of an allocation. */
export interface RelayFactory {
  readonly families: ReadonlySet<Family>;
  /** Whether datagrams can be sent with the DF bit. */
  readonly canForbidFragments: boolean;
  /** Calls back at once or later, with nothing when no port is free. */
  openUdp(request: UdpRelayRequest, done: (relay: UdpRelay | undefined) => void): void;
  /** Undefined when TCP relays are switched off. */
  openTcp?(
    request: { family: Family; near: Endpoint },
    handler: TcpRelayHandler,
    done: (relay: TcpRelay | undefined) => void,
  ): void;
}
