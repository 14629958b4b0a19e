import type { Endpoint } from '@atoll/base';
import { ConnectedUdp } from '../probes/connected-udp.js';
import { TurnClient, type TurnCredential } from '../probes/turn-client.js';
import { openTurnLink } from '../probes/turn-link.js';
import { COOKIE_BYTES, decodeQuality, encodeQuality } from './core/quality-packet.js';

const ASK_EVERY_MS = 200;

/** A way on which packets go out and come back. */
export interface QualityWay {
  readonly name: 'direct' | 'turn';
  readonly cookie: Buffer;
  /** Hears each packet that comes back. The bytes are valid only during the call. */
  onMessage: (bytes: Buffer) => void;
  send(bytes: Uint8Array): void;
  close(): Promise<void>;
}

/** A pipe whose other side has not yet given its cookie. */
type Pipe = Omit<QualityWay, 'cookie'>;

/** Straight to a responder; undefined when it does not answer, or does not know the token. */
export async function openDirectWay(
  host: string,
  port: number,
  key: Buffer,
  limitMs: number,
): Promise<QualityWay | undefined> {
  const socket = await ConnectedUdp.open(host, port);
  if (socket === undefined) return undefined;
  const pipe: Pipe = {
    name: 'direct',
    onMessage: () => {},
    send: (bytes) => socket.send(bytes),
    close: async () => socket.close(),
  };
  socket.onMessage = (bytes) => pipe.onMessage(bytes);
  return withCookie(pipe, key, limitMs);
}

export interface TurnWayOptions {
  readonly host: string;
  readonly port: number;
  readonly credential: TurnCredential;
  /** The responder; without one, the relay's packets come straight back here: to the relay and back is the way then. */
  readonly responder: Endpoint | undefined;
}

/** Through a relay, to a responder or back here; undefined when there is no such way. */
export async function openTurnWay(
  options: TurnWayOptions,
  key: Buffer,
  limitMs: number,
): Promise<QualityWay | undefined> {
  const { host, port, credential, responder } = options;
  const link = await openTurnLink('UDP', host, port, limitMs);
  if (typeof link === 'string') return undefined;
  const client = new TurnClient(link, credential);
  const isAllocated = (await client.allocate(limitMs)) === 0;
  const { relayed, mapped } = client;
  if (!isAllocated || relayed === undefined || mapped === undefined) {
    await client.close();
    return undefined;
  }
  if (responder !== undefined) {
    const pipe: Pipe = {
      name: 'turn',
      onMessage: () => {},
      send: (bytes) => client.send(bytes),
      close: () => client.close(),
    };
    client.onData = (bytes) => pipe.onMessage(bytes);
    if ((await client.bind(responder, limitMs)) === 0) return withCookie(pipe, key, limitMs);
    await client.close();
    return undefined;
  }
  const socket = await ConnectedUdp.open(relayed.host, relayed.port);
  const isBound = socket !== undefined && (await client.bind(mapped.withPort(socket.localPort), limitMs)) === 0;
  if (!isBound) {
    socket?.close();
    await client.close();
    return undefined;
  }
  const way: QualityWay = {
    name: 'turn',
    cookie: Buffer.alloc(COOKIE_BYTES),
    onMessage: () => {},
    send: (bytes) => socket.send(bytes),
    async close() {
      socket.close();
      await client.close();
    },
  };
  client.onData = (bytes) => way.onMessage(bytes);
  return way;
}

/** Asks until the responder has shown that it hears us and has given its cookie. */
async function withCookie(pipe: Pipe, key: Buffer, limitMs: number): Promise<QualityWay | undefined> {
  const nothing = { stream: 0, sequence: 0, theirMs: 0, theirCount: 0, cookie: Buffer.alloc(COOKIE_BYTES) };
  const cookie = await new Promise<Buffer | undefined>((resolve) => {
    const ask = (): void => pipe.send(encodeQuality(key, { ...nothing, kind: 'hello' }));
    const end = (found: Buffer | undefined): void => {
      clearInterval(again);
      clearTimeout(late);
      resolve(found);
    };
    const again = setInterval(ask, ASK_EVERY_MS);
    const late = setTimeout(end, limitMs, undefined);
    pipe.onMessage = (bytes) => {
      const packet = decodeQuality(key, bytes);
      if (typeof packet !== 'string' && packet.kind === 'cookie') end(Buffer.from(packet.cookie));
    };
    ask();
  });
  if (cookie !== undefined) return Object.assign(pipe, { cookie });
  await pipe.close();
  return undefined;
}
