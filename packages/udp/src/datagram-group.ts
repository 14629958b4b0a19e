import type { Endpoint, Family } from '@atoll/base';
import { nativeGroup, openNativeGroup } from './native-group.js';
import { openNodeGroup } from './node-group.js';

/** An ICMP error for a datagram that was sent. */
export interface UnreachableFacts {
  readonly type: number;
  readonly code: number;
  /** E.g. the MTU of the next hop. */
  readonly data: number;
}

/** What a socket of a group tells its owner. */
export interface GroupHandler {
  /**
   * A datagram came: it lies in `memory` from `start` to `end`, and the 64 bytes in front are free, to put a header there.
   * Valid during the call; a send to any socket of the group may use the same memory without a copy.
   */
  receiveRange(memory: Buffer, start: number, end: number, from: Endpoint): void;
  /** An ICMP error came for a datagram to `to`; only where the socket was opened for it and the native part is there. */
  unreachable?(to: Endpoint, facts: UnreachableFacts): void;
}

/** A UDP socket of a group. */
export interface GroupSocket {
  readonly local: Endpoint;
  handler: GroupHandler;
  /** Queues a datagram; it leaves at the end of the batch under way, or before the event loop turns. */
  sendRange(memory: Buffer, start: number, end: number, to: Endpoint, dontFragment?: boolean): void;
  close(): void;
}

export interface GroupSocketOptions {
  readonly family: Family;
  /** Address to bind. */
  readonly address: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly reusePort?: boolean;
  /** A socket that is bound already (`bindShared`), whose descriptor this one takes over; with the native part only. */
  readonly descriptor?: number | undefined;
  /** Size of the kernel's buffers. */
  readonly bufferBytes?: number;
  readonly wantsErrors?: boolean;
}

/** Numbers of one group since it was made. */
export interface GroupStats {
  receivedDatagrams: number;
  receiveBatches: number;
  sentDatagrams: number;
  /** Datagrams that the kernel did not take. */
  lostSends: number;
}

/**
 * Many UDP sockets that share their memory: a socket costs a descriptor and a few hundred bytes, and the datagrams of
 * several are received and sent in one go.
 */
export interface DatagramGroup {
  /** Whether the native part is in use. */
  readonly isNative: boolean;
  /** Whether datagrams can be sent with the DF bit. */
  readonly canForbidFragments: boolean;
  readonly stats: Readonly<GroupStats>;
  /** Opens a socket: at once with the native part. Fails as `openDatagramSocket` does. */
  open(options: GroupSocketOptions, handler: GroupHandler): GroupSocket | Promise<GroupSocket>;
  /** Sends what is queued now. */
  flush(): void;
  close(): void;
}

/** Makes a group; `ATOLL_UDP=dgram` in the environment forbids the native part. */
export function openDatagramGroup(implementation: 'auto' | 'native' | 'dgram' = 'auto'): DatagramGroup {
  const isNative = implementation === 'native' || (implementation === 'auto' && nativeGroup.available);
  return isNative ? openNativeGroup() : openNodeGroup();
}
