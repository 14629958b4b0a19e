import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { WatchEvent, Watcher } from '../core/key-watches.js';

/**
 * What shows an idle listener that the proxy lives: a chunk with one blank, which reference clients take for the
 * beginning of the next line. They would take an empty line for an error (trap 9).
 */
const HEARTBEAT = Buffer.from('1\r\n \r\n');

const frames = new WeakMap<WatchEvent, Buffer>();

/** One chunk per value, made once for however many streams. */
function frameOf(event: WatchEvent): Buffer {
  let frame = frames.get(event);
  if (frame === undefined) {
    frame = Buffer.from(event.lines.map((line) => `${Buffer.byteLength(line).toString(16)}\r\n${line}\r\n`).join(''));
    frames.set(event, frame);
  }
  return frame;
}

/** What a stream tells its keeper. */
export interface ListenStreamEvents {
  /** More waits than the connection takes: see {@link ListenStream.queuedBytes}. */
  readonly onSlow: (stream: ListenStream) => void;
  /** The connection is gone, whoever closed it. Called once. */
  readonly onClosed: (stream: ListenStream) => void;
}

/** One open listen: lines go straight to the connection (protocol/dht-proxy.md 8). */
export class ListenStream implements Watcher {
  private readonly response: ServerResponse;
  private readonly socket: Socket;
  private readonly events: ListenStreamEvents;

  /** `response`: its header is sent, its connection is this one alone. */
  constructor(response: ServerResponse, socket: Socket, events: ListenStreamEvents) {
    this.response = response;
    this.socket = socket;
    this.events = events;
    socket.once('close', () => events.onClosed(this));
  }

  /** Bytes that wait for a slow reader. */
  get queuedBytes(): number {
    return this.socket.writableLength;
  }

  /** Remote address and port, to find it in the system's tables. */
  get remote(): { readonly address: string; readonly port: number } {
    return { address: this.socket.remoteAddress ?? '', port: this.socket.remotePort ?? 0 };
  }

  changed(event: WatchEvent): void {
    if (!this.socket.write(frameOf(event))) this.events.onSlow(this);
  }

  /**
   * The node is gone. The stream breaks off instead of ending in order: only that makes reference clients ask for the
   * proxy's state (protocol/dht-proxy.md 16.6).
   */
  ended(): void {
    this.socket.destroy();
  }

  heartbeat(): void {
    if (this.socket.writableLength === 0) this.socket.write(HEARTBEAT);
  }

  /** The orderly end, at a planned stop. */
  finish(): void {
    this.response.end();
  }

  /** The client does not read, or is not there any more. */
  drop(): void {
    this.socket.destroy();
  }
}
