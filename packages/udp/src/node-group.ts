import type { Endpoint } from '@atoll/base';
import type { DatagramGroup, GroupHandler, GroupSocket, GroupSocketOptions, GroupStats } from './datagram-group.js';
import type { DatagramSocket } from './datagram-socket.js';
import { openNodeSocket } from './node-socket.js';

const HEADROOM = 64;

/** A group on `node:dgram`: works everywhere, with a copy and a call to the kernel for each datagram. */
export function openNodeGroup(): DatagramGroup {
  return new NodeGroup();
}

class NodeGroup implements DatagramGroup {
  readonly isNative = false;
  readonly canForbidFragments = false;
  readonly stats: GroupStats = { receivedDatagrams: 0, receiveBatches: 0, sentDatagrams: 0, lostSends: 0 };
  private readonly sockets = new Set<NodeGroupSocket>();
  /** Received datagrams are moved here, so that a header can be put in front. */
  private readonly memory = Buffer.allocUnsafeSlow(65_536 + HEADROOM);

  async open(options: GroupSocketOptions, handler: GroupHandler): Promise<GroupSocket> {
    const { memory, stats } = this;
    let opened: NodeGroupSocket | undefined;
    const socket = await openNodeSocket(
      {
        family: options.family,
        address: options.address,
        port: options.port,
        ...(options.reusePort === undefined ? {} : { reusePort: options.reusePort }),
        ...(options.bufferBytes === undefined
          ? {}
          : { receiveBufferBytes: options.bufferBytes, sendBufferBytes: options.bufferBytes }),
      },
      {
        receive(bytes, from) {
          stats.receivedDatagrams++;
          stats.receiveBatches++;
          bytes.copy(memory, HEADROOM);
          opened?.handler.receiveRange(memory, HEADROOM, HEADROOM + bytes.length, from);
        },
        sendFailed: () => stats.lostSends++,
      },
    );
    opened = new NodeGroupSocket(socket, handler, stats, (closed) => this.sockets.delete(closed));
    this.sockets.add(opened);
    return opened;
  }

  flush(): void {}

  close(): void {
    for (const socket of [...this.sockets]) socket.close();
  }
}

class NodeGroupSocket implements GroupSocket {
  readonly local: Endpoint;
  handler: GroupHandler;
  private readonly socket: DatagramSocket;
  private readonly stats: GroupStats;
  private readonly forget: (socket: NodeGroupSocket) => void;

  constructor(
    socket: DatagramSocket,
    handler: GroupHandler,
    stats: GroupStats,
    forget: (socket: NodeGroupSocket) => void,
  ) {
    this.socket = socket;
    this.local = socket.local;
    this.handler = handler;
    this.stats = stats;
    this.forget = forget;
  }

  sendRange(memory: Buffer, start: number, end: number, to: Endpoint): void {
    this.stats.sentDatagrams++;
    this.socket.send(memory.subarray(start, end), to);
  }

  close(): void {
    this.forget(this);
    void this.socket.close();
  }
}
