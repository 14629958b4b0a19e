import { type Exchange, HttpError } from '@atoll/http';
import type { BodyFault } from '../wire/requests.js';
import type { Refusal } from './limits.js';

const TYPE = 'application/json';
/** Any page may use a proxy: it holds no secrets and knows no sessions. */
const CORS = ['Access-Control-Allow-Origin', '*'] as const;

const FAULTS: Readonly<Record<BodyFault, readonly [status: number, body: string]>> = {
  missing: [400, '{"err":"Missing parameters"}'],
  // The colon within the name is what clients have always been told.
  'no json': [400, '{"err:":"Incorrect JSON"}'],
  'no token': [400, '{"err":"No token"}'],
  'wrong shape': [500, '{"err":"Internal server error"}'],
};

/** An answer that is known as a whole, with the headers that every handler's answer has (protocol/dht-proxy.md 1). */
export function answer(exchange: Exchange, status: number, body: string): void {
  exchange.send(status, TYPE, body, CORS);
}

/** What a handler throws when the body could not be used. */
export function faultError(fault: BodyFault): HttpError {
  const [status, body] = FAULTS[fault];
  return new HttpError(status, 'PROXY_BODY', `The body of the request is not of use: ${fault}.`, {
    body,
    headers: CORS,
  });
}

/** The body that says why something is refused. */
export function refusalBody(reason: string): string {
  return JSON.stringify({ err: reason });
}

/** A limit, or the state of the node, does not allow it now. */
export function answerRefusal(exchange: Exchange, { status, reason }: Refusal): void {
  answer(exchange, status, refusalBody(reason));
}

/** No route: whatever it is, the status is this one (trap 2). */
export function answerNoRoute(exchange: Exchange): void {
  exchange.sendNothing(501, ['Connection', 'close']);
}

/** CORS, with the methods of today besides those that the original lists (protocol/dht-proxy.md 13). */
export function answerOptions(exchange: Exchange): void {
  exchange.send(200, TYPE, '', [
    ...CORS,
    'Access-Control-Allow-Methods',
    'OPTIONS, GET, POST, LISTEN, SUBSCRIBE, UNSUBSCRIBE',
    'Access-Control-Allow-Headers',
    'content-type',
    'Access-Control-Max-Age',
    '86400',
  ]);
}

const LINES_HEADERS: readonly string[] = ['Content-Type', TYPE, ...CORS];

/** Begins an answer of lines, sent as they come. */
export function beginLines(exchange: Exchange, headers: readonly string[] = []): void {
  exchange.head(200, [...LINES_HEADERS, ...headers, 'Transfer-Encoding', 'chunked']);
}

/** An answer of lines that are all known; nothing tells it from one that was begun before. */
export function answerLines(exchange: Exchange, lines: string): void {
  exchange.sendChunked(200, LINES_HEADERS, lines);
}
