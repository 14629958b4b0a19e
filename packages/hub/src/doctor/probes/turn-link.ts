import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { errorCode, Scheduler, systemClock } from '@atoll/base';
import { createDtlsContext, DtlsEndpoint } from '@atoll/dtls';
import { StreamFramer } from '@atoll/stun';
import { ConnectedUdp } from './connected-udp.js';

/** How a client reaches a TURN server. */
export type TurnTransport = 'UDP' | 'TCP' | 'TLS' | 'DTLS';

/** A way to a TURN server that carries whole messages. */
export interface TurnLink {
  readonly transport: TurnTransport;
  /** Hears each message. The bytes are valid only during the call. */
  onMessage: (bytes: Buffer) => void;
  /** Hears that nothing listens there, or that the server hung up. */
  onEnd: () => void;
  send(bytes: Uint8Array): void;
  close(): void;
}

/** Opens a way to a TURN server; certificates are not judged (their own check does). */
export async function openTurnLink(
  transport: TurnTransport,
  host: string,
  port: number,
  limitMs: number,
): Promise<TurnLink | 'refused' | 'silent'> {
  if (transport === 'TCP' || transport === 'TLS') return openStream(transport, host, port, limitMs);
  const socket = await ConnectedUdp.open(host, port);
  if (socket === undefined) return 'silent';
  if (transport === 'DTLS') return openDtls(socket, limitMs);
  const link: TurnLink = {
    transport,
    onMessage: () => {},
    onEnd: () => {},
    send: (bytes) => socket.send(bytes),
    close: () => socket.close(),
  };
  socket.onMessage = (bytes) => link.onMessage(bytes);
  socket.onRefused = () => link.onEnd();
  return link;
}

function openStream(
  transport: 'TCP' | 'TLS',
  host: string,
  port: number,
  limitMs: number,
): Promise<TurnLink | 'refused' | 'silent'> {
  return new Promise((resolve) => {
    const isTls = transport === 'TLS';
    const socket: Socket = isTls ? connectTls({ host, port, rejectUnauthorized: false }) : connectTcp({ host, port });
    const fail = (outcome: 'refused' | 'silent'): void => {
      clearTimeout(late);
      socket.destroy();
      resolve(outcome);
    };
    const late = setTimeout(() => fail('silent'), limitMs);
    socket.on('error', (error) => fail(errorCode(error) === 'ECONNREFUSED' ? 'refused' : 'silent'));
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      clearTimeout(late);
      const link: TurnLink = {
        transport,
        onMessage: () => {},
        onEnd: () => {},
        send: (bytes) => socket.write(bytes),
        close: () => socket.destroy(),
      };
      const framer = new StreamFramer();
      socket.on('data', (bytes: Buffer) => {
        const isStun = framer.push(bytes, (frame) => {
          link.onMessage(frame);
          return true;
        });
        if (!isStun) socket.destroy();
      });
      socket.on('close', () => link.onEnd());
      resolve(link);
    });
  });
}

function openDtls(socket: ConnectedUdp, limitMs: number): Promise<TurnLink | 'refused' | 'silent'> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const scheduler = new Scheduler((dueMs) => {
      clearTimeout(timer);
      timer = setTimeout(run, Math.max(0, dueMs - systemClock.nowMs()));
    });
    const run = (): void => {
      scheduler.runDue(systemClock.nowMs());
      clearTimeout(timer);
      const waitMs = scheduler.nextDueMs - systemClock.nowMs();
      if (Number.isFinite(waitMs)) timer = setTimeout(run, Math.max(0, waitMs));
    };
    const close = (): void => {
      clearTimeout(timer);
      scheduler.clear();
      socket.close();
    };
    const fail = (outcome: 'refused' | 'silent'): void => {
      clearTimeout(late);
      close();
      resolve(outcome);
    };
    const late = setTimeout(() => fail('silent'), limitMs);
    const link: TurnLink = {
      transport: 'DTLS',
      onMessage: () => {},
      onEnd: () => {},
      send: (bytes) => endpoint.send(bytes),
      close,
    };
    const endpoint = new DtlsEndpoint(
      { clock: systemClock, scheduler, send: (bytes) => socket.send(bytes) },
      { context: createDtlsContext({}), role: 'client', handshakeMs: limitMs },
      {
        opened() {
          clearTimeout(late);
          resolve(link);
        },
        receive: (bytes) => link.onMessage(bytes),
        closed() {
          fail('silent');
          link.onEnd();
        },
      },
    );
    socket.onMessage = (bytes) => endpoint.receive(bytes);
    socket.onRefused = () => fail('refused');
    endpoint.start();
  });
}
