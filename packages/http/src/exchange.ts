import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { HttpError } from './http-error.js';

/** Headers as name and value in turn: `['Retry-After', '1']`. */
export type HeaderList = readonly string[];

export interface BodyLimits {
  /** Longer bodies are answered with 413. */
  readonly maxBytes: number;
  /** Bodies that take longer are answered with 408. */
  readonly maxMs?: number;
}

const MAX_BODY_MS = 30_000;

/** One request and its answer. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  /** Path without query, as it came: not percent-decoded. */
  readonly path: string;
  /** The parts of the path that its route calls parameters, as they came. */
  parameters: readonly string[] = [];
  /** Headers of every answer, e.g. for CORS; set by the server before the handler runs. */
  standingHeaders: HeaderList = [];
  /** Hears the status of the answer; set by the server. */
  answered: ((status: number) => void) | undefined;
  private readonly trustedProxies: ReadonlySet<string>;
  private readonly search: string;
  private gone: AbortController | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, trustedProxies: ReadonlySet<string>) {
    this.request = request;
    this.response = response;
    this.trustedProxies = trustedProxies;
    this.method = request.method ?? 'GET';
    let url = request.url ?? '/';
    // The absolute form is for proxies, but every server has to understand it (RFC 9112 section 3.2.2).
    if (!url.startsWith('/')) {
      const authority = url.indexOf('://');
      const slash = authority < 0 ? -1 : url.indexOf('/', authority + 3);
      url = slash < 0 ? '/' : url.slice(slash);
    }
    const query = url.indexOf('?');
    this.path = query < 0 ? url : url.slice(0, query);
    this.search = query < 0 ? '' : url.slice(query + 1);
  }

  /** The first parameter of the path, as it came. */
  get parameter(): string {
    return this.parameters[0] ?? '';
  }

  /** The first parameter, percent-decoded once; undefined when that is not UTF-8. */
  get decodedParameter(): string | undefined {
    const raw = this.parameter;
    if (!raw.includes('%')) return raw;
    try {
      return decodeURIComponent(raw);
    } catch {
      return undefined;
    }
  }

  get query(): URLSearchParams {
    return new URLSearchParams(this.search);
  }

  /** Address of the client, IPv4 in its own form; behind a trusted reverse proxy the one it names. */
  get client(): string {
    const address = plainAddress(this.request.socket.remoteAddress ?? '');
    if (this.trustedProxies.size === 0 || !this.trustedProxies.has(address)) return address;
    const forwarded = String(this.request.headers['x-forwarded-for'] ?? '').split(',');
    for (const named of forwarded.reverse()) {
      const hop = plainAddress(named.trim());
      if (hop !== '' && !this.trustedProxies.has(hop)) return hop;
    }
    return address;
  }

  /** The address of this machine that the client reached. */
  get local(): string {
    return plainAddress(this.request.socket.localAddress ?? '');
  }

  get isSecure(): boolean {
    return 'encrypted' in this.request.socket;
  }

  /** DER of the certificate that the client showed, and whether a configured authority vouches for it. */
  get clientCertificate(): { readonly der: Buffer; readonly isTrusted: boolean } | undefined {
    if (!this.isSecure) return undefined;
    const socket = this.request.socket as TLSSocket;
    const { raw } = socket.getPeerCertificate() as { raw?: Buffer };
    return raw === undefined ? undefined : { der: raw, isTrusted: socket.authorized };
  }

  /** Aborts when the answer is complete or the client has gone, whichever is first. */
  get signal(): AbortSignal {
    if (this.gone === undefined) {
      const controller = new AbortController();
      this.gone = controller;
      if (this.response.closed) controller.abort();
      else this.response.once('close', () => controller.abort());
    }
    return this.gone.signal;
  }

  /** No idle time-out for this connection any more: the answer is a stream that may be quiet for long. */
  keepOpen(): void {
    this.request.socket.setTimeout(0);
  }

  /** The whole body. Throws {@link HttpError} 413, 408, or 400 when the client went away in the middle. */
  async body({ maxBytes, maxMs = MAX_BODY_MS }: BodyLimits): Promise<Buffer> {
    const { request } = this;
    const announced = Number(request.headers['content-length'] ?? 0);
    if (announced > maxBytes) throw this.tooLarge(maxBytes);
    if (request.headers.expect !== undefined) this.response.writeContinue();
    return new Promise<Buffer>((resolve, reject) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      let timer: NodeJS.Timeout | undefined;
      // Most bodies come with their header and need no timer.
      const soon = setImmediate(() => {
        timer = setTimeout(
          () => end(new HttpError(408, 'HTTP_BODY_LATE', `The body did not come within ${maxMs} ms.`)),
          maxMs,
        );
      });
      const take = (chunk: Buffer): void => {
        bytes += chunk.length;
        if (bytes > maxBytes) end(this.tooLarge(maxBytes));
        else chunks.push(chunk);
      };
      const done = (): void => end(undefined);
      const lost = (): void => end(new HttpError(400, 'HTTP_BODY_CUT', 'The request ended before its body did.'));
      const end = (error: HttpError | undefined): void => {
        clearImmediate(soon);
        clearTimeout(timer);
        request.off('data', take).off('end', done).off('close', lost).off('error', lost);
        if (error === undefined) return resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
        // What still comes is thrown away until the answer, which ends the connection, is out.
        request.on('error', () => {}).resume();
        reject(error);
      };
      request.on('data', take).on('end', done).on('close', lost).on('error', lost);
    });
  }

  /** The body as JSON. Throws also 400 when it is none. */
  async json(limits: BodyLimits): Promise<unknown> {
    const body = await this.body(limits);
    try {
      return JSON.parse(body.toString('utf8')) as unknown;
    } catch (cause) {
      throw new HttpError(400, 'HTTP_NOT_JSON', 'The body is not JSON.', { cause });
    }
  }

  /** Status and headers alone, for an answer that is written piece by piece to `response`. */
  head(status: number, headers: HeaderList): void {
    this.answered?.(status);
    this.response.writeHead(status, [...headers, ...this.standingHeaders]);
  }

  /** The whole answer at once, in the form of one that came piece by piece (RFC 9112 section 7.1). */
  sendChunked(status: number, headers: HeaderList, body: string): void {
    const { response } = this;
    if (response.headersSent || response.destroyed) return;
    this.head(status, [...headers, 'Transfer-Encoding', 'chunked']);
    // Its chunks are made here: Node would hand each part of each chunk to the kernel by itself.
    response.chunkedEncoding = false;
    const chunk = body === '' ? '' : `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n`;
    response.end(`${chunk}0\r\n\r\n`);
  }

  /** The whole answer at once. */
  send(status: number, contentType: string, body: string | Uint8Array, headers: HeaderList = []): void {
    const { response } = this;
    if (response.headersSent || response.destroyed) return;
    const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    const list = ['Content-Type', contentType, 'Content-Length', String(length)];
    if (headers.length > 0) list.push(...headers);
    if (this.standingHeaders.length > 0) list.push(...this.standingHeaders);
    // A body that was not read to its end would be taken for the next request.
    if (!this.request.complete && hasBody(this.request)) list.push('Connection', 'close');
    this.answered?.(status);
    response.writeHead(status, list);
    // Text that is all ASCII needs no encoding, and most is.
    if (typeof body === 'string' && length === body.length) response.end(body, 'latin1');
    else response.end(body);
  }

  sendJson(status: number, value: unknown, headers: HeaderList = []): void {
    this.send(status, 'application/json', JSON.stringify(value), headers);
  }

  /** No body. */
  sendNothing(status: number, headers: HeaderList = []): void {
    const { response } = this;
    if (response.headersSent || response.destroyed) return;
    const length = status === 204 || status === 304 ? [] : ['Content-Length', '0'];
    const close = !this.request.complete && hasBody(this.request) ? ['Connection', 'close'] : [];
    this.answered?.(status);
    response.writeHead(status, [...length, ...headers, ...this.standingHeaders, ...close]);
    response.end();
  }

  private tooLarge(maxBytes: number): HttpError {
    return new HttpError(413, 'HTTP_BODY_TOO_LARGE', `The body is larger than ${maxBytes} bytes.`);
  }
}

function hasBody(request: IncomingMessage): boolean {
  const { headers } = request;
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

/** IPv4 in its own form. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
