import { errorMessage, type Family, type Logger, Scheduler, systemClock, systemRandom } from '@atoll/base';
import { type MulticastSocket, openMulticastSocket } from '@atoll/udp';
import { type FoundHub, MDNS_PORT, Responder, type ResponderOptions } from './responder.js';

const GROUPS: Readonly<Record<Family, string>> = { 4: '224.0.0.251', 6: 'ff02::fb' };
/** Links and addresses are looked at so often, ms. */
const WATCH_MS = 5000;

export interface MdnsComponents {
  readonly logger: Logger;
  /** The name was taken, or changed. */
  readonly onName: (host: string) => void;
}

/** Multicast DNS on every link of the machine, beside other responders that share the port. */
export class Mdns {
  private readonly sockets: MulticastSocket[] = [];
  private readonly scheduler = new Scheduler((dueMs) => this.arm(dueMs));
  private readonly responder: Responder;
  private timer: NodeJS.Timeout | undefined;
  private readonly watch: NodeJS.Timeout;

  private constructor({ logger, onName }: MdnsComponents, options: ResponderOptions) {
    this.responder = new Responder(
      {
        clock: systemClock,
        random: systemRandom,
        scheduler: this.scheduler,
        sendToGroup: (bytes) => {
          for (const socket of this.sockets) socket.sendToGroup(bytes);
        },
        sendTo: (bytes, to) => this.sockets[to.family === 4 ? 0 : this.sockets.length - 1]?.sendTo(bytes, to),
        onName: (host) => {
          logger.info(`The hub is known as ${host} on this network.`);
          onName(host);
        },
      },
      options,
    );
    this.watch = setInterval(() => {
      for (const socket of this.sockets) socket.refresh();
    }, WATCH_MS);
    this.watch.unref();
  }

  /** Joins in both families; one that cannot be joined stays silent. */
  static async open(components: MdnsComponents, options: ResponderOptions): Promise<Mdns> {
    const mdns = new Mdns(components, options);
    for (const family of [4, 6] as const) {
      try {
        mdns.sockets.push(
          await openMulticastSocket(
            { family, group: GROUPS[family], port: MDNS_PORT },
            {
              receive: (bytes, from) => mdns.responder.receive(bytes, from),
              interfacesChanged: () => mdns.responder.connectivityChanged(),
            },
          ),
        );
      } catch (error) {
        components.logger.warn(`The hub has no name of its own over IPv${family}: ${errorMessage(error)}`);
      }
    }
    mdns.responder.start();
    return mdns;
  }

  get host(): string {
    return this.responder.host;
  }

  hubs(): FoundHub[] {
    return this.responder.hubs();
  }

  async close(): Promise<void> {
    clearInterval(this.watch);
    this.responder.stop();
    this.scheduler.clear();
    clearTimeout(this.timer);
    await Promise.all(this.sockets.map((socket) => socket.close()));
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
