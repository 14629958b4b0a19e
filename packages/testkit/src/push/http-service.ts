import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ReceivedPush, ReceivedPushes } from './received-pushes.js';

/** Most body bytes that a test service reads. */
const MOST_BODY_BYTES = 1_000_000;

/** An answer as a test service gives it. */
export interface ServiceAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
}

/** A request as a test service sees it. */
export interface ServiceRequest extends Omit<ReceivedPush, 'status'> {
  readonly method: string;
}

/** A push service of a test that speaks HTTP. Binds loopback unless told otherwise. */
export abstract class HttpPushService {
  readonly received = new ReceivedPushes();
  private readonly server: Server;
  private host = '127.0.0.1';

  constructor() {
    this.server = createServer((request, response) => {
      void readBody(request).then((body) => {
        const { method = '', url: path = '' } = request;
        const seen = { method, path, headers: plainHeaders(request), body };
        const answer = this.answer(seen);
        response.writeHead(answer.status, { 'Content-Type': 'application/json', ...answer.headers });
        response.end(answer.body === undefined ? '' : JSON.stringify(answer.body));
        if (this.isPush(seen)) this.received.add({ path, headers: seen.headers, body, status: answer.status });
      });
    });
  }

  async listen(host = '127.0.0.1', port = 0): Promise<this> {
    this.host = host;
    this.server.listen(port, host);
    await once(this.server, 'listening');
    return this;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://${this.host}:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  protected abstract answer(request: ServiceRequest): ServiceAnswer;

  /** Whether a request is a push, and not something beside it. */
  protected isPush(request: ServiceRequest): boolean {
    return request.method === 'POST';
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= MOST_BODY_BYTES) chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function plainHeaders(request: IncomingMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
}
