import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { getSystemErrorName } from 'node:util';
import { binaryBytes, type Endpoint, errorMessage } from '@atoll/base';
import { bindError } from './bind-error.js';
import type { DatagramHandler, DatagramOptions, DatagramSocket, DatagramStats } from './datagram-socket.js';
import { EndpointTable } from './endpoint-table.js';

// These are those of native/udp-batch.c.
const LAYOUT = 3;
const RECEIVE_SLOTS = 64;
const RECEIVE_WORDS = 9;
/** Views kept for each slot. */
const MAX_VIEWS = 64;
const SLOT_BYTES = 65_536;
const SEND_SLOTS = 512;
const SEND_WORDS = 9;
/** Bytes that may wait to be sent: many small datagrams, or sixteen of the largest. */
const SEND_RING_BYTES = 1_048_576;
const EVENT_RECEIVED = 0;
const EVENT_WRITABLE = 1;
const EAGAIN = 11;
const ENOBUFS = 105;

type NativeHandle = object;

interface NativePart {
  /** Of the rings, so that one built before a change is not used after it. */
  readonly layout: number;
  open(
    family: number,
    address: string,
    port: number,
    reusePort: boolean,
    receiveBytes: number,
    sendBytes: number,
    receiveRing: Buffer,
    receiveMeta: Buffer,
    sendRing: Buffer,
    sendMeta: Buffer,
    handler: (event: number, count: number) => void,
    descriptor: number,
  ): NativeHandle;
  flush(socket: NativeHandle, start: number, end: number): number;
  close(socket: NativeHandle): void;
  local(socket: NativeHandle): void;
}

function load(): NativePart | string {
  if (process.env.ATOLL_UDP === 'dgram') return 'switched off by ATOLL_UDP=dgram';
  const path = fileURLToPath(new URL('../native/build/Release/udp_batch.node', import.meta.url));
  if (!existsSync(path)) return 'not built on this machine';
  try {
    const part = createRequire(import.meta.url)(path) as NativePart;
    return part.layout === LAYOUT ? part : 'built from another version of its source; npm rebuild makes it anew';
  } catch (error) {
    return `cannot be loaded: ${errorMessage(error)}`;
  }
}

const loaded = load();

/** Whether sockets take and give many datagrams in one call to the kernel, and if not why. */
export const nativeDatagram: { readonly available: boolean; readonly reason?: string } =
  typeof loaded === 'string' ? { available: false, reason: loaded } : { available: true };

/** A socket on `recvmmsg` and `sendmmsg`. */
export async function openNativeSocket(options: DatagramOptions, handler: DatagramHandler): Promise<DatagramSocket> {
  if (typeof loaded === 'string') {
    throw bindError(new Error(`the native part of UDP is ${loaded}`), options.family, options.address, options.port);
  }
  try {
    return new NativeSocket(loaded, options, handler);
  } catch (cause) {
    throw bindError(cause, options.family, options.address, options.port);
  }
}

class NativeSocket implements DatagramSocket {
  readonly isBatched = true;
  readonly local: Endpoint;
  readonly stats: DatagramStats = {
    receivedDatagrams: 0,
    receivedBytes: 0,
    receiveBatches: 0,
    sentDatagrams: 0,
    sentBytes: 0,
    droppedSends: 0,
    sendErrors: 0,
  };
  private readonly native: NativePart;
  private readonly handler: DatagramHandler;
  private readonly peers = new EndpointTable();
  private readonly receiveRing = Buffer.allocUnsafeSlow(RECEIVE_SLOTS * SLOT_BYTES);
  private readonly receiveMetaBytes = Buffer.alloc(RECEIVE_SLOTS * RECEIVE_WORDS * 4);
  private readonly receiveMeta: Uint32Array;
  private readonly sendRing = Buffer.allocUnsafeSlow(SEND_RING_BYTES);
  private readonly sendMetaBytes = Buffer.alloc(SEND_SLOTS * SEND_WORDS * 4);
  private readonly sendMeta: Uint32Array;
  private readonly sendTo: (Endpoint | undefined)[] = new Array(SEND_SLOTS).fill(undefined);
  /** The views handed out last for the datagrams of each slot: lengths repeat, so they often serve again. */
  private readonly views: Buffer[][] = Array.from({ length: RECEIVE_SLOTS }, () => []);
  private handle: NativeHandle | undefined;
  /** Slots [sendStart, sendEnd) wait; a kernel that is full leaves them there until it is writable. */
  private sendStart = 0;
  private sendEnd = 0;
  private ringAt = 0;
  private isBlocked = false;
  private isReceiving = false;
  private isFlushPlanned = false;

  constructor(native: NativePart, options: DatagramOptions, handler: DatagramHandler) {
    this.native = native;
    this.handler = handler;
    this.receiveMeta = words(this.receiveMetaBytes);
    this.sendMeta = words(this.sendMetaBytes);
    this.handle = native.open(
      options.family,
      options.address ?? (options.family === 4 ? '0.0.0.0' : '::'),
      options.port,
      options.reusePort ?? false,
      options.receiveBufferBytes ?? 0,
      options.sendBufferBytes ?? 0,
      this.receiveRing,
      this.receiveMetaBytes,
      this.sendRing,
      this.sendMetaBytes,
      (event, count) => this.happened(event, count),
      options.descriptor ?? -1,
    );
    native.local(this.handle);
    this.local = this.peerOf(0);
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    if (this.handle === undefined) return;
    const length = bytes.length;
    if (this.sendEnd === SEND_SLOTS || this.ringAt + length > SEND_RING_BYTES) {
      this.flush();
      if (this.sendEnd === SEND_SLOTS || this.ringAt + length > SEND_RING_BYTES) {
        this.stats.droppedSends++;
        return;
      }
    }
    const slot = this.sendEnd++;
    const at = slot * SEND_WORDS;
    const meta = this.sendMeta;
    const { ip } = to;
    meta[at] = this.ringAt;
    meta[at + 1] = length;
    meta[at + 2] = to.port;
    if (ip.length === 4) {
      meta[at + 3] = 4;
      meta[at + 5] = (ip.charCodeAt(0) << 24) | (ip.charCodeAt(1) << 16) | (ip.charCodeAt(2) << 8) | ip.charCodeAt(3);
    } else {
      meta[at + 3] = 6;
      meta[at + 4] = to.scopeId;
      binaryBytes(ip).copy(this.sendMetaBytes, 4 * (at + 5));
    }
    this.sendRing.set(bytes, this.ringAt);
    this.ringAt += length;
    this.sendTo[slot] = to;
    if (this.isReceiving || this.isFlushPlanned) return;
    this.isFlushPlanned = true;
    queueMicrotask(() => {
      this.isFlushPlanned = false;
      this.flush();
    });
  }

  flush(): void {
    while (this.handle !== undefined && !this.isBlocked && this.sendStart < this.sendEnd) {
      const result = this.native.flush(this.handle, this.sendStart, this.sendEnd);
      const next = result & 0xffff;
      const error = result >> 16;
      for (let slot = this.sendStart; slot < next; slot++) {
        this.stats.sentDatagrams++;
        this.stats.sentBytes += this.sendMeta[slot * SEND_WORDS + 1] as number;
      }
      this.sendStart = next;
      if (error === 0) break;
      if (error === EAGAIN || error === ENOBUFS) {
        this.isBlocked = true;
        return;
      }
      // This one cannot be sent; those behind it can.
      this.sendStart = next + 1;
      this.stats.sendErrors++;
      const to = this.sendTo[next];
      if (to !== undefined) this.handler.sendFailed?.(getSystemErrorName(-error), to);
    }
    if (this.sendStart === this.sendEnd) {
      this.sendStart = 0;
      this.sendEnd = 0;
      this.ringAt = 0;
    }
  }

  close(): Promise<void> {
    if (this.handle === undefined) return Promise.resolve();
    this.flush();
    const { handle } = this;
    this.handle = undefined;
    this.native.close(handle);
    // The descriptor is closed in the next turn of the event loop; only then is the port free again.
    return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private happened(event: number, count: number): void {
    if (event === EVENT_RECEIVED) this.received(count);
    else if (event === EVENT_WRITABLE) {
      this.isBlocked = false;
      this.flush();
    } else this.stats.sendErrors++;
  }

  private received(count: number): void {
    const { stats, receiveMeta, handler } = this;
    stats.receiveBatches++;
    this.isReceiving = true;
    try {
      for (let slot = 0; slot < count; slot++) {
        const length = receiveMeta[slot * RECEIVE_WORDS] as number;
        const each = receiveMeta[slot * RECEIVE_WORDS + 8] as number;
        const from = this.peerOf(slot);
        stats.receivedBytes += length;
        let at = 0;
        // One datagram, which may be empty, or a run of them: all of `each` bytes, the last of the rest.
        for (let index = 0; index === 0 || at < length; index++) {
          if (this.handle === undefined) return;
          stats.receivedDatagrams++;
          handler.receive(this.view(slot, index, at, Math.min(each, length - at)), from);
          at += each;
        }
      }
      handler.batchEnd?.();
    } finally {
      this.isReceiving = false;
      this.flush();
    }
  }

  private view(slot: number, index: number, at: number, length: number): Buffer {
    const views = this.views[slot] as Buffer[];
    const start = slot * SLOT_BYTES + at;
    const known = views[index];
    if (known !== undefined && known.length === length && known.byteOffset === start) return known;
    const view = this.receiveRing.subarray(start, start + length);
    if (index < MAX_VIEWS) views[index] = view;
    return view;
  }

  private peerOf(slot: number): Endpoint {
    const at = slot * RECEIVE_WORDS;
    const meta = this.receiveMeta;
    const port = meta[at + 1] as number;
    if (meta[at + 2] === 4) return this.peers.fromIpv4(meta[at + 4] as number, port);
    const bytes = this.receiveMetaBytes.subarray(4 * (at + 4), 4 * (at + 8));
    return this.peers.fromIpv6(bytes, port, meta[at + 3] as number);
  }
}

function words(bytes: Buffer): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
