import { randomBytes } from 'node:crypto';
import { AtollError, type Logger, systemClock, systemRandom } from '@atoll/base';
import type { DhtNode } from '@atoll/dht';
import { DhtProxy, DirectPushService, openProxyServer, pushSettings } from '@atoll/dht-proxy';
import type { HttpServer } from '@atoll/http';
import type { HubCertificate } from './authority/hub-certificate.js';
import type { HubConfiguration } from './configuration.js';
import type { StateDirectory } from './state-directory.js';
import type { HubService } from './supervisor.js';

/** A probe's value is stored for one minute only (protocol/dht.md 12.1). */
const SHORT_LIVED_TYPE = 5;
const PROBE_LIMIT_MS = 20_000;

export interface ProxyServiceComponents {
  readonly state: StateDirectory;
  readonly logger: Logger;
  /** The hub's node, which its supervisor may replace. */
  readonly node: () => DhtNode | undefined;
  /** What it shows over TLS; without one there is no TLS. */
  readonly certificate: HubCertificate | undefined;
}

/** The hub's DHT proxy: what phones use instead of a node of their own. */
export class ProxyService implements HubService {
  readonly name = 'proxy';
  readonly failed: Promise<never> = new Promise(() => {});
  private readonly parts: ProxyServiceComponents;
  private readonly configuration: HubConfiguration;
  private readonly addresses: readonly string[];
  private unsubscribe: (() => void) | undefined;
  private proxy: DhtProxy | undefined;
  /** The ports while it runs. */
  server: HttpServer | undefined;

  /** `addresses`: what people are told, the first one in the ready file. */
  constructor(parts: ProxyServiceComponents, configuration: HubConfiguration, addresses: readonly string[]) {
    this.parts = parts;
    this.configuration = configuration;
    this.addresses = addresses;
  }

  async start(): Promise<Readonly<Record<string, unknown>>> {
    const { state, logger, node, certificate } = this.parts;
    const { host, bootstrap, proxyPort, proxyTlsPort, proxyClientAuthority } = this.configuration;
    const files = { databasePath: state.file('push.db'), vapidKeyPath: state.file('push-key.pem') };
    const push = new DirectPushService(
      { clock: systemClock, random: systemRandom, logger, ownPorts: () => this.ownPorts() },
      pushSettings(this.configuration, files),
    );
    // The only node of a LAN serves its phones all the same; one that was told of others has to find them.
    const servesAlone = bootstrap.length === 0;
    const options = { statePath: state.file('proxy.db'), servesAlone, isIdentityOpen: this.configuration.proxySign };
    const proxy = new DhtProxy({ node, push, logger }, options);
    this.proxy = proxy;
    const plain = { hosts: host, port: proxyPort };
    const secure =
      certificate === undefined
        ? []
        : [
            {
              hosts: host,
              port: proxyTlsPort,
              certificate: {
                certificate: certificate.current().certificate,
                privateKey: certificate.current().privateKey,
                ...(proxyClientAuthority === undefined
                  ? {}
                  : { clientCertificates: 'required' as const, clientAuthority: proxyClientAuthority }),
              },
            },
          ];
    await proxy.start();
    const server = await openProxyServer(proxy, { listen: [plain, ...secure] });
    this.server = server;
    this.unsubscribe = certificate?.onChange(() => void server.reloadCertificates());
    const tlsPort = this.server.port(true);
    return {
      url: this.url('http', this.server.port() ?? 0),
      ...(tlsPort === undefined ? {} : { urlTls: this.url('https', tlsPort) }),
    };
  }

  /** A value goes in and comes out again; a proxy that says that its node cannot is well, too. */
  async probe(): Promise<void> {
    const listening = this.server?.addresses.find(({ isSecure }) => !isSecure);
    if (listening === undefined) throw new AtollError('PROXY_NOT_RUNNING', 'The DHT proxy is not running.');
    const host = listening.host === '::' || listening.host === '0.0.0.0' ? '127.0.0.1' : listening.host;
    const url = `http://${host.includes(':') ? `[${host}]` : host}:${listening.port}/key/${randomBytes(20).toString('hex')}`;
    const signal = AbortSignal.timeout(PROBE_LIMIT_MS);
    const value = JSON.stringify({ id: '1', type: SHORT_LIVED_TYPE, data: randomBytes(9).toString('base64') });
    const put = await fetch(url, { method: 'POST', body: value, signal });
    await put.text();
    if (put.status === 503) return;
    const got = await (await fetch(url, { signal })).text();
    if (put.status !== 200 || !got.includes('"id":"1"')) {
      throw new AtollError('PROXY_STORES_NOTHING', 'The DHT proxy does not give back what was put through it.');
    }
  }

  /** What it has to do now. */
  get counts(): { readonly clients: number; readonly listens: number; readonly pushSubscriptions: number } {
    return {
      // The probe's own connection is nobody's.
      clients: (this.server?.clients ?? 0) - (this.server?.heardMs('127.0.0.1') === Number.POSITIVE_INFINITY ? 1 : 0),
      listens: this.proxy?.keeper.listens.total ?? 0,
      pushSubscriptions: this.proxy?.push?.stats.tokens ?? 0,
    };
  }

  async stop(): Promise<void> {
    this.unsubscribe?.();
    await this.proxy?.stop();
    await this.server?.close();
    this.proxy = undefined;
    this.server = undefined;
  }

  private url(scheme: string, port: number): string {
    const address = this.addresses[0] ?? '127.0.0.1';
    return `${scheme}://${address.includes(':') ? `[${address}]` : address}:${port}`;
  }

  private ownPorts(): number[] {
    const { dhtPort, proxyPort, proxyTlsPort } = this.configuration;
    const open = this.server?.addresses.map(({ port }) => port) ?? [];
    return [dhtPort, proxyPort, proxyTlsPort, ...open].filter((port) => port !== 0);
  }
}
