import type { Endpoint, Family } from '@atoll/base';
import type { DatagramGroup, GroupSocket } from '@atoll/udp';
import type { ClientListener, ListenerPort } from './core/client.js';

/** Kernel's buffers of a listener: room for a burst of every client, bytes. */
export const BUFFER_BYTES = 4_194_304;

/** A UDP listener on a socket of the group that the relays are in: what is relayed is not copied. */
export class UdpListener implements ClientListener {
  readonly protocol = 'udp';
  readonly isStream = false;
  readonly local: Endpoint;
  private readonly socket: GroupSocket;
  private port: ListenerPort | undefined;

  private constructor(socket: GroupSocket) {
    this.socket = socket;
    this.local = socket.local;
  }

  /** Binds; fails as `openDatagramSocket` does. */
  static async open(
    group: DatagramGroup,
    options: { readonly address: string; readonly port: number; readonly descriptor?: number | undefined },
  ): Promise<UdpListener> {
    const family: Family = options.address.includes(':') ? 6 : 4;
    const socket = await group.open({ ...options, family, bufferBytes: BUFFER_BYTES }, { receiveRange() {} });
    return new UdpListener(socket);
  }

  setPort(port: ListenerPort): void {
    this.port = port;
    this.socket.handler = { receiveRange: port.receiveRange };
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    const memory = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes);
    this.socket.sendRange(memory, 0, memory.length, to);
  }

  sendRange(memory: Buffer, start: number, end: number, to: Endpoint): void {
    this.socket.sendRange(memory, start, end, to);
  }

  disconnect(): void {}

  async close(): Promise<void> {
    this.port?.remove();
    this.socket.close();
  }
}
