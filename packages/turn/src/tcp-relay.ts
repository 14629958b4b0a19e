import { once } from 'node:events';
import { createServer, type Server, Socket, type SocketConstructorOpts } from 'node:net';
import { Endpoint, type Family } from '@atoll/base';
import { bindSharedStream } from '@atoll/udp';
import type { ClientListener } from './core/client.js';
import { LIMITS } from './core/limits.js';
import type { PeerConnection, StreamMeter, TcpRelay, TcpRelayHandler } from './core/relay.js';
import { StreamListener } from './stream-listener.js';

class TcpPeer implements PeerConnection {
  readonly peer: Endpoint;
  readonly socket: Socket;

  constructor(peer: Endpoint, socket: Socket) {
    this.peer = peer;
    this.socket = socket;
  }

  close(): void {
    this.socket.destroy();
  }
}

interface Place {
  readonly family: Family;
  readonly host: string;
  readonly port: number;
}

/** Listens at a relayed transport address for peers (RFC 6062); fails when the port is taken. */
export async function listenForPeers(place: Place, handler: TcpRelayHandler): Promise<TcpRelay> {
  const server = createServer({ pauseOnConnect: true, noDelay: true, keepAlive: true });
  server.maxConnections = LIMITS.connectionsPerAllocation;
  const descriptor = bindSharedStream(place.family, place.host, place.port);
  if (descriptor === undefined) server.listen(place.port, place.host);
  else server.listen({ fd: descriptor });
  await once(server, 'listening');
  return new ListeningRelay(server, place, handler, descriptor !== undefined);
}

class ListeningRelay implements TcpRelay {
  readonly address: Endpoint;
  private readonly server: Server;
  private readonly place: Place;
  private readonly handler: TcpRelayHandler;
  private readonly sharesPort: boolean;
  private readonly open = new Set<TcpPeer>();

  constructor(server: Server, place: Place, handler: TcpRelayHandler, sharesPort: boolean) {
    this.server = server;
    this.place = place;
    this.handler = handler;
    this.sharesPort = sharesPort;
    this.address = Endpoint.from(place.host, place.port) ?? new Endpoint('\0\0\0\0', place.port);
    server.on('connection', (socket) => this.accept(socket));
    server.on('error', () => {});
  }

  connect(peer: Endpoint, timeoutMs: number, done: (connection: PeerConnection | undefined) => void): void {
    let isDone = false;
    const finish = (connection: TcpPeer | undefined): void => {
      clearTimeout(timer);
      if (isDone) return;
      isDone = true;
      if (connection === undefined) socket?.destroy();
      done(connection);
    };
    const timer = setTimeout(() => finish(undefined), timeoutMs);
    let socket: Socket | undefined;
    try {
      socket = this.bound();
    } catch {
      finish(undefined);
      return;
    }
    const connection = new TcpPeer(peer, socket);
    // What the peer sends waits in the kernel until the client takes the connection.
    socket.pause();
    socket.once('connect', () => {
      this.watch(connection);
      finish(connection);
    });
    socket.on('error', () => finish(undefined));
    socket.connect({ port: peer.port, host: peer.host });
  }

  join(connection: PeerConnection, listener: ClientListener, client: Endpoint, meter: StreamMeter): boolean {
    if (!(connection instanceof TcpPeer) || !(listener instanceof StreamListener)) return false;
    return !connection.socket.destroyed && listener.join(client, connection.socket, meter);
  }

  close(): void {
    this.server.close();
    for (const connection of [...this.open]) connection.close();
  }

  /** A socket bound to the relayed transport address; without the native part any port must do. */
  private bound(): Socket {
    const { family, host, port } = this.place;
    const options: SocketConstructorOpts & { manualStart?: boolean } = {};
    if (this.sharesPort) {
      const fd = bindSharedStream(family, host, port);
      if (fd !== undefined) Object.assign(options, { fd, manualStart: true });
    }
    const socket = new Socket(options);
    socket.setNoDelay(true);
    return socket;
  }

  private accept(socket: Socket): void {
    const peer = Endpoint.from(socket.remoteAddress ?? '', socket.remotePort ?? 0);
    const connection = peer === undefined ? undefined : new TcpPeer(peer, socket);
    socket.on('error', () => {});
    if (connection === undefined || !this.handler.accepted(connection)) {
      socket.destroy();
      return;
    }
    this.watch(connection);
  }

  private watch(connection: TcpPeer): void {
    this.open.add(connection);
    connection.socket.once('close', () => {
      this.open.delete(connection);
      this.handler.closed(connection);
    });
  }
}
