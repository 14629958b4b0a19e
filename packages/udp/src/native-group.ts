import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { binaryBytes, type Endpoint, errorMessage, type Family } from '@atoll/base';
import { bindError } from './bind-error.js';
import type { DatagramGroup, GroupHandler, GroupSocket, GroupSocketOptions, GroupStats } from './datagram-group.js';
import { EndpointTable } from './endpoint-table.js';

// These are those of native/udp-group.c.
const LAYOUT = 2;
const RECEIVE_SLOTS = 256;
const RECEIVE_WORDS = 9;
const HEADROOM = 64;
const SLOT_BYTES = 65_536 + HEADROOM;
const SEND_SLOTS = 1024;
const SEND_WORDS = 12;
const FLAG_DONT_FRAGMENT = 1;
/** Bytes of datagrams that were not received into the ring: answers, data of streams. */
const SEND_RING_BYTES = 1_048_576;
const EVENT_UNREACHABLE = 1;

type NativeHandle = object;

interface NativePart {
  readonly layout: number;
  create(
    receiveRing: Buffer,
    receiveMeta: Buffer,
    sendRing: Buffer,
    sendMeta: Buffer,
    handler: (event: number, count: number) => void,
  ): NativeHandle;
  open(
    group: NativeHandle,
    family: Family,
    address: string,
    port: number,
    reusePort: boolean,
    bufferBytes: number,
    wantsErrors: boolean,
    descriptor: number,
  ): number;
  closeSocket(group: NativeHandle, socket: number): void;
  flush(group: NativeHandle, count: number): number;
  close(group: NativeHandle): void;
  bind(
    isStream: boolean,
    family: Family,
    address: string,
    port: number,
    reusePort: boolean,
    bufferBytes: number,
  ): number;
  listen(descriptor: number, family: Family, backlog: number, sharers: number): void;
}

function load(): NativePart | string {
  if (process.env.ATOLL_UDP === 'dgram') return 'switched off by ATOLL_UDP=dgram';
  const path = fileURLToPath(new URL('../native/build/Release/udp_group.node', import.meta.url));
  if (!existsSync(path)) return 'not built on this machine';
  try {
    const part = createRequire(import.meta.url)(path) as NativePart;
    return part.layout === LAYOUT ? part : 'built from another version of its source; npm rebuild makes it anew';
  } catch (error) {
    return `cannot be loaded: ${errorMessage(error)}`;
  }
}

/** The native part, or why it is missing. */
export const loadedGroup = load();

/** Whether groups have their native part, and if not why. */
export const nativeGroup: { readonly available: boolean; readonly reason?: string } =
  typeof loadedGroup === 'string' ? { available: false, reason: loadedGroup } : { available: true };

export function openNativeGroup(): DatagramGroup {
  if (typeof loadedGroup === 'string') throw new Error(`the native part of UDP is ${loadedGroup}`);
  return new NativeGroup(loadedGroup);
}

/**
 * The descriptor of a TCP socket bound to this address and port, which other sockets made so may be bound to as well: a
 * relay listens and connects from one port (RFC 6062). Undefined without the native part. Throws as `bind` does.
 */
export function bindSharedStream(family: Family, address: string, port: number): number | undefined {
  return typeof loadedGroup === 'string' ? undefined : loadedGroup.bind(true, family, address, port, true, 0);
}

class NativeGroup implements DatagramGroup {
  readonly isNative = true;
  readonly canForbidFragments = true;
  readonly stats: GroupStats = { receivedDatagrams: 0, receiveBatches: 0, sentDatagrams: 0, lostSends: 0 };
  private readonly native: NativePart;
  private readonly handle: NativeHandle;
  private readonly sockets: (NativeGroupSocket | undefined)[] = [];
  private readonly peers = new EndpointTable();
  private readonly receiveRing = Buffer.allocUnsafeSlow(RECEIVE_SLOTS * SLOT_BYTES);
  private readonly receiveMetaBytes = Buffer.alloc(RECEIVE_SLOTS * RECEIVE_WORDS * 4);
  private readonly receiveMeta = words(this.receiveMetaBytes);
  private readonly sendRing = Buffer.allocUnsafeSlow(SEND_RING_BYTES);
  private readonly sendMetaBytes = Buffer.alloc(SEND_SLOTS * SEND_WORDS * 4);
  private readonly sendMeta = words(this.sendMetaBytes);
  /** Sockets to be closed once what is queued has left. */
  private readonly closing: number[] = [];
  private queued = 0;
  private ringAt = 0;
  private isReceiving = false;
  private isFlushPlanned = false;
  private isClosed = false;

  constructor(native: NativePart) {
    this.native = native;
    this.handle = native.create(
      this.receiveRing,
      this.receiveMetaBytes,
      this.sendRing,
      this.sendMetaBytes,
      (event, count) => (event === EVENT_UNREACHABLE ? this.unreachable() : this.received(count)),
    );
  }

  open(options: GroupSocketOptions, handler: GroupHandler): GroupSocket {
    const { family, address, port } = options;
    // Opening describes the socket in slot 0 of the metadata, which the batch under way has left behind or still reads.
    const kept = this.isReceiving ? Buffer.from(this.receiveMetaBytes.subarray(0, 4 * RECEIVE_WORDS)) : undefined;
    try {
      const id = this.native.open(
        this.handle,
        family,
        address,
        port,
        options.reusePort ?? false,
        options.bufferBytes ?? 0,
        options.wantsErrors ?? false,
        options.descriptor ?? -1,
      );
      const socket = new NativeGroupSocket(this, id, this.peerAt(2), handler);
      this.sockets[id] = socket;
      return socket;
    } catch (cause) {
      throw bindError(cause, family, address, port);
    } finally {
      kept?.copy(this.receiveMetaBytes);
    }
  }

  send(id: number, memory: Buffer, start: number, end: number, to: Endpoint, dontFragment: boolean): void {
    if (this.isClosed) return;
    const length = end - start;
    const isReceived = memory.buffer === this.receiveRing.buffer;
    if (this.queued === SEND_SLOTS || (!isReceived && this.ringAt + length > SEND_RING_BYTES)) this.flush();
    const meta = this.sendMeta;
    const at = this.queued++ * SEND_WORDS;
    meta[at] = id;
    if (isReceived) {
      meta[at + 1] = 0;
      meta[at + 2] = memory.byteOffset + start - this.receiveRing.byteOffset;
    } else {
      meta[at + 1] = 1;
      meta[at + 2] = this.ringAt;
      memory.copy(this.sendRing, this.ringAt, start, end);
      this.ringAt += length;
    }
    meta[at + 3] = length;
    meta[at + 4] = dontFragment ? FLAG_DONT_FRAGMENT : 0;
    meta[at + 5] = to.port;
    const { ip } = to;
    if (ip.length === 4) {
      meta[at + 6] = 4;
      meta[at + 8] = (ip.charCodeAt(0) << 24) | (ip.charCodeAt(1) << 16) | (ip.charCodeAt(2) << 8) | ip.charCodeAt(3);
    } else {
      meta[at + 6] = 6;
      meta[at + 7] = to.scopeId;
      binaryBytes(ip).copy(this.sendMetaBytes, 4 * (at + 8));
    }
    if (this.isReceiving || this.isFlushPlanned) return;
    this.isFlushPlanned = true;
    queueMicrotask(() => {
      this.isFlushPlanned = false;
      this.flush();
    });
  }

  flush(): void {
    const { queued, closing } = this;
    if (this.isClosed) return;
    if (queued > 0) {
      this.queued = 0;
      this.ringAt = 0;
      const lost = this.native.flush(this.handle, queued);
      this.stats.sentDatagrams += queued - lost;
      this.stats.lostSends += lost;
    }
    if (closing.length === 0) return;
    for (const id of closing) this.native.closeSocket(this.handle, id);
    closing.length = 0;
  }

  closeSocket(id: number): void {
    if (this.isClosed || this.sockets[id] === undefined) return;
    this.sockets[id] = undefined;
    this.closing.push(id);
    // What is queued still leaves: within a batch together with everything else at its end.
    if (!this.isReceiving) this.flush();
  }

  close(): void {
    if (this.isClosed) return;
    this.flush();
    this.isClosed = true;
    this.native.close(this.handle);
  }

  private received(count: number): void {
    const { receiveMeta: meta, receiveRing, sockets, stats } = this;
    stats.receiveBatches++;
    stats.receivedDatagrams += count;
    this.isReceiving = true;
    try {
      for (let slot = 0; slot < count; slot++) {
        const at = slot * RECEIVE_WORDS;
        const socket = sockets[meta[at] as number];
        if (socket === undefined) continue;
        const start = slot * SLOT_BYTES + HEADROOM;
        socket.handler.receiveRange(receiveRing, start, start + (meta[at + 1] as number), this.peerAt(at + 2));
      }
    } finally {
      this.isReceiving = false;
      this.flush();
    }
  }

  private unreachable(): void {
    const meta = this.receiveMeta;
    const both = meta[1] as number;
    const facts = { type: both >>> 16, code: both & 0xffff, data: meta[RECEIVE_WORDS] as number };
    this.sockets[meta[0] as number]?.handler.unreachable?.(this.peerAt(2), facts);
  }

  private peerAt(at: number): Endpoint {
    const meta = this.receiveMeta;
    const port = meta[at] as number;
    if (meta[at + 1] === 4) return this.peers.fromIpv4(meta[at + 3] as number, port);
    return this.peers.fromIpv6(
      this.receiveMetaBytes.subarray(4 * (at + 3), 4 * (at + 7)),
      port,
      meta[at + 2] as number,
    );
  }
}

class NativeGroupSocket implements GroupSocket {
  readonly local: Endpoint;
  handler: GroupHandler;
  private readonly group: NativeGroup;
  private readonly id: number;
  private isOpen = true;

  constructor(group: NativeGroup, id: number, local: Endpoint, handler: GroupHandler) {
    this.group = group;
    this.id = id;
    this.local = local;
    this.handler = handler;
  }

  sendRange(memory: Buffer, start: number, end: number, to: Endpoint, dontFragment = false): void {
    if (this.isOpen) this.group.send(this.id, memory, start, end, to, dontFragment);
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.group.closeSocket(this.id);
  }
}

function words(bytes: Buffer): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
