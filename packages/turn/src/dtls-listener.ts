import type { Endpoint } from '@atoll/base';
import { createDtlsContext, type DtlsListener as DtlsSockets, openDtlsListener } from '@atoll/dtls';
import type { LoadedCertificate } from './certificate-files.js';
import type { ClientListener, ListenerPort } from './core/client.js';
import { BUFFER_BYTES } from './udp-listener.js';

export interface DtlsListenerOptions {
  readonly address: string;
  readonly port: number;
  readonly descriptor?: number | undefined;
  readonly certificate: LoadedCertificate;
  readonly ciphers?: string | undefined;
  /** Clients must show a certificate of these authorities (PEM). */
  readonly authorities?: string | undefined;
}

/** A DTLS 1.2 listener: one message in each record. */
export class DtlsListener implements ClientListener {
  readonly protocol = 'dtls';
  readonly isStream = false;
  readonly local: Endpoint;
  private readonly sockets: DtlsSockets;
  private readonly options: DtlsListenerOptions;
  private readonly target: { port: ListenerPort | undefined };

  private constructor(sockets: DtlsSockets, options: DtlsListenerOptions, target: { port: ListenerPort | undefined }) {
    this.sockets = sockets;
    this.local = sockets.local;
    this.options = options;
    this.target = target;
  }

  /** Binds; fails as `openDatagramSocket` does, with `DTLS_OFF` or `DTLS_SETTINGS`. */
  static async open(options: DtlsListenerOptions): Promise<DtlsListener> {
    const { address, port, descriptor } = options;
    const target: { port: ListenerPort | undefined } = { port: undefined };
    const sockets = await openDtlsListener(
      {
        context: contextOf(options, options.certificate),
        datagram: {
          family: address.includes(':') ? 6 : 4,
          address,
          port,
          descriptor,
          receiveBufferBytes: BUFFER_BYTES,
          sendBufferBytes: BUFFER_BYTES,
        },
      },
      {
        receive: (bytes, from) => target.port?.receive(bytes, from),
        closed: ({ peer }) => target.port?.closed(peer),
      },
    );
    return new DtlsListener(sockets, options, target);
  }

  setPort(port: ListenerPort): void {
    this.target.port = port;
  }

  /** A new certificate for the handshakes to come; sessions go on. */
  setCertificate(certificate: LoadedCertificate): void {
    this.sockets.server.setContext(contextOf(this.options, certificate));
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    this.sockets.send(bytes, to);
  }

  disconnect(client: Endpoint): void {
    this.sockets.server.sessionOf(client)?.close();
  }

  async close(): Promise<void> {
    this.target.port?.remove();
    await this.sockets.close();
  }
}

function contextOf({ ciphers, authorities }: DtlsListenerOptions, certificate: LoadedCertificate) {
  const { cert, key, passphrase } = certificate;
  return createDtlsContext({
    certificates: [{ certificate: cert, privateKey: key, passphrase }],
    ciphers,
    authorities,
  });
}
