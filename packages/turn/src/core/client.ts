import type { Endpoint } from '@atoll/base';

/** How clients reach a listener. */
export type ClientProtocol = 'udp' | 'tcp' | 'tls' | 'dtls';

/**
 * A listener as the core sees it: the way back to its clients. UDP, TCP, TLS and DTLS listeners look alike; a client is
 * known by its address and port, which is one 5-tuple together with the listener.
 */
export interface ClientListener {
  readonly protocol: ClientProtocol;
  /** Whether messages are framed by their own length in a stream (TCP, TLS), or one lies in each datagram (UDP, DTLS). */
  readonly isStream: boolean;
  /** The address and port that clients send to. */
  readonly local: Endpoint;
  /** Sends one whole message. The bytes are the caller's again when the call returns. */
  send(bytes: Uint8Array, to: Endpoint): void;
  /** As {@link send}, for the message in `memory` from `start` to `end`: without making a view for each packet. */
  sendRange?(memory: Buffer, start: number, end: number, to: Endpoint): void;
  /** Ends a client's connection or DTLS session; nothing over UDP. */
  disconnect(client: Endpoint): void;
  /** Bytes that wait to be sent to a client over a stream: above a bound the core drops relayed data. */
  waitingBytes?(client: Endpoint): number;
}

/** What the core gives a listener: where its messages go. */
export interface ListenerPort {
  /** One whole message: a datagram, or what the framing of a stream cut out. Valid only during the call. */
  receive(bytes: Buffer, from: Endpoint): void;
  /**
   * As {@link receive}, for the message in `memory` from `start` to `end`. At least four bytes in front of `start`
   * belong to the message and may be overwritten.
   */
  receiveRange(memory: Buffer, start: number, end: number, from: Endpoint): void;
  /** A connection or DTLS session ended: its allocation ends with it. */
  closed(client: Endpoint): void;
  /** Whether the client has an allocation: a connection without one is not kept for long. */
  hasAllocation(client: Endpoint): boolean;
  /** Takes the listener out; allocations of its clients end. */
  remove(): void;
}
