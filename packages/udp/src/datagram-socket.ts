import type { Endpoint, Family } from '@atoll/base';
import { nativeDatagram, openNativeSocket } from './native-socket.js';
import { openNodeSocket } from './node-socket.js';

/** What a socket tells its owner. */
export interface DatagramHandler {
  /** A datagram came. `bytes` is valid only during the call: copy what you keep. */
  receive(bytes: Buffer, from: Endpoint): void;
  /** A batch of received datagrams is through. */
  batchEnd?(): void;
  /** A datagram could not be sent: `ENETUNREACH`, `EHOSTUNREACH`, `EPERM`, `EAFNOSUPPORT`, `EMSGSIZE` … */
  sendFailed?(code: string, to: Endpoint): void;
}

/** Numbers of datagrams, bytes and batches since the socket was opened. */
export interface DatagramStats {
  receivedDatagrams: number;
  receivedBytes: number;
  receiveBatches: number;
  sentDatagrams: number;
  sentBytes: number;
  /** Not sent because too many waited already. */
  droppedSends: number;
  sendErrors: number;
}

/** A bound UDP socket. */
export interface DatagramSocket {
  /** The bound address and port. */
  readonly local: Endpoint;
  /** Whether the native part is in use, which takes and gives many datagrams in one call to the kernel. */
  readonly isBatched: boolean;
  readonly stats: Readonly<DatagramStats>;
  /**
   * Queues a copy of `bytes`. It leaves at the end of the receive batch under way, or before the event loop turns.
   * The caller may reuse its memory at once.
   */
  send(bytes: Uint8Array, to: Endpoint): void;
  /** Sends what is queued now. */
  flush(): void;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface DatagramOptions {
  /** An IPv6 socket never carries IPv4. */
  readonly family: Family;
  /** Address to bind; all of the family when left out. */
  readonly address?: string | undefined;
  /** 0 lets the system choose. */
  readonly port: number;
  /** `SO_REUSEPORT`: several processes share the port, each peer staying with one of them. */
  readonly reusePort?: boolean;
  /** A socket that is bound already (`bindShared`), whose descriptor this one takes over. */
  readonly descriptor?: number | undefined;
  readonly receiveBufferBytes?: number;
  readonly sendBufferBytes?: number;
  /** `auto` uses the native part where it loads; `ATOLL_UDP=dgram` in the environment forbids it. */
  readonly implementation?: 'auto' | 'native' | 'dgram';
}

/**
 * Opens a UDP socket. Fails with `UDP_PORT_IN_USE`, `UDP_ADDRESS_NOT_AVAILABLE`, `UDP_NOT_PERMITTED`,
 * `UDP_FAMILY_NOT_SUPPORTED` or `UDP_OPEN_FAILED`.
 */
export function openDatagramSocket(options: DatagramOptions, handler: DatagramHandler): Promise<DatagramSocket> {
  const wanted = options.implementation ?? 'auto';
  const isNative = wanted === 'native' || (wanted === 'auto' && nativeDatagram.available);
  return isNative ? openNativeSocket(options, handler) : openNodeSocket(options, handler);
}
