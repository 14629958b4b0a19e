import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BodyFault } from '../wire/requests.js';
import type { Refusal } from './limits.js';

/** Headers of every answer that a handler makes; also of line streams (protocol/dht-proxy.md 1). */
const HEADERS = { 'Content-Type': 'application/json', 'Access-Control-Allow-Origin': '*' } as const;

const FAULTS: Readonly<Record<BodyFault, readonly [status: number, body: string]>> = {
  missing: [400, '{"err":"Missing parameters"}'],
  // The colon within the name is what clients have always been told.
  'no json': [400, '{"err:":"Incorrect JSON"}'],
  'no token': [400, '{"err":"No token"}'],
  'wrong shape': [500, '{"err":"Internal server error"}'],
};

/** An answer that is known as a whole. */
export function answer(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { ...HEADERS, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

/** The body could not be used. */
export function answerFault(response: ServerResponse, fault: BodyFault): void {
  const [status, body] = FAULTS[fault];
  answer(response, status, body);
}

/** A limit, or the state of the node, does not allow it now. */
export function answerRefusal(response: ServerResponse, { status, reason }: Refusal): void {
  answer(response, status, JSON.stringify({ err: reason }));
}

/** No route: whatever it is, the status is this one (trap 2). */
export function answerNoRoute(response: ServerResponse): void {
  response.writeHead(501, { 'Content-Length': 0, Connection: 'close' });
  response.end();
}

/** CORS, with the methods of today besides those that the original lists (protocol/dht-proxy.md 13). */
export function answerOptions(response: ServerResponse): void {
  response.writeHead(200, {
    ...HEADERS,
    'Content-Length': 0,
    'Access-Control-Allow-Methods': 'OPTIONS, GET, POST, LISTEN, SUBSCRIBE, UNSUBSCRIBE',
    'Access-Control-Allow-Headers': 'content-type',
    'Access-Control-Max-Age': 86_400,
  });
  response.end();
}

/** Begins an answer of lines, sent as they come. */
export function beginLines(response: ServerResponse, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(200, { ...HEADERS, ...headers, 'Transfer-Encoding': 'chunked' });
}

/** The body of a request; undefined, with the answer given, when it is larger than allowed or broke off. */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request) {
      if (!Buffer.isBuffer(chunk)) continue;
      bytes += chunk.length;
      if (bytes > maxBytes) {
        response.shouldKeepAlive = false;
        answerRefusal(response, { status: 413, reason: `A request may have ${maxBytes} bytes; this one has more.` });
        return undefined;
      }
      chunks.push(chunk);
    }
  } catch {
    return undefined;
  }
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
}
