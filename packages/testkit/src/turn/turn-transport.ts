import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Endpoint, Scheduler, systemClock } from '@atoll/base';
import { createDtlsContext, type DtlsContext, DtlsEndpoint } from '@atoll/dtls';
import { StreamFramer } from '@atoll/stun';
import type { DatagramGroup } from '@atoll/udp';

/** How a TURN client reaches its server. */
export type TurnTransportKind = 'udp' | 'tcp' | 'tls' | 'dtls';

export interface TurnTransportHandler {
  /** One whole message, valid only during the call. */
  receive(bytes: Buffer): void;
  /** The server ended the connection. */
  closed?(): void;
}

/** The way of a TURN client's messages. */
export interface TurnTransport {
  readonly kind: TurnTransportKind;
  /** Whether messages may be lost on the way. */
  readonly isDatagram: boolean;
  send(message: Buffer): void;
  close(): void;
}

export interface TurnTransportOptions {
  readonly kind: TurnTransportKind;
  readonly server: Endpoint;
  /** Sockets of the clients over UDP and DTLS are opened in it. */
  readonly group: DatagramGroup;
  /** Address to send from. */
  readonly address?: string | undefined;
}

const BUFFER_BYTES = 1_000_000;
let context: DtlsContext | undefined;

/** Opens the way to a server; with TLS and DTLS when the handshake is through. Certificates are not checked. */
export async function openTurnTransport(
  options: TurnTransportOptions,
  handler: TurnTransportHandler,
): Promise<TurnTransport> {
  switch (options.kind) {
    case 'udp':
      return openUdp(options, handler);
    case 'dtls':
      return openDtls(options, handler);
    default:
      return openStream(options, handler);
  }
}

function openSocket({ server, group, address }: TurnTransportOptions, receive: (bytes: Buffer) => void) {
  const own = address ?? (server.family === 4 ? '0.0.0.0' : '::');
  return group.open(
    { family: server.family, address: own, port: 0, bufferBytes: BUFFER_BYTES },
    { receiveRange: (memory, start, end) => receive(memory.subarray(start, end)) },
  );
}

async function openUdp(options: TurnTransportOptions, handler: TurnTransportHandler): Promise<TurnTransport> {
  const socket = await openSocket(options, (bytes) => handler.receive(bytes));
  return {
    kind: 'udp',
    isDatagram: true,
    send: (message) => socket.sendRange(message, 0, message.length, options.server),
    close: () => socket.close(),
  };
}

async function openDtls(options: TurnTransportOptions, handler: TurnTransportHandler): Promise<TurnTransport> {
  context ??= createDtlsContext({});
  let timer: NodeJS.Timeout | undefined;
  const scheduler: Scheduler = new Scheduler((dueMs) => {
    clearTimeout(timer);
    timer = setTimeout(() => scheduler.runDue(systemClock.nowMs()), Math.max(1, dueMs - systemClock.nowMs()));
  });
  const socket = await openSocket(options, (bytes) => endpoint.receive(bytes));
  let opened: () => void = () => {};
  let refused: (error: Error) => void = () => {};
  const isOpen = new Promise<void>((resolve, reject) => {
    opened = resolve;
    refused = reject;
  });
  const endpoint = new DtlsEndpoint(
    { clock: systemClock, scheduler, send: (bytes) => socket.sendRange(bytes, 0, bytes.length, options.server) },
    { context, role: 'client' },
    {
      opened: () => opened(),
      receive: (bytes) => handler.receive(bytes),
      closed: (why, detail) => {
        refused(new Error(`DTLS ended: ${why} ${detail}`));
        handler.closed?.();
      },
    },
  );
  const close = (): void => {
    endpoint.close();
    scheduler.clear();
    clearTimeout(timer);
    socket.close();
  };
  endpoint.start();
  try {
    await isOpen;
  } catch (error) {
    close();
    throw error;
  }
  return { kind: 'dtls', isDatagram: true, send: (message) => void endpoint.send(message), close };
}

async function openStream(
  { kind, server, address }: TurnTransportOptions,
  handler: TurnTransportHandler,
): Promise<TurnTransport> {
  const place = { host: server.host, port: server.port, ...(address === undefined ? {} : { localAddress: address }) };
  const socket: Socket = kind === 'tcp' ? connectTcp(place) : connectTls({ ...place, rejectUnauthorized: false });
  await once(socket, kind === 'tcp' ? 'connect' : 'secureConnect');
  socket.setNoDelay(true);
  const framer = new StreamFramer();
  socket.on('data', (chunk: Buffer) => {
    framer.push(chunk, (message) => {
      handler.receive(message);
      return true;
    });
  });
  socket.on('error', () => {});
  socket.on('close', () => handler.closed?.());
  return { kind, isDatagram: false, send: (message) => void socket.write(message), close: () => socket.destroy() };
}
