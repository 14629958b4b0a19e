import { createSocket } from 'node:dgram';
import { asBuffer, Endpoint, errorCode, formatIp } from '@atoll/base';
import { bindError } from './bind-error.js';
import type { DatagramHandler, DatagramOptions, DatagramSocket, DatagramStats } from './datagram-socket.js';
import { EndpointTable } from './endpoint-table.js';

/** Datagrams that wait in Node for the kernel to take them. */
const MAX_QUEUED = 8192;

/** A socket on `node:dgram`: works everywhere, one call to the kernel for each datagram. */
export function openNodeSocket(options: DatagramOptions, handler: DatagramHandler): Promise<DatagramSocket> {
  const { family, port, address } = options;
  const peers = new EndpointTable();
  const hosts = new WeakMap<Endpoint, string>();
  const socket = createSocket({
    type: family === 4 ? 'udp4' : 'udp6',
    ipv6Only: family === 6,
    // Only addresses are sent to: answering at once saves a turn of the event loop for each datagram.
    lookup: (host, _options, found) => found(null, host, family),
    ...(options.reusePort ? { reusePort: true } : {}),
    ...(options.receiveBufferBytes === undefined ? {} : { recvBufferSize: options.receiveBufferBytes }),
    ...(options.sendBufferBytes === undefined ? {} : { sendBufferSize: options.sendBufferBytes }),
  });
  const stats: DatagramStats = {
    receivedDatagrams: 0,
    receivedBytes: 0,
    receiveBatches: 0,
    sentDatagrams: 0,
    sentBytes: 0,
    droppedSends: 0,
    sendErrors: 0,
  };
  let queued = 0;
  let isClosed = false;
  socket.on('message', (bytes, from) => {
    const endpoint = peers.fromText(from.address, from.port);
    if (endpoint === undefined || isClosed) return;
    stats.receivedDatagrams++;
    stats.receivedBytes += bytes.length;
    stats.receiveBatches++;
    handler.receive(bytes, endpoint);
    handler.batchEnd?.();
  });
  const close = (): Promise<void> => {
    if (isClosed) return Promise.resolve();
    isClosed = true;
    return new Promise((resolve) => socket.close(resolve));
  };
  return new Promise((resolve, reject) => {
    const refuse = (cause: Error): void => {
      isClosed = true;
      socket.close();
      reject(bindError(cause, family, address, port));
    };
    socket.once('error', refuse);
    const { descriptor } = options;
    const place =
      descriptor === undefined
        ? { port, address: address ?? (family === 4 ? '0.0.0.0' : '::'), exclusive: true }
        : { fd: descriptor, exclusive: true };
    socket.bind(place, () => {
      socket.off('error', refuse);
      socket.on('error', () => stats.sendErrors++);
      const bound = socket.address();
      resolve({
        local: Endpoint.from(bound.address, bound.port) ?? new Endpoint('\0\0\0\0', bound.port),
        isBatched: false,
        stats,
        send(bytes, to) {
          if (isClosed) return;
          if (queued >= MAX_QUEUED) {
            stats.droppedSends++;
            return;
          }
          let host = hosts.get(to);
          if (host === undefined) {
            host = to.scopeId === 0 ? formatIp(to.ip) : to.host;
            hosts.set(to, host);
          }
          queued++;
          stats.sentDatagrams++;
          stats.sentBytes += bytes.length;
          socket.send(Buffer.from(asBuffer(bytes)), to.port, host, (error) => {
            queued--;
            if (error === null || error === undefined) return;
            stats.sendErrors++;
            handler.sendFailed?.(errorCode(error), to);
          });
        },
        flush() {},
        close,
        [Symbol.asyncDispose]: close,
      });
    });
  });
}
