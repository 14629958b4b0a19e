import { randomBytes } from 'node:crypto';
import {
  type Clock,
  type Endpoint,
  type Logger,
  parseIp,
  type RandomSource,
  systemClock,
  systemRandom,
} from '@atoll/base';
import { type DatagramGroup, openDatagramGroup } from '@atoll/udp';
import { type CertificateFiles, type LoadedCertificate, loadCertificate } from './certificate-files.js';
import type { ClientListener, ListenerPort } from './core/client.js';
import type { Counters, Traffic } from './core/counters.js';
import type { CredentialStore } from './core/credentials.js';
import { DEFAULT_TURN_OPTIONS, type TurnOptions } from './core/options.js';
import { type AddressRange, PeerRules } from './core/peer-rules.js';
import { type RealmOptions, Realms } from './core/realms.js';
import { TurnCore } from './core/turn-core.js';
import { DtlsListener } from './dtls-listener.js';
import { Relays } from './relays.js';
import { StreamListener } from './stream-listener.js';
import { UdpListener } from './udp-listener.js';

/** How long a connection may be without an allocation, ms (coturn's max-allocate-timeout). */
export const DEFAULT_IDLE_MS = 60_000;
const MAX_TIMER_MS = 60_000;

export interface ListenerPlace {
  readonly address: string;
  readonly port: number;
}

export interface TlsSettings extends CertificateFiles {
  readonly ciphers?: string | undefined;
  readonly ecdhCurve?: string | undefined;
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** Clients must show a certificate of these authorities (PEM). */
  readonly authorities?: string | undefined;
}

export interface TurnServerOptions {
  readonly udp: readonly ListenerPlace[];
  readonly tcp: readonly ListenerPlace[];
  readonly tls: readonly ListenerPlace[];
  /** DTLS listeners; where the native part of DTLS is missing they cannot be opened. */
  readonly dtls: readonly ListenerPlace[];
  /** TCP listeners behind a load balancer that speaks the PROXY protocol. */
  readonly proxiedTcp: readonly ListenerPlace[];
  readonly certificate?: TlsSettings | undefined;
  readonly relayAddresses: readonly string[];
  readonly externalAddresses: ReadonlyMap<string, string>;
  readonly minPort: number;
  readonly maxPort: number;
  readonly realm: string;
  readonly realmDefaults: RealmOptions;
  readonly bpsCapacity: number;
  readonly allowedPeers: readonly AddressRange[];
  readonly deniedPeers: readonly AddressRange[];
  readonly allowsLoopbackPeers: boolean;
  readonly allowsMulticastPeers: boolean;
  readonly idleMs: number;
  readonly behavior: Partial<TurnOptions>;
  /** Seals nonces; random when left out. */
  readonly nonceSecret?: Uint8Array | undefined;
  /** Several processes share the UDP ports. */
  readonly reusePort?: boolean;
}

export interface TurnServerComponents {
  readonly logger: Logger;
  readonly credentials: CredentialStore;
  readonly clock?: Clock;
  readonly random?: RandomSource;
}

/** Options of a server that is told nothing but where to listen and its realm. */
export function turnServerDefaults(realm: string): TurnServerOptions {
  return {
    udp: [],
    tcp: [],
    tls: [],
    dtls: [],
    proxiedTcp: [],
    relayAddresses: [],
    externalAddresses: new Map(),
    minPort: 49_152,
    maxPort: 65_535,
    realm,
    realmDefaults: { userQuota: 0, totalQuota: 0, maxBps: 0 },
    bpsCapacity: 0,
    allowedPeers: [],
    deniedPeers: [],
    allowsLoopbackPeers: false,
    allowsMulticastPeers: false,
    idleMs: DEFAULT_IDLE_MS,
    behavior: {},
  };
}

/** A TURN and STUN server on sockets of this machine. */
export class TurnServer {
  readonly realms: Realms;
  readonly peerRules: PeerRules;
  private readonly core: TurnCore;
  private readonly relays: Relays;
  private readonly group: DatagramGroup;
  private readonly options: TurnServerOptions;
  private readonly clock: Clock;
  private readonly udp: UdpListener[] = [];
  private readonly streams: StreamListener[] = [];
  private readonly dtls: DtlsListener[] = [];
  private timer: NodeJS.Timeout | undefined;
  private isClosed = false;
  /** The one in use: another after it was replaced. */
  private certificate: TlsSettings | undefined;

  private constructor(components: TurnServerComponents, options: TurnServerOptions) {
    const { clock = systemClock, random = systemRandom, logger, credentials } = components;
    this.options = options;
    this.certificate = options.certificate;
    this.clock = clock;
    this.group = openDatagramGroup();
    this.realms = new Realms(options.realm, options.realmDefaults);
    this.peerRules = new PeerRules({
      allowed: options.allowedPeers,
      denied: options.deniedPeers,
      allowsLoopback: options.allowsLoopbackPeers,
      allowsMulticast: options.allowsMulticastPeers,
    });
    const places = [...options.udp, ...options.tcp, ...options.tls, ...options.dtls, ...options.proxiedTcp];
    this.relays = new Relays(
      { group: this.group, random },
      {
        min: options.minPort,
        max: options.maxPort,
        addresses: options.relayAddresses,
        listening: [...new Set(places.map(({ address }) => address))],
        external: options.externalAddresses,
      },
    );
    this.core = new TurnCore(
      {
        clock,
        random,
        logger,
        credentials,
        relays: this.relays,
        realms: this.realms,
        peerRules: this.peerRules,
        onEarlier: (dueMs) => this.arm(dueMs),
      },
      {
        ...DEFAULT_TURN_OPTIONS,
        ...options.behavior,
        nonceSecret: options.nonceSecret ?? randomBytes(32),
        bpsCapacity: options.bpsCapacity,
      },
    );
    this.arm(this.core.scheduler.nextDueMs);
  }

  /**
   * Opens every listener, or none: fails with the sentence of the first that cannot be opened, or with that of a
   * certificate which cannot be used.
   */
  static async open(components: TurnServerComponents, options: TurnServerOptions): Promise<TurnServer> {
    const server = new TurnServer(components, options);
    try {
      await server.listen(options);
      return server;
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  /** Addresses and ports of the listeners, by protocol. */
  get listeners(): readonly { readonly protocol: string; readonly local: Endpoint }[] {
    return this.all.map(({ protocol, local }) => ({ protocol, local }));
  }

  get isNative(): boolean {
    return this.group.isNative;
  }

  get allocations(): number {
    return this.core.allocations;
  }

  /** When a request of an address came last, ms of the clock; undefined when long ago or never. */
  heardMs(address: string): number | undefined {
    const ip = parseIp(address);
    return ip === undefined ? undefined : this.core.heardMs(ip);
  }

  /** What was counted, for metrics. */
  statistics(): {
    counters: Readonly<Counters>;
    traffic: { clients: Traffic; peers: Traffic };
    allocations: ReadonlyMap<string, number>;
  } {
    return {
      counters: this.core.counters,
      traffic: this.core.traffic(),
      allocations: this.core.allocationsByProtocol(),
    };
  }

  /** Adds a listener of another kind (DTLS): its messages go into the port that is returned. */
  addListener(listener: ClientListener): ListenerPort {
    return this.core.addListener(listener);
  }

  /**
   * Reads the certificate again, or takes another; sessions go on. Throws, and keeps the old one, when the new one is
   * unusable.
   */
  reloadCertificate(files?: CertificateFiles): LoadedCertificate | undefined {
    if (this.certificate === undefined) return undefined;
    const certificate = { ...this.certificate, ...files };
    const loaded = loadCertificate(certificate, this.clock.unixMs());
    this.certificate = certificate;
    for (const listener of this.streams) listener.setCertificate(secureOptions(certificate, loaded));
    for (const listener of this.dtls) listener.setCertificate(loaded);
    return loaded;
  }

  /** Listens at a further address, at the ports of the others. Fails as `open` does, and leaves nothing of it open. */
  async addAddress(address: string): Promise<void> {
    const at = (protocol: string): ListenerPlace[] => {
      const other = this.all.find((listener) => listener.protocol === protocol);
      return other === undefined ? [] : [{ address, port: other.local.port }];
    };
    this.relays.addAddress(address);
    try {
      await this.listen({ udp: at('udp'), tcp: at('tcp'), tls: at('tls'), dtls: at('dtls'), proxiedTcp: [] });
    } catch (error) {
      await this.removeAddress(address);
      throw error;
    }
    if (this.isClosed) await this.removeAddress(address);
  }

  /** Closes the listeners of an address that this machine no longer has; their sessions end. */
  async removeAddress(address: string): Promise<void> {
    this.relays.removeAddress(address);
    const closing: Promise<void>[] = [];
    for (const listeners of [this.udp, this.streams, this.dtls]) {
      for (const listener of listeners.filter(({ local }) => local.host === address)) {
        (listeners as unknown[]).splice((listeners as unknown[]).indexOf(listener), 1);
        closing.push(Promise.resolve(listener.close()));
      }
    }
    await Promise.all(closing);
  }

  /** No new allocations; resolves when the last one ended or the signal says to go. */
  async drain(signal: AbortSignal): Promise<void> {
    this.core.drain();
    while (this.core.allocations > 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        signal.addEventListener(
          'abort',
          () => {
            clearTimeout(timer);
            resolve();
          },
          { once: true },
        );
      });
    }
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    clearTimeout(this.timer);
    await Promise.all(this.all.map((listener) => listener.close()));
    this.core.close();
    this.group.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async listen(places: Pick<TurnServerOptions, 'udp' | 'tcp' | 'tls' | 'dtls' | 'proxiedTcp'>): Promise<void> {
    const { udp, tcp, tls, dtls, proxiedTcp } = places;
    const { idleMs } = this.options;
    const { certificate } = this;
    const isSecure = tls.length + dtls.length > 0;
    const loaded =
      isSecure && certificate !== undefined ? loadCertificate(certificate, this.clock.unixMs()) : undefined;
    const reusePort = this.options.reusePort ?? false;
    for (const place of udp) this.addUdp(await UdpListener.open(this.group, { ...place, reusePort }));
    const secure = certificate === undefined || loaded === undefined ? undefined : secureOptions(certificate, loaded);
    const alsoTls = tls.length > 0 ? secure : undefined;
    for (const place of tcp) this.addStream(await StreamListener.open({ ...place, idleMs, alsoTls }));
    for (const place of proxiedTcp) {
      this.addStream(await StreamListener.open({ ...place, idleMs, expectsProxyHeader: true }));
    }
    if (certificate === undefined || loaded === undefined || secure === undefined) return;
    for (const place of tls) {
      const listener = await StreamListener.open({ ...place, idleMs, tls: secure });
      this.addStream(listener);
    }
    const { ciphers, authorities } = certificate;
    for (const place of dtls) {
      const listener = await DtlsListener.open({ ...place, certificate: loaded, ciphers, authorities });
      this.dtls.push(listener);
      listener.setPort(this.core.addListener(listener));
    }
  }

  private get all(): readonly (UdpListener | StreamListener | DtlsListener)[] {
    return [...this.udp, ...this.streams, ...this.dtls];
  }

  private addUdp(listener: UdpListener): void {
    this.udp.push(listener);
    listener.setPort(this.core.addListener(listener));
  }

  private addStream(listener: StreamListener): void {
    this.streams.push(listener);
    listener.setPort(this.core.addListener(listener));
  }

  private arm(dueMs: number): void {
    clearTimeout(this.timer);
    if (this.isClosed || dueMs === Number.POSITIVE_INFINITY) return;
    const waitMs = Math.min(MAX_TIMER_MS, Math.max(0, dueMs - this.clock.nowMs()));
    this.timer = setTimeout(() => {
      this.core.scheduler.runDue(this.clock.nowMs());
      this.arm(this.core.scheduler.nextDueMs);
    }, waitMs);
  }
}

function secureOptions(settings: TlsSettings, { cert, key, passphrase }: LoadedCertificate) {
  return {
    cert,
    key,
    minVersion: settings.minVersion ?? ('TLSv1.2' as const),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(settings.ciphers === undefined ? {} : { ciphers: settings.ciphers }),
    ...(settings.ecdhCurve === undefined ? {} : { ecdhCurve: settings.ecdhCurve }),
    ...(settings.authorities === undefined
      ? {}
      : { ca: settings.authorities, requestCert: true, rejectUnauthorized: true }),
  };
}
