import { type Endpoint, Scheduler, systemClock, systemRandom } from '@atoll/base';
import { type DatagramOptions, type DatagramSocket, openDatagramSocket } from '@atoll/udp';
import { DtlsServer, type DtlsServerHandler, type DtlsServerOptions } from './core/server.js';

/** A DTLS server on a UDP socket of its own. */
export interface DtlsListener {
  readonly server: DtlsServer;
  readonly socket: DatagramSocket;
  readonly local: Endpoint;
  /** Encrypts and sends to an open session. The datagram leaves with the receive batch under way. */
  send(bytes: Uint8Array, to: Endpoint): boolean;
  /** Says close_notify to everybody and closes the socket. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface DtlsListenerOptions extends DtlsServerOptions {
  readonly datagram: DatagramOptions;
}

/** What a listener tells its owner. */
export interface DtlsListenerHandler extends DtlsServerHandler {
  /** A batch of received datagrams is through. */
  batchEnd?(): void;
}

/** Opens a socket and serves DTLS on it. Fails as `openDatagramSocket` does, or with `DTLS_OFF`. */
export async function openDtlsListener(
  options: DtlsListenerOptions,
  handler: DtlsListenerHandler,
): Promise<DtlsListener> {
  const clock = systemClock;
  let timer: NodeJS.Timeout | undefined;
  const arm = (dueMs: number): void => {
    clearTimeout(timer);
    if (dueMs === Number.POSITIVE_INFINITY) return;
    timer = setTimeout(
      () => {
        scheduler.runDue(clock.nowMs());
        arm(scheduler.nextDueMs);
      },
      Math.max(0, dueMs - clock.nowMs()),
    );
  };
  const scheduler = new Scheduler(arm);
  let socket: DatagramSocket | undefined;
  const server = new DtlsServer(
    { clock, scheduler, random: systemRandom, send: (bytes, to) => socket?.send(bytes, to) },
    options,
    handler,
  );
  const end = async (): Promise<void> => {
    server.close();
    scheduler.clear();
    clearTimeout(timer);
    await socket?.close();
  };
  try {
    socket = await openDatagramSocket(options.datagram, {
      receive: (bytes, from) => server.receive(bytes, from),
      ...(handler.batchEnd === undefined ? {} : { batchEnd: () => handler.batchEnd?.() }),
    });
  } catch (error) {
    await end();
    throw error;
  }
  const bound = socket;
  return {
    server,
    socket: bound,
    local: bound.local,
    send: (bytes, to) => server.send(bytes, to),
    close: end,
    [Symbol.asyncDispose]: end,
  };
}
