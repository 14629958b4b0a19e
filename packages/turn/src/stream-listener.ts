import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type SecureContextOptions, type Server as TlsServer } from 'node:tls';
import { AtollError, Endpoint, errorCode } from '@atoll/base';
import { StreamFramer } from '@atoll/stun';
import type { ClientListener, ListenerPort } from './core/client.js';
import type { StreamMeter } from './core/relay.js';
import { pipeMetered } from './metered-pipe.js';
import { decodeProxyHeader } from './proxy-protocol.js';

/** Connections of one listener; more are refused. */
const MAX_CONNECTIONS = 20_000;
/** Connections from one address. */
const MAX_CONNECTIONS_PER_ADDRESS = 2000;
/** A TLS handshake must be through in this time, ms. */
const HANDSHAKE_MS = 10_000;
/** Bytes in front of a PROXY header's end. */
const MAX_PROXY_BYTES = 4200;
const SWEEP_MS = 5000;
/** First byte of a TLS handshake; no STUN method begins with it. */
const TLS_HANDSHAKE = 0x16;

interface Connection {
  readonly socket: Socket;
  readonly remote: Endpoint;
  readonly framer: StreamFramer;
  readonly sinceMs: number;
  /** Set once the connection carries a peer's bytes (RFC 6062). */
  peer: { readonly socket: Socket; readonly meter: StreamMeter } | undefined;
  isParsing: boolean;
}

export interface StreamListenerOptions {
  readonly address: string;
  readonly port: number;
  /** TLS with this certificate; plain TCP without. */
  readonly tls?: SecureContextOptions & { readonly requestCert?: boolean; readonly rejectUnauthorized?: boolean };
  /** A plain listener takes clients that begin with a TLS handshake as well, as coturn does. */
  readonly alsoTls?: StreamListenerOptions['tls'];
  /** The first bytes are a PROXY protocol header. */
  readonly expectsProxyHeader?: boolean;
  /** How long a connection may be without an allocation, ms. */
  readonly idleMs: number;
}

/** A TCP or TLS listener: cuts the streams into messages, and hands over connections that carry a peer's bytes. */
export class StreamListener implements ClientListener {
  readonly isStream = true;
  readonly protocol: 'tcp' | 'tls';
  readonly local: Endpoint;
  private port: ListenerPort | undefined;
  private readonly server: Server | TlsServer;
  /** Never listens: shakes hands on connections of the plain listener. */
  private readonly upgrader: TlsServer | undefined;
  private readonly options: StreamListenerOptions;
  private readonly connections = new Map<string, Connection>();
  private readonly perAddress = new Map<string, number>();
  private readonly sockets = new Set<Socket>();
  private readonly sweep: NodeJS.Timeout;

  private constructor(server: Server | TlsServer, options: StreamListenerOptions, local: Endpoint) {
    this.server = server;
    this.options = options;
    this.local = local;
    this.protocol = options.tls === undefined ? 'tcp' : 'tls';
    server.on('connection', (socket: Socket) => this.admit(socket));
    server.on(options.tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => this.begin(socket));
    const { alsoTls } = options;
    this.upgrader = alsoTls && createTlsServer({ ...alsoTls, handshakeTimeout: HANDSHAKE_MS });
    this.upgrader?.on('secureConnection', (socket: Socket) => this.begin(socket, true));
    for (const secure of [server, this.upgrader]) {
      secure?.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy());
    }
    server.on('error', () => {});
    this.sweep = setInterval(() => this.dropIdle(), SWEEP_MS);
    this.sweep.unref();
  }

  /** Binds; fails with `TURN_PORT_IN_USE`, `TURN_NOT_PERMITTED` or `TURN_LISTEN_FAILED`. */
  static async open(options: StreamListenerOptions): Promise<StreamListener> {
    const { address, port, tls } = options;
    const server =
      tls === undefined
        ? createServer({ noDelay: true, keepAlive: true })
        : createTlsServer({ ...tls, handshakeTimeout: HANDSHAKE_MS, noDelay: true, keepAlive: true });
    server.maxConnections = MAX_CONNECTIONS;
    try {
      server.listen({ port, host: address, exclusive: true, backlog: 1024 });
      await once(server, 'listening');
    } catch (cause) {
      throw listenError(cause, tls === undefined ? 'TCP' : 'TLS', address, port);
    }
    const bound = server.address();
    const actual = typeof bound === 'object' && bound !== null ? bound.port : port;
    const local = Endpoint.from(address, actual);
    if (local === undefined) throw listenError(undefined, 'TCP', address, port);
    return new StreamListener(server, options, local);
  }

  /** Where messages go; nothing is accepted before. */
  setPort(port: ListenerPort): void {
    this.port = port;
  }

  /** A new certificate for the handshakes to come; connections that are open go on. */
  setCertificate(tls: SecureContextOptions): void {
    if ('setSecureContext' in this.server) this.server.setSecureContext(tls);
    this.upgrader?.setSecureContext(tls);
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    const connection = this.connections.get(to.key);
    if (connection?.socket.writable === true) connection.socket.write(Buffer.from(bytes));
  }

  waitingBytes(client: Endpoint): number {
    return this.connections.get(client.key)?.socket.writableLength ?? 0;
  }

  disconnect(client: Endpoint): void {
    this.connections.get(client.key)?.socket.destroy();
  }

  /** From here on the client's connection carries the bytes of a peer's. */
  join(client: Endpoint, peer: Socket, meter: StreamMeter): boolean {
    const connection = this.connections.get(client.key);
    if (connection === undefined || connection.peer !== undefined) return false;
    connection.peer = { socket: peer, meter };
    pipeMetered(peer, connection.socket, (bytes) => meter.fromPeer(bytes));
    if (!connection.isParsing) this.handOver(connection);
    return true;
  }

  async close(): Promise<void> {
    clearInterval(this.sweep);
    this.port?.remove();
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private admit(socket: Socket): void {
    socket.on('error', () => {});
    const host = socket.remoteAddress ?? '';
    const count = (this.perAddress.get(host) ?? 0) + 1;
    if (count > MAX_CONNECTIONS_PER_ADDRESS) {
      socket.destroy();
      return;
    }
    this.perAddress.set(host, count);
    this.sockets.add(socket);
    socket.once('close', () => {
      this.sockets.delete(socket);
      const left = (this.perAddress.get(host) ?? 1) - 1;
      if (left === 0) this.perAddress.delete(host);
      else this.perAddress.set(host, left);
    });
  }

  private begin(socket: Socket, isUpgraded = false): void {
    if (socket.destroyed) return;
    socket.on('error', () => {});
    const remote = Endpoint.from(socket.remoteAddress ?? '', socket.remotePort ?? 0);
    if (remote === undefined) socket.destroy();
    else if (this.options.expectsProxyHeader === true) this.readProxyHeader(socket, remote);
    else this.serve(socket, remote, undefined, isUpgraded ? undefined : this.upgrader);
  }

  private readProxyHeader(socket: Socket, balancer: Endpoint): void {
    let waiting = Buffer.alloc(0);
    const timer = setTimeout(() => socket.destroy(), HANDSHAKE_MS);
    socket.once('close', () => clearTimeout(timer));
    const take = (chunk: Buffer): void => {
      waiting = Buffer.concat([waiting, chunk]);
      const header = decodeProxyHeader(waiting);
      if (header === undefined && waiting.length < MAX_PROXY_BYTES) return;
      socket.off('data', take);
      clearTimeout(timer);
      if (header === undefined || header === false) {
        socket.destroy();
        return;
      }
      this.serve(socket, header.source ?? balancer, waiting.subarray(header.length));
    };
    socket.on('data', take);
  }

  private serve(socket: Socket, remote: Endpoint, first: Buffer | undefined, upgrader?: TlsServer): void {
    if (this.connections.has(remote.key)) {
      // Only behind a balancer can two connections claim one source.
      socket.destroy();
      return;
    }
    const connection: Connection = {
      socket,
      remote,
      framer: new StreamFramer(),
      sinceMs: performance.now(),
      peer: undefined,
      isParsing: false,
    };
    this.connections.set(remote.key, connection);
    socket.once('close', () => {
      this.connections.delete(remote.key);
      this.port?.closed(remote);
    });
    const take = (chunk: Buffer): void => this.parse(connection, chunk);
    if (upgrader === undefined) socket.on('data', take);
    else {
      socket.once('data', (chunk: Buffer) => {
        if (chunk[0] === TLS_HANDSHAKE) return this.upgrade(connection, chunk, upgrader);
        socket.on('data', take);
        take(chunk);
      });
    }
    if (first !== undefined && first.length > 0) take(first);
  }

  private upgrade({ socket, remote }: Connection, first: Buffer, upgrader: TlsServer): void {
    this.connections.delete(remote.key);
    socket.pause();
    socket.unshift(first);
    upgrader.emit('connection', socket);
  }

  private parse(connection: Connection, chunk: Buffer): void {
    const { port } = this;
    connection.isParsing = true;
    const isSound = connection.framer.push(chunk, (message) => {
      port?.receive(message, connection.remote);
      return connection.peer === undefined && !connection.socket.destroyed;
    });
    connection.isParsing = false;
    if (!isSound) connection.socket.destroy();
    else if (connection.peer !== undefined) {
      this.handOver(connection);
    }
  }

  private handOver(connection: Connection): void {
    const { peer, socket, framer } = connection;
    if (peer === undefined) return;
    socket.removeAllListeners('data');
    pipeMetered(socket, peer.socket, (bytes) => peer.meter.fromClient(bytes), framer.takeRest());
  }

  /** Connections that never came to an allocation. */
  private dropIdle(): void {
    const before = performance.now() - this.options.idleMs;
    for (const { socket, remote, sinceMs, peer } of this.connections.values()) {
      if (sinceMs < before && peer === undefined && this.port?.hasAllocation(remote) !== true) socket.destroy();
    }
  }
}

/** The error of a listener that cannot be opened, with a sentence that says what to do. */
function listenError(cause: unknown, what: string, address: string, port: number): AtollError {
  const where = `${what} on ${address} at port ${port}`;
  switch (errorCode(cause)) {
    case 'EADDRINUSE':
      return new AtollError(
        'TURN_PORT_IN_USE',
        `TURN cannot listen for ${where}: another program uses it; stop it or choose another port.`,
        { cause },
      );
    case 'EADDRNOTAVAIL':
      return new AtollError(
        'TURN_ADDRESS_NOT_AVAILABLE',
        `TURN cannot listen for ${where}: this machine does not have the address.`,
        { cause },
      );
    case 'EACCES':
    case 'EPERM':
      return new AtollError(
        'TURN_NOT_PERMITTED',
        `TURN cannot listen for ${where}: this user may not; choose a port above 1023.`,
        { cause },
      );
    default:
      return new AtollError('TURN_LISTEN_FAILED', `TURN cannot listen for ${where}: ${errorCode(cause)}.`, { cause });
  }
}
