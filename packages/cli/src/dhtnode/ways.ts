import { type Logger, UsageError } from '@atoll/base';
import type { DhtNode } from '@atoll/dht';
import { ProxyClient, SwitchableBackend } from '@atoll/dht-proxy';
import type { Identity } from '@atoll/identity';
import type { DhtnodeOptions } from './options.js';

/** The ways of one `dhtnode` to the DHT: its node on UDP, or a proxy. Listens go on when it changes. */
export class Ways {
  readonly backend: SwitchableBackend;
  private readonly node: DhtNode;
  private readonly options: DhtnodeOptions;
  private readonly identity: Identity | undefined;
  private readonly logger: Logger;
  private client: ProxyClient | undefined;
  private hasJoined: boolean;

  constructor(node: DhtNode, options: DhtnodeOptions, identity: Identity | undefined, logger: Logger) {
    this.node = node;
    this.options = options;
    this.identity = identity;
    this.logger = logger;
    this.hasJoined = options.proxyClient === undefined;
    if (options.proxyClient !== undefined) this.client = this.connect(options.proxyClient, options.deviceKey);
    this.backend = new SwitchableBackend(this.client ?? node);
  }

  /** Goes on by a proxy; that of the options when none is named. */
  async useProxy(url = this.options.proxyClient, token = this.options.deviceKey): Promise<void> {
    if (url === undefined) throw new UsageError('Syntax: stt <url>, or start with --proxyclient.');
    const before = this.client;
    this.client = this.connect(url, token);
    this.backend.use(this.client);
    await before?.close();
  }

  /** Goes on by UDP. */
  async useNode(): Promise<void> {
    const { client } = this;
    if (!this.hasJoined) {
      this.hasJoined = true;
      if (this.options.bootstrap !== undefined) this.node.bootstrap(this.options.bootstrap);
      if (this.options.peerDiscovery) await this.node.setPeerDiscovery(true);
    }
    this.client = undefined;
    this.backend.use(this.node);
    await client?.close();
  }

  /** A push came, as a phone's system would hand it over. */
  pushReceived(data: Readonly<Record<string, string>>): void {
    this.client?.pushReceived(data);
  }

  async close(): Promise<void> {
    await this.client?.close();
  }

  private connect(url: string, token: string | undefined): ProxyClient {
    const push = token === undefined ? undefined : { token, platform: 'none' as const, topic: '', clientId: '' };
    return new ProxyClient({
      proxies: url,
      identity: this.identity,
      push,
      onConnectivity: (now) => this.logger.warn(`Connectivity changed: proxy: ${now}`),
    });
  }
}
