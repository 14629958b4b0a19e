import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { AtollError, errorCode, errorMessage } from '@atoll/base';
import type { DhtProxy } from './dht-proxy.js';
import { requestHandler } from './dispatch.js';

/** An idle connection without a request is closed after this time, ms. */
const IDLE_MS = 75_000;
/** A request must have come in whole by then, ms. */
const REQUEST_MS = 60_000;
const HEADERS_MS = 20_000;
const MAX_HEADER_BYTES = 16_384;
/** TCP probes an idle connection after this time, then each second ten times (so half a minute in all), ms. */
const KEEP_ALIVE_MS = 20_000;

/** Certificate of a TLS port, PEM. */
export interface ServerTls {
  readonly certificate: string | Buffer;
  readonly key: string | Buffer;
  readonly keyPassword?: string | undefined;
  /** Only clients with a certificate of these authorities may connect. */
  readonly clientCa?: string | Buffer | undefined;
}

export interface ProxyServerOptions {
  /** 0 lets the system choose. */
  readonly port: number;
  /** Address to bind; all of both families when left out. */
  readonly address?: string | undefined;
  readonly tls?: ServerTls | undefined;
}

/** One port of a proxy, plain or TLS. */
export class ProxyServer {
  private readonly server: Server;

  private constructor(server: Server) {
    this.server = server;
  }

  /** Binds. Fails with `PROXY_PORT_UNUSABLE`. */
  static async open(proxy: DhtProxy, options: ProxyServerOptions): Promise<ProxyServer> {
    const { tls } = options;
    const limits = {
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      noDelay: true,
      keepAliveTimeout: IDLE_MS,
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
    };
    const handler = requestHandler(proxy);
    const server =
      tls === undefined
        ? createServer(limits, handler)
        : createTlsServer(
            {
              ...limits,
              cert: tls.certificate,
              key: tls.key,
              ...(tls.keyPassword === undefined ? {} : { passphrase: tls.keyPassword }),
              ...(tls.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true }),
            },
            handler,
          );
    // What is no HTTP, or a method that does not exist any more, is not answered at all (protocol/dht-proxy.md 2).
    server.on('clientError', (_error, socket) => socket.destroy());
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) => {
        const where = `port ${options.port}${options.address === undefined ? '' : ` of ${options.address}`}`;
        const why = errorCode(cause) === 'EADDRINUSE' ? 'another program uses it' : errorMessage(cause);
        reject(new AtollError('PROXY_PORT_UNUSABLE', `The DHT proxy cannot use ${where}: ${why}.`, { cause }));
      });
      const listening = (): void => resolve();
      if (options.address === undefined) server.listen({ port: options.port }, listening);
      else server.listen({ port: options.port, host: options.address }, listening);
    });
    server.removeAllListeners('error');
    return new ProxyServer(server);
  }

  get port(): number {
    const address = this.server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Takes no more connections, ends idle ones, and soon the others too. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeIdleConnections();
    const limit = setTimeout(() => this.server.closeAllConnections(), 1000);
    await closed;
    clearTimeout(limit);
  }
}
