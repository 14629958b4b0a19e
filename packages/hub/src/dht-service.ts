import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { AtollError, type Logger, systemClock } from '@atoll/base';
import { DhtNode, Value } from '@atoll/dht';
import { generateIdentity, type Identity, InfoHash, loadIdentity, saveIdentity } from '@atoll/identity';
import { type BridgeCounts, GenerationBridge } from './bridge/generation-bridge.js';
import type { HubConfiguration } from './configuration.js';
import type { HubService } from './supervisor.js';

/** The hub's DHT node: bootstrap of its LAN. */
export class DhtService implements HubService {
  readonly name = 'dht';
  readonly failed: Promise<never> = new Promise(() => {});
  private readonly configuration: HubConfiguration;
  private readonly statePath: string;
  private readonly addresses: readonly string[];
  private readonly logger: Logger;
  /** The node while it runs. */
  node: DhtNode | undefined;
  private bridge: GenerationBridge | undefined;

  /** `addresses`: what people are told, the first one in the ready file. */
  constructor(configuration: HubConfiguration, statePath: string, addresses: readonly string[], logger: Logger) {
    this.configuration = configuration;
    this.statePath = statePath;
    this.addresses = addresses;
    this.logger = logger;
  }

  async start(): Promise<Readonly<Record<string, unknown>>> {
    const { host, dhtPort, network, bootstrap, peerDiscovery, bridge, proxySign } = this.configuration;
    const node = await DhtNode.open({
      port: dhtPort,
      addresses: host,
      networkId: network,
      bootstrap,
      peerDiscovery,
      isBootstrap: true,
      statePath: this.statePath,
      // Of use to clients of the proxy alone; a node without one has nothing that could be stolen.
      identity: proxySign ? await this.ownIdentity() : undefined,
      logger: this.logger,
      onStored: (stored) => this.bridge?.stored(stored),
    });
    this.node = node;
    if (bridge) this.bridge = new GenerationBridge({ dht: node.core, clock: systemClock });
    const { ipv4, ipv6 } = node.ports;
    const addresses = this.addresses.map((address) =>
      address.includes(':') ? `[${address}]:${ipv6}` : `${address}:${ipv4}`,
    );
    return { bootstrap: addresses[0] ?? '', addresses, id: node.id.toString(), network, batched: node.isBatched };
  }

  /** A value goes in and comes out again. */
  async probe(): Promise<void> {
    const { node } = this;
    if (node === undefined) throw new AtollError('DHT_NOT_RUNNING', 'The DHT node is not running.');
    const key = InfoHash.of(randomBytes(20));
    const value = Value.plain({ id: 1n, data: randomBytes(8) });
    if (!node.core.storage.store(key, value, performance.now(), undefined)) {
      throw new AtollError('DHT_STORES_NOTHING', 'The DHT node stores nothing: its storage is full.');
    }
    try {
      const [found] = await node.get(key);
      if (found === undefined || !found.equals(value)) {
        throw new AtollError('DHT_STORES_NOTHING', 'The DHT node does not give back what it stored.');
      }
    } finally {
      node.core.storage.remove(key, 1n);
    }
  }

  /** What the bridge between the generations of Jami does; undefined when it is off. */
  get bridged(): BridgeCounts | undefined {
    return this.bridge?.counts;
  }

  /** The key pair of the node, made at the first start. */
  private async ownIdentity(): Promise<Identity> {
    const path = `${this.statePath}-identity`;
    if (!existsSync(`${path}.crt`)) await saveIdentity(path, await generateIdentity('Atoll DHT node', Date.now()));
    return loadIdentity(`${path}.crt`, `${path}.pem`);
  }

  async stop(): Promise<void> {
    this.bridge?.close();
    this.bridge = undefined;
    await this.node?.close();
    this.node = undefined;
  }
}
