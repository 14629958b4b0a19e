import { Agent, type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps, Agent as TlsAgent } from 'node:https';
import { AtollError, errorMessage } from '@atoll/base';

/** Redirects followed, as by the reference client (protocol/dht-proxy.md 16.1). */
const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 307, 308]);
/** A connection that is not there by then will not be, ms. */
const CONNECT_MS = 15_000;
/** TCP probes an idle connection after this time, then each second ten times, ms. */
const KEEP_ALIVE_MS = 20_000;
/** Connections kept for the next request. */
const MAX_IDLE_CONNECTIONS = 4;
const MAX_CONNECTIONS = 32;
const USER_AGENT = 'Atoll';

/** Certificates of a client, PEM. */
export interface ClientTls {
  /** Authorities that a proxy's certificate may come from, instead of the system's. */
  readonly ca?: string | Buffer | undefined;
  /** Shown to proxies that ask for a certificate, with `key`. */
  readonly certificate?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
}

export interface ExchangeRequest {
  readonly method: 'GET' | 'POST' | 'SUBSCRIBE' | 'UNSUBSCRIBE';
  readonly path: string;
  readonly body?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Longest time without a byte, ms; a server that says how often it shows that it lives makes it shorter. */
  readonly idleMs: number;
  /** A connection of its own: a listen stays open and blocks what comes after it. */
  readonly isStream?: boolean | undefined;
}

export interface ExchangeHandler {
  /** The answer began. */
  onStatus?(status: number): void;
  onData(chunk: Buffer): void;
}

/** No answer at all, or one that broke off (protocol/dht-proxy.md 16.6). */
export function noAnswer(proxy: string, cause: unknown): AtollError {
  return new AtollError('PROXY_UNREACHABLE', `The DHT proxy ${proxy} does not answer: ${errorMessage(cause)}`, {
    cause,
  });
}

/** Requests to proxies over HTTP and HTTPS. */
export class HttpExchange {
  private readonly agent = new Agent({
    keepAlive: true,
    keepAliveMsecs: KEEP_ALIVE_MS,
    maxSockets: MAX_CONNECTIONS,
    maxFreeSockets: MAX_IDLE_CONNECTIONS,
  });
  private readonly tlsAgent: TlsAgent;
  private readonly tls: { ca?: string | Buffer; cert?: string | Buffer; key?: string | Buffer };

  constructor(tls: ClientTls = {}) {
    this.tls = {
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls.certificate === undefined ? {} : { cert: tls.certificate }),
      ...(tls.key === undefined ? {} : { key: tls.key }),
    };
    this.tlsAgent = new TlsAgent({
      ...this.tls,
      keepAlive: true,
      keepAliveMsecs: KEEP_ALIVE_MS,
      maxSockets: MAX_CONNECTIONS,
      maxFreeSockets: MAX_IDLE_CONNECTIONS,
    });
  }

  /** Sends a request; resolves to the status once the answer is whole. Rejects with `PROXY_UNREACHABLE`. */
  send(proxy: string, request: ExchangeRequest, handler: ExchangeHandler): Promise<number> {
    return this.follow(proxy, new URL(request.path, proxy), request, handler, MAX_REDIRECTS);
  }

  close(): void {
    this.agent.destroy();
    this.tlsAgent.destroy();
  }

  private follow(
    proxy: string,
    url: URL,
    request: ExchangeRequest,
    handler: ExchangeHandler,
    redirects: number,
  ): Promise<number> {
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown): void => reject(noAnswer(proxy, cause));
      const sent = this.open(url, request);
      const connectTimer = setTimeout(() => sent.destroy(new Error('no connection in time')), CONNECT_MS);
      sent.once('socket', (socket) => {
        const connected = (): void => clearTimeout(connectTimer);
        if (!socket.connecting) connected();
        else socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', connected);
      });
      sent.once('close', () => clearTimeout(connectTimer));
      sent.setTimeout(request.idleMs, () => sent.destroy(new Error('nothing came in time')));
      sent.once('error', fail);
      sent.once('response', (response) => {
        const { statusCode = 0 } = response;
        const { location } = response.headers;
        if (REDIRECTS.has(statusCode) && location !== undefined && redirects > 0) {
          response.resume();
          const target = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
          if (target === undefined || !/^https?:$/.test(target.protocol)) fail(new Error('it redirects to nowhere'));
          else this.follow(proxy, target, request, handler, redirects - 1).then(resolve, reject);
          return;
        }
        expectSignsOfLife(sent, response);
        handler.onStatus?.(statusCode);
        response.on('data', (chunk: Buffer) => handler.onData(chunk));
        response.once('end', () => resolve(statusCode));
        response.once('error', fail);
      });
      sent.end(request.body);
    });
  }

  private open(url: URL, request: ExchangeRequest): ClientRequest {
    const isTls = url.protocol === 'https:';
    const options = {
      method: request.method,
      headers: {
        accept: '*/*',
        'content-type': 'application/json',
        'user-agent': USER_AGENT,
        ...(request.body === undefined ? {} : { 'content-length': Buffer.byteLength(request.body) }),
        ...(request.isStream ? { connection: 'keep-alive' } : {}),
      },
      ...(request.signal === undefined ? {} : { signal: request.signal }),
      agent: request.isStream ? false : isTls ? this.tlsAgent : this.agent,
      ...(isTls ? this.tls : {}),
    };
    const sent = isTls ? requestHttps(url, options) : requestHttp(url, options);
    sent.setSocketKeepAlive(true, KEEP_ALIVE_MS);
    sent.setNoDelay(true);
    return sent;
  }
}

/** A server of ours says how often it shows that it lives: silence for twice as long means that the path is dead. */
function expectSignsOfLife(sent: ClientRequest, response: IncomingMessage): void {
  const seconds = Number(response.headers['x-heartbeat-seconds']);
  if (Number.isInteger(seconds) && seconds > 0 && seconds <= 600) sent.setTimeout(2 * seconds * 1000 + 5000);
}
