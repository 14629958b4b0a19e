import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { errorCode } from '@atoll/base';

const BUFFER_BYTES = 4 * 1024 * 1024;

/** A UDP socket connected to one place, so that the system tells when nothing listens there. */
export class ConnectedUdp {
  /** Hears each datagram. */
  onMessage: (bytes: Buffer) => void = () => {};
  /** Hears that nothing listens there (ICMP port unreachable). */
  onRefused: () => void = () => {};
  private readonly socket: Socket;
  private isClosed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('message', (bytes) => this.onMessage(bytes));
    socket.on('error', (error) => this.failed(error));
  }

  /** Resolves to undefined when there is no way to the place. */
  static open(host: string, port: number): Promise<ConnectedUdp | undefined> {
    return new Promise((resolve) => {
      const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
      socket.once('error', () => {
        socket.close();
        resolve(undefined);
      });
      socket.once('connect', () => {
        socket.removeAllListeners('error');
        widen(socket);
        resolve(new ConnectedUdp(socket));
      });
      socket.connect(port, host);
    });
  }

  get localAddress(): string {
    return this.socket.address().address;
  }

  get localPort(): number {
    return this.socket.address().port;
  }

  send(bytes: Uint8Array): void {
    if (!this.isClosed) this.socket.send(bytes, (error) => this.failed(error));
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private failed(error: Error | null): void {
    if (error !== null && errorCode(error) === 'ECONNREFUSED') this.onRefused();
  }
}

/** Room for bursts, where the system gives it. */
function widen(socket: Socket): void {
  try {
    socket.setRecvBufferSize(BUFFER_BYTES);
    socket.setSendBufferSize(BUFFER_BYTES);
  } catch {
    // The usual size does for all but the fastest streams.
  }
}

/** What came of asking: an answer, a refusal, or nothing. */
export type UdpOutcome = 'answered' | 'refused' | 'silent';

const RETRY_MS = 250;

/** Asks one place, again and again until there is an answer or the time is up. */
export async function askUdp(
  host: string,
  port: number,
  { bytes, isAnswer, limitMs }: { bytes: Uint8Array; isAnswer: (bytes: Buffer) => boolean; limitMs: number },
): Promise<UdpOutcome> {
  const socket = await ConnectedUdp.open(host, port);
  if (socket === undefined) return 'silent';
  using open = socket;
  // Awaited here, so that the socket stays open until then.
  return await new Promise<UdpOutcome>((resolve) => {
    const end = (outcome: UdpOutcome): void => {
      clearInterval(again);
      clearTimeout(late);
      resolve(outcome);
    };
    const again = setInterval(() => open.send(bytes), RETRY_MS);
    const late = setTimeout(() => end('silent'), limitMs);
    open.onMessage = (answer) => {
      if (isAnswer(answer)) end('answered');
    };
    open.onRefused = () => end('refused');
    open.send(bytes);
  });
}
