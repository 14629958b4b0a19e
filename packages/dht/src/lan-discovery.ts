import { errorMessage, type Family, type Logger, Scheduler, systemClock } from '@atoll/base';
import { type MulticastSocket, openMulticastSocket } from '@atoll/udp';
import type { DhtCore } from './core/dht-core.js';
import { DHT_SERVICE, decodeDhtAnnouncement, encodeDhtAnnouncement } from './lan/announcement.js';
import { DISCOVERY_GROUPS, DISCOVERY_PORT, PeerDiscovery } from './lan/peer-discovery.js';

/** Links are looked for so often, ms. */
const WATCH_LINKS_MS = 5_000;

interface Station {
  readonly family: Family;
  readonly socket: MulticastSocket;
  readonly discovery: PeerDiscovery;
}

/** Makes a DHT node known on every link of the machine, and others known to it (protocol/peer-discovery.md 4). */
export class LanDiscovery {
  private readonly stations: Station[] = [];
  private readonly scheduler: Scheduler;
  private readonly watch: NodeJS.Timeout;
  private timer: NodeJS.Timeout | undefined;

  private constructor() {
    this.scheduler = new Scheduler((dueMs) => this.arm(dueMs));
    this.watch = setInterval(() => {
      for (const { socket } of this.stations) socket.refresh();
    }, WATCH_LINKS_MS);
    this.watch.unref();
  }

  /** Joins in both families that the node is bound in; a family that cannot be joined stays silent. */
  static async open(
    core: DhtCore,
    ports: { readonly ipv4: number; readonly ipv6: number },
    logger: Logger,
  ): Promise<LanDiscovery> {
    const lan = new LanDiscovery();
    for (const family of [4, 6] as const) {
      const port = family === 4 ? ports.ipv4 : ports.ipv6;
      if (port === 0) continue;
      try {
        lan.stations.push(await lan.join(family, port, core));
      } catch (error) {
        logger.warn(`Discovery on the LAN is off for IPv${family}: ${errorMessage(error)}`);
      }
    }
    return lan;
  }

  /** Asks and announces again, now and a few times more. */
  connectivityChanged(): void {
    for (const { socket, discovery } of this.stations) {
      socket.refresh();
      discovery.connectivityChanged();
    }
  }

  /** Somebody was found. */
  settle(): void {
    for (const { discovery } of this.stations) discovery.settle();
  }

  async close(): Promise<void> {
    clearInterval(this.watch);
    clearTimeout(this.timer);
    this.scheduler.clear();
    await Promise.all(this.stations.map(({ socket }) => socket.close()));
  }

  private async join(family: Family, port: number, core: DhtCore): Promise<Station> {
    let discovery: PeerDiscovery | undefined;
    const socket = await openMulticastSocket(
      { family, group: DISCOVERY_GROUPS[family], port: DISCOVERY_PORT },
      {
        receive: (bytes, from) => discovery?.receive(bytes, from),
        interfacesChanged: () => discovery?.connectivityChanged(),
      },
    );
    discovery = new PeerDiscovery({
      clock: systemClock,
      scheduler: this.scheduler,
      sendToGroup: (bytes) => socket.sendToGroup(bytes),
      sendTo: (bytes, to) => socket.sendTo(bytes, to),
    });
    discovery.discover(DHT_SERVICE, (object, from) => {
      const found = decodeDhtAnnouncement(object);
      if (found === undefined || found.networkId !== core.networkId) return;
      core.insertNode(found.id, from.withPort(found.port));
    });
    discovery.publish(DHT_SERVICE, encodeDhtAnnouncement({ id: core.id, port, networkId: core.networkId }));
    return { family, socket, discovery };
  }

  private arm(dueMs: number): void {
    clearTimeout(this.timer);
    if (dueMs === Number.POSITIVE_INFINITY) return;
    this.timer = setTimeout(
      () => {
        this.scheduler.runDue(systemClock.nowMs());
        this.arm(this.scheduler.nextDueMs);
      },
      Math.max(0, dueMs - systemClock.nowMs()),
    );
    this.timer.unref();
  }
}
