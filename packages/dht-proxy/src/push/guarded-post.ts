import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls, rootCertificates } from 'node:tls';
import { errorCode, formatIp } from '@atoll/base';
import type { Endpoint, EndpointGuard } from './endpoint-guard.js';
import { exchange, type HttpAnswer } from './http-post.js';

/** To resolve a name, ms. */
const RESOLVE_MS = 5000;
/** To connect to one address, TLS included, ms. */
const CONNECT_MS = 5000;
/** Addresses of a name that are tried. */
const MOST_TRIES = 2;
/** For request and answer on the open connection, ms. */
const EXCHANGE_MS = 10_000;
/** Body bytes read of an answer; nothing in it is used. */
const MOST_BODY_BYTES = 4096;

export interface PostLimits {
  readonly resolveMs?: number | undefined;
  readonly connectMs?: number | undefined;
  readonly exchangeMs?: number | undefined;
}

/** An answer, a refusal of the guard (for good), or a failure of the network (for now). */
export type GuardedAnswer =
  | { readonly kind: 'answer'; readonly answer: HttpAnswer }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

/** POSTs to an endpoint that a stranger named, over a connection of its own to an address that the guard has seen. */
export async function postGuarded(
  guard: EndpointGuard,
  endpoint: Endpoint,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
  options: PostLimits & { readonly authorities?: readonly string[] | undefined } = {},
): Promise<GuardedAnswer> {
  let addresses: readonly string[] | string;
  try {
    addresses = await within(guard.addressesOf(endpoint), options.resolveMs ?? RESOLVE_MS);
  } catch (error) {
    return { kind: 'failed', reason: `name: ${errorCode(error)}` };
  }
  if (typeof addresses === 'string') return { kind: 'refused', reason: addresses };
  let reason = 'no address';
  for (const ip of addresses.slice(0, MOST_TRIES)) {
    let socket: Socket;
    try {
      socket = await open(ip, endpoint, options.connectMs ?? CONNECT_MS, options.authorities);
    } catch (error) {
      reason = `connection: ${errorCode(error)}`;
      continue;
    }
    try {
      const answer = await exchange(
        {
          createConnection: () => socket,
          host: endpoint.host,
          port: endpoint.port,
          path: `${endpoint.url.pathname}${endpoint.url.search}`,
          headers: { ...headers, Host: endpoint.url.host, 'Content-Length': body.length, Connection: 'close' },
        },
        body,
        { totalMs: options.exchangeMs ?? EXCHANGE_MS, bodyBytes: MOST_BODY_BYTES },
      );
      return { kind: 'answer', answer };
    } catch (error) {
      return { kind: 'failed', reason: `exchange: ${errorCode(error)}` };
    } finally {
      socket.destroy();
    }
  }
  return { kind: 'failed', reason };
}

/** Connects to an address, never to a name. Rejects in time when it does not come about. */
function open(
  ip: string,
  endpoint: Endpoint,
  limitMs: number,
  authorities: readonly string[] | undefined,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const plain = connect({ host: formatIp(ip), port: endpoint.port });
    let socket: Socket = plain;
    const fail = (error: Error): void => {
      clearTimeout(timer);
      plain.destroy();
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(Object.assign(new Error('not in time'), { code: 'ETIMEDOUT' })), limitMs);
    // `fail` stays: a connection that breaks when nobody looks at it any more must not end the process.
    const ready = (): void => {
      clearTimeout(timer);
      resolve(socket);
    };
    plain.on('error', fail);
    if (!endpoint.isTls) {
      plain.on('connect', ready);
      return;
    }
    const isAddress = isIP(endpoint.host) !== 0;
    socket = connectTls({
      socket: plain,
      host: endpoint.host,
      ...(isAddress ? {} : { servername: endpoint.host }),
      ...(authorities === undefined ? {} : { ca: [...rootCertificates, ...authorities] }),
      ALPNProtocols: ['http/1.1'],
    });
    socket.on('error', fail);
    socket.on('secureConnect', ready);
  });
}

function within<T>(work: Promise<T>, limitMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(Object.assign(new Error('not in time'), { code: 'ETIMEOUT' })), limitMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
