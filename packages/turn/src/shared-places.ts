import { AtollError, type Family } from '@atoll/base';
import { bindShared, nativeGroup } from '@atoll/udp';
import { listenError } from './stream-listener.js';
import type { ListenerPlace, TurnServerOptions } from './turn-server.js';
import { BUFFER_BYTES } from './udp-listener.js';

/** Where a server listens, by protocol. */
export type ListenerPlaces = Pick<TurnServerOptions, 'udp' | 'tcp' | 'tls' | 'dtls' | 'proxiedTcp'>;

/**
 * Opens every listener once for each of `count` processes: the places that each of them listens on, with descriptors. The
 * sockets stay open here while processes come and go, so that no client is moved to another one because of it. Fails as
 * `TurnServer.open` does, and with `TURN_WORKERS_UNAVAILABLE` where the native part of UDP is missing.
 */
export function openShared(places: ListenerPlaces, count: number): ListenerPlaces[] {
  if (!nativeGroup.available) {
    throw new AtollError(
      'TURN_WORKERS_UNAVAILABLE',
      `Several processes cannot share a port: the native part of UDP is ${nativeGroup.reason ?? 'missing'}. Serve with one process.`,
    );
  }
  const open = (kind: 'udp' | 'tcp', what: string, place: ListenerPlace): ListenerPlace[] => {
    const { address, port } = place;
    const family: Family = address.includes(':') ? 6 : 4;
    try {
      const descriptors = bindShared(
        { kind, family, address, port, bufferBytes: kind === 'udp' ? BUFFER_BYTES : 0 },
        count,
      );
      return descriptors.map((descriptor) => ({ address, port, descriptor }));
    } catch (cause) {
      throw kind === 'udp' ? cause : listenError(cause, what, address, port);
    }
  };
  const udp = places.udp.map((place) => open('udp', 'UDP', place));
  const tcp = places.tcp.map((place) => open('tcp', 'TCP', place));
  const tls = places.tls.map((place) => open('tcp', 'TLS', place));
  const dtls = places.dtls.map((place) => open('udp', 'DTLS', place));
  const proxiedTcp = places.proxiedTcp.map((place) => open('tcp', 'TCP', place));
  const of = (all: readonly ListenerPlace[][], index: number): ListenerPlace[] =>
    all.flatMap((own) => own[index] ?? []);
  return Array.from({ length: count }, (_, index) => ({
    udp: of(udp, index),
    tcp: of(tcp, index),
    tls: of(tls, index),
    dtls: of(dtls, index),
    proxiedTcp: of(proxiedTcp, index),
  }));
}
