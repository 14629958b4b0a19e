import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AtollError, type Logger, systemClock, systemRandom, UsageError } from '@atoll/base';
import type { DhtNode } from '@atoll/dht';
import { DhtProxy, DirectPushService, openProxyServer, pushSettings } from '@atoll/dht-proxy';
import type { HttpServer } from '@atoll/http';
import type { DhtnodeOptions } from './options.js';

/** What `--no-rate-limit` means to a proxy. */
const NO_RATE_LIMIT = { putsPerSecond: 0x4000_0000, putsPerSecondPerAddress: 0x4000_0000 };

/** The proxy servers of one node: any number of ports, which share their listens, puts and subscriptions. */
export class ProxyPorts {
  private readonly node: DhtNode;
  private readonly options: DhtnodeOptions;
  private readonly logger: Logger;
  private readonly servers = new Map<number, HttpServer>();
  private opened: Promise<DhtProxy> | undefined;
  private temporary: string | undefined;

  constructor(node: DhtNode, options: DhtnodeOptions, logger: Logger) {
    this.node = node;
    this.options = options;
    this.logger = logger;
  }

  /** Opens the ports that the options name. */
  async startAll(): Promise<void> {
    const { proxyPort, proxyTlsPort } = this.options;
    if (proxyPort !== undefined) await this.start(proxyPort, false);
    if (proxyTlsPort !== undefined) await this.start(proxyTlsPort, true);
  }

  async start(port: number, isTls: boolean): Promise<void> {
    const { proxyAddress, proxyCertificate, proxyPrivateKey, proxyPrivateKeyPassword } = this.options;
    if (this.servers.has(port)) throw new UsageError(`A proxy server runs on port ${port} already.`);
    const hosts = proxyAddress === undefined ? {} : { hosts: [proxyAddress] };
    if (!isTls) {
      await this.open({ ...hosts, port });
      return;
    }
    if (proxyCertificate === undefined || proxyPrivateKey === undefined) {
      throw new UsageError('A proxy server over TLS needs --proxy-certificate and --proxy-privkey.');
    }
    const password = proxyPrivateKeyPassword === undefined ? {} : { password: proxyPrivateKeyPassword };
    const certificate = { certificate: proxyCertificate, privateKey: proxyPrivateKey, ...password };
    await this.open({ ...hosts, port, certificate });
  }

  async stop(port: number): Promise<void> {
    const server = this.servers.get(port);
    if (server === undefined) throw new AtollError('PROXY_NOT_THERE', `No proxy server runs on port ${port}.`);
    this.servers.delete(port);
    await server.close(0);
  }

  async close(): Promise<void> {
    await (await this.opened)?.stop();
    await Promise.all([...this.servers.values()].map((server) => server.close()));
    if (this.temporary !== undefined) await rm(this.temporary, { recursive: true, force: true });
  }

  private async open(address: Parameters<typeof openProxyServer>[1]['listen'][number]): Promise<void> {
    this.opened ??= this.openProxy();
    const server = await openProxyServer(await this.opened, { listen: [address] });
    this.servers.set(address.port, server);
  }

  private async openProxy(): Promise<DhtProxy> {
    const { persist, bootstrap, peerDiscovery, pushServer, bundleId, noRateLimit } = this.options;
    if (persist === undefined) this.temporary = await mkdtemp(join(tmpdir(), 'atoll-proxy-'));
    const file = (name: string): string =>
      this.temporary === undefined ? `${persist}_proxy-${name}` : join(this.temporary, name);
    const push = new DirectPushService(
      {
        clock: systemClock,
        random: systemRandom,
        logger: this.logger,
        ownPorts: () => [this.node.ports.ipv4, this.node.ports.ipv6, ...this.servers.keys()],
      },
      pushSettings({ pushServer, bundleId }, { databasePath: file('push.db'), vapidKeyPath: file('push-key.pem') }),
    );
    const proxy = new DhtProxy(
      { node: () => this.node, push, logger: this.logger },
      {
        statePath: file('puts.db'),
        servesAlone: bootstrap === undefined && !peerDiscovery,
        ...(noRateLimit ? { limits: NO_RATE_LIMIT } : {}),
      },
    );
    await proxy.start();
    return proxy;
  }
}
