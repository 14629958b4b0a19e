import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { errorCode, errorMessage, HeardLately, type Logger, silentLogger } from '@atoll/base';
import { networkOf } from './address-limits.js';
import { type CertificateFiles, certificateStamp, readCertificate } from './certificate-files.js';
import { Exchange, type HeaderList, plainAddress } from './exchange.js';
import { HttpError } from './http-error.js';
import { listenError } from './listen-error.js';
import type { Counter, Metrics } from './metrics.js';
import type { Router } from './router.js';

/** Where a server listens. */
export interface ListenAddress {
  /** Addresses to bind; all of the machine when left out or empty. */
  readonly hosts?: readonly string[];
  /** 0 lets the system choose, the same for all addresses. */
  readonly port: number;
  /** HTTPS when there is a certificate. */
  readonly certificate?: CertificateFiles;
}

/** Where a server does listen. */
export interface ListeningAt {
  readonly host: string;
  readonly port: number;
  readonly isSecure: boolean;
}

export interface HttpServerComponents {
  readonly router: Router;
  readonly logger?: Logger;
  readonly metrics?: Metrics;
}

export interface HttpServerOptions {
  readonly listen: readonly ListenAddress[];
  /** Name in metrics and logs. */
  readonly name?: string;
  /** Open connections in all, and of one client address (an IPv6 /64 counts as one); more are refused. */
  readonly maxConnections?: number;
  readonly maxConnectionsPerAddress?: number;
  /** A client that has not sent its header, its whole request, or anything at all for so long is cut off, ms. */
  readonly headerMs?: number;
  readonly requestMs?: number;
  readonly idleMs?: number;
  /** How long a connection may wait for its next request, ms. */
  readonly keepAliveMs?: number;
  /** Largest header of a request, bytes. */
  readonly maxHeaderBytes?: number;
  /** How often certificate files are looked at for a change, ms; 0 never. */
  readonly certificateCheckMs?: number;
  /** Reverse proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies?: readonly string[];
  /**
   * Looks at each request before any route does: the headers it returns are added to the answer, and an HttpError that it
   * throws is the answer.
   */
  readonly admit?: (exchange: Exchange) => HeaderList;
  /** Headers to add to each answer, e.g. for CORS; with it, OPTIONS of a known path is answered. */
  readonly cors?: (exchange: Exchange) => HeaderList;
  /** Answers what no route fits: `allowed` are the methods of the path, empty when there is no such path. */
  readonly notFound?: (exchange: Exchange, allowed: readonly string[]) => void | Promise<void>;
  /** The JSON body of an error; `{"error":{"code","message"}}` when left out. */
  readonly errorBody?: (status: number, code: string, message: string) => string;
}

const DEFAULTS = {
  maxConnections: 10_000,
  maxConnectionsPerAddress: 1000,
  headerMs: 10_000,
  requestMs: 60_000,
  idleMs: 120_000,
  keepAliveMs: 60_000,
  maxHeaderBytes: 16_384,
  certificateCheckMs: 60_000,
};
const HANDSHAKE_MS = 15_000;
const TCP_KEEP_ALIVE_MS = 30_000;
/** Slow clients are looked for so often, ms. */
const SLOW_CHECK_MS = 2000;
/** A closing server looks so often for connections that became idle, ms. */
const IDLE_CHECK_MS = 50;
/** Tries to get one free port on several addresses. */
const PORT_TRIES = 20;

interface Listener {
  readonly server: Server | SecureServer;
  readonly certificate: CertificateFiles | undefined;
  readonly at: ListeningAt;
  stamp: string;
}

/**
 * HTTP and HTTPS on any number of addresses and ports, for one router. Slow, idle and too many clients are cut off;
 * certificates that change on disk are taken without dropping a connection.
 */
export class HttpServer {
  /** Where it listens, in the order of the options. */
  readonly addresses: readonly ListeningAt[];
  private readonly listeners: readonly Listener[];
  private readonly engine: Engine;
  private readonly logger: Logger;
  private readonly certificateTimer: NodeJS.Timeout | undefined;

  private constructor(listeners: readonly Listener[], engine: Engine, logger: Logger, certificateCheckMs: number) {
    this.listeners = listeners;
    this.addresses = listeners.map(({ at }) => at);
    this.engine = engine;
    this.logger = logger;
    if (certificateCheckMs > 0 && listeners.some(({ certificate }) => certificate !== undefined)) {
      this.certificateTimer = setInterval(() => void this.reloadChanged(), certificateCheckMs);
      this.certificateTimer.unref();
    }
  }

  /**
   * Binds everything, or nothing. Fails with `HTTP_PORT_IN_USE`, `HTTP_PORT_FORBIDDEN`, `HTTP_ADDRESS_NOT_HERE` or the
   * errors of {@link readCertificate}.
   */
  static async open(components: HttpServerComponents, options: HttpServerOptions): Promise<HttpServer> {
    const logger = components.logger ?? silentLogger;
    const engine = new Engine(components, options);
    const listeners: Listener[] = [];
    try {
      for (const address of options.listen) listeners.push(...(await listenAt(address, engine)));
    } catch (error) {
      await Promise.all(listeners.map(({ server }) => closed(server)));
      throw error;
    }
    return new HttpServer(listeners, engine, logger, options.certificateCheckMs ?? DEFAULTS.certificateCheckMs);
  }

  /** Port of the first plain, or first HTTPS listener. */
  port(isSecure = false): number | undefined {
    return this.addresses.find((address) => address.isSecure === isSecure)?.port;
  }

  /** Connections that are open. */
  get connections(): number {
    return this.engine.connections;
  }

  /** Client addresses that have a connection open. */
  get clients(): number {
    return this.engine.perAddress.size;
  }

  /** Bytes of all connections since the start. */
  get traffic(): { readonly inBytes: number; readonly outBytes: number } {
    return this.engine.traffic();
  }

  /** When a client address last opened a connection, or Infinity while one is open; ms of `performance.now()`. */
  heardMs(address: string): number | undefined {
    const key = networkOf(address);
    return this.engine.perAddress.has(key) ? Number.POSITIVE_INFINITY : this.engine.left.heardMs(key);
  }

  /** Reads all certificates anew; new connections get them, old ones go on. Fails like {@link open}. */
  async reloadCertificates(): Promise<void> {
    for (const listener of this.listeners) {
      if (listener.certificate === undefined) continue;
      const context = await readCertificate(listener.certificate);
      (listener.server as SecureServer).setSecureContext(context);
      listener.stamp = await certificateStamp(listener.certificate);
    }
  }

  /** No new connections; answers under way have so long to end, then everything is cut. */
  async close(graceMs = 5000): Promise<void> {
    clearInterval(this.certificateTimer);
    this.engine.isClosing = true;
    const all = Promise.all(this.listeners.map(({ server }) => closed(server)));
    const closeIdle = (): void => {
      for (const { server } of this.listeners) server.closeIdleConnections();
    };
    closeIdle();
    // An answer that ends now leaves a connection idle that was promised to be kept.
    const idle = setInterval(closeIdle, IDLE_CHECK_MS);
    const end = setTimeout(() => {
      for (const { server } of this.listeners) server.closeAllConnections();
    }, graceMs);
    await all;
    clearInterval(idle);
    clearTimeout(end);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async reloadChanged(): Promise<void> {
    for (const listener of this.listeners) {
      const { certificate } = listener;
      if (certificate === undefined) continue;
      try {
        const stamp = await certificateStamp(certificate);
        if (stamp === listener.stamp) continue;
        (listener.server as SecureServer).setSecureContext(await readCertificate(certificate));
        listener.stamp = stamp;
        this.logger.info(`The certificate ${certificate.certificate} was read anew.`);
      } catch (error) {
        // The old one goes on; a renewal may be half written, and the next look finds it whole.
        this.logger.warn(`The certificate was not read anew: ${errorMessage(error)}`);
      }
    }
  }
}

/** What all listeners of one server share. */
class Engine {
  readonly options: HttpServerOptions;
  isClosing = false;
  /** Open connections by client address. */
  readonly perAddress = new Map<string, number>();
  /** When the last connection of an address ended. */
  readonly left = new HeardLately();
  private readonly sockets = new Set<Socket>();
  private readonly ended = { inBytes: 0, outBytes: 0 };
  private readonly router: Router;
  private readonly logger: Logger;
  private readonly trustedProxies: ReadonlySet<string>;
  private readonly answers: Counter | undefined;
  private readonly answersByStatus = new Map<number, Counter>();
  private readonly refused: Counter | undefined;

  constructor({ router, logger, metrics }: HttpServerComponents, options: HttpServerOptions) {
    this.router = router;
    this.logger = logger ?? silentLogger;
    this.options = options;
    this.trustedProxies = new Set(options.trustedProxies ?? []);
    const { name = 'http' } = options;
    this.answers = metrics?.counter('atoll_http_answers_total', 'Answers by server and status.', ['server', 'status']);
    this.refused = metrics
      ?.counter('atoll_http_refused_connections_total', 'Connections over the limits.', ['server'])
      .with(name);
    metrics?.gauge(`atoll_http_${name}_connections`, 'Open connections.', [], () => this.connections);
  }

  get connections(): number {
    return this.sockets.size;
  }

  traffic(): { inBytes: number; outBytes: number } {
    const sum = { ...this.ended };
    for (const { bytesRead, bytesWritten } of this.sockets) {
      sum.inBytes += bytesRead;
      sum.outBytes += bytesWritten;
    }
    return sum;
  }

  /** Counts a new connection, or refuses it. */
  connected(socket: Socket, isSecure: boolean): void {
    const { maxConnections = DEFAULTS.maxConnections, maxConnectionsPerAddress = DEFAULTS.maxConnectionsPerAddress } =
      this.options;
    const address = networkOf(plainAddress(socket.remoteAddress ?? ''));
    const ofAddress = this.perAddress.get(address) ?? 0;
    if (this.connections >= maxConnections || ofAddress >= maxConnectionsPerAddress) {
      this.refused?.increment();
      this.refuse(socket, isSecure);
      return;
    }
    this.sockets.add(socket);
    this.perAddress.set(address, ofAddress + 1);
    socket.once('close', () => {
      this.sockets.delete(socket);
      this.ended.inBytes += socket.bytesRead;
      this.ended.outBytes += socket.bytesWritten;
      const open = (this.perAddress.get(address) ?? 1) - 1;
      if (open > 0) this.perAddress.set(address, open);
      else {
        this.perAddress.delete(address);
        this.left.hear(address, performance.now());
      }
    });
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const exchange = new Exchange(request, response, this.trustedProxies);
    if (this.answers !== undefined) exchange.answered = this.count;
    const { cors, admit } = this.options;
    try {
      if (this.isClosing) response.shouldKeepAlive = false;
      if (admit !== undefined) exchange.standingHeaders = admit(exchange);
      if (cors !== undefined) exchange.standingHeaders = cors(exchange);
      const route = this.router.find(exchange.path);
      const handler = route?.handlers.get(exchange.method);
      if (route === undefined || handler === undefined) {
        const answering = this.notFound(exchange, route === undefined ? [] : [...route.handlers.keys()]);
        answering?.catch((error: unknown) => this.failed(exchange, error));
        return;
      }
      exchange.parameters = route.parameters;
      const answering = handler(exchange);
      if (answering !== undefined) answering.catch((error: unknown) => this.failed(exchange, error));
    } catch (error) {
      this.failed(exchange, error);
    }
  }

  /** What came was not HTTP. */
  malformed(error: Error, socket: Socket): void {
    if (!socket.writable || socket.bytesWritten > 0 || errorCode(error) === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const status =
      errorCode(error) === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : errorCode(error) === 'HPE_HEADER_OVERFLOW'
          ? '431 Request Header Fields Too Large'
          : '400 Bad Request';
    socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    socket.destroySoon();
  }

  private refuse(socket: Socket, isSecure: boolean): void {
    if (isSecure) {
      socket.destroy();
      return;
    }
    const body = this.errorBody(503, 'HTTP_TOO_MANY_CONNECTIONS', 'Too many connections are open.');
    socket.on('error', () => {});
    socket.end(
      `HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
    socket.destroySoon();
  }

  private notFound(exchange: Exchange, allowed: readonly string[]): Promise<void> | undefined {
    const { notFound, cors } = this.options;
    if (cors !== undefined && exchange.method === 'OPTIONS' && allowed.length > 0) {
      exchange.sendNothing(204, ['Access-Control-Allow-Methods', ['OPTIONS', ...allowed].join(', ')]);
    } else if (notFound !== undefined) return notFound(exchange, allowed) ?? undefined;
    else if (allowed.length === 0) this.fail(exchange, 404, 'HTTP_NOT_FOUND', 'There is nothing at this path.', []);
    else {
      const message = `This path takes ${allowed.join(', ')}.`;
      this.fail(exchange, 405, 'HTTP_METHOD_NOT_ALLOWED', message, ['Allow', allowed.join(', ')]);
    }
    return undefined;
  }

  private failed(exchange: Exchange, error: unknown): void {
    if (exchange.response.headersSent) {
      exchange.response.destroy();
    } else if (error instanceof HttpError) {
      const { status, code, message, headers, body } = error;
      if (body !== undefined) exchange.send(status, 'application/json', body, headers);
      else this.fail(exchange, status, code, message, headers);
    } else {
      const where = `${exchange.method} ${exchange.path.slice(0, 200)}`;
      this.logger.error(`${where} failed: ${errorMessage(error)}`, { code: errorCode(error) });
      this.fail(exchange, 500, 'HTTP_INTERNAL', 'The server could not answer; its log says why.', []);
    }
  }

  private fail(exchange: Exchange, status: number, code: string, message: string, headers: HeaderList): void {
    exchange.send(status, 'application/json', this.errorBody(status, code, message), headers);
  }

  private errorBody(status: number, code: string, message: string): string {
    return this.options.errorBody?.(status, code, message) ?? JSON.stringify({ error: { code, message } });
  }

  private readonly count = (status: number): void => {
    let counter = this.answersByStatus.get(status);
    if (counter === undefined) {
      counter = this.answers?.with(this.options.name ?? 'http', String(status));
      if (counter === undefined) return;
      this.answersByStatus.set(status, counter);
    }
    counter.increment();
  };
}

/** Binds one entry of the options: one server for each of its addresses, all on one port. */
async function listenAt(address: ListenAddress, engine: Engine): Promise<Listener[]> {
  const hosts = address.hosts === undefined || address.hosts.length === 0 ? [undefined] : address.hosts;
  for (let attempt = 1; ; attempt++) {
    const made: Listener[] = [];
    try {
      for (const host of hosts) made.push(await listenOn(host, made[0]?.at.port ?? address.port, address, engine));
      return made;
    } catch (error) {
      await Promise.all(made.map(({ server }) => closed(server)));
      // The system's choice for one address may be taken on another.
      const isChosen = address.port === 0 && made.length > 0 && errorCode(error) === 'HTTP_PORT_IN_USE';
      if (!isChosen || attempt >= PORT_TRIES) throw error;
    }
  }
}

async function listenOn(
  host: string | undefined,
  port: number,
  { certificate }: ListenAddress,
  engine: Engine,
): Promise<Listener> {
  const { options } = engine;
  const common: ServerOptions = {
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
    noDelay: true,
    headersTimeout: options.headerMs ?? DEFAULTS.headerMs,
    requestTimeout: options.requestMs ?? DEFAULTS.requestMs,
    keepAliveTimeout: options.keepAliveMs ?? DEFAULTS.keepAliveMs,
    maxHeaderSize: options.maxHeaderBytes ?? DEFAULTS.maxHeaderBytes,
    connectionsCheckingInterval: SLOW_CHECK_MS,
  };
  const answer = (request: IncomingMessage, response: ServerResponse): void => engine.handle(request, response);
  let server: Server | SecureServer;
  let stamp = '';
  if (certificate === undefined) server = createServer(common, answer);
  else {
    const context = await readCertificate(certificate);
    stamp = await certificateStamp(certificate);
    server = createSecureServer(
      {
        ...common,
        ...context,
        handshakeTimeout: HANDSHAKE_MS,
        requestCert: certificate.clientCertificates !== undefined,
        rejectUnauthorized: certificate.clientCertificates === 'required',
      },
      answer,
    );
  }
  const isSecure = certificate !== undefined;
  server.timeout = options.idleMs ?? DEFAULTS.idleMs;
  server.on('connection', (socket: Socket) => engine.connected(socket, isSecure));
  server.on('clientError', (error: Error, socket) => engine.malformed(error, socket as Socket));
  server.on('checkContinue', answer);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(listenError(cause, host, port)));
    server.listen(
      { port, ...(host === undefined ? {} : { host, ipv6Only: host.includes(':') }), backlog: 1024 },
      resolve,
    );
  });
  server.removeAllListeners('error');
  server.on('error', () => {});
  const bound = server.address() as AddressInfo;
  return { server, certificate, at: { host: host ?? bound.address, port: bound.port, isSecure }, stamp };
}

function closed(server: Server | SecureServer): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
