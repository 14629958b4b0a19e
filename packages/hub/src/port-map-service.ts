import { errorMessage, type Logger } from '@atoll/base';
import { findGateway, type Mapping, PortMapper, type WayOutside, wayOutside } from '@atoll/port-mapping';
import { isMappable, type OpenPort, PORT_PURPOSES } from './firewall/open-ports.js';
import { PortMapMemory } from './port-map-memory.js';
import type { StateDirectory } from './state-directory.js';
import type { HubService } from './supervisor.js';

/** What the ready file says of port mapping; `problem` where it came to nothing, which is tried again all the time. */
export interface PortMapFacts extends Partial<WayOutside> {
  readonly mappings: readonly Mapping[];
  readonly problem?: string;
}

export interface PortMapServiceComponents {
  readonly state: StateDirectory;
  readonly logger: Logger;
  readonly ports: () => readonly OpenPort[];
}

/** Has the router map the hub's ports while the hub runs. A router that is away is waited for: the LAN goes on without. */
export class PortMapService implements HubService {
  readonly name = 'portMap';
  readonly failed: Promise<never> = new Promise(() => {});
  private readonly parts: PortMapServiceComponents;
  private mapper: PortMapper | undefined;

  constructor(parts: PortMapServiceComponents) {
    this.parts = parts;
  }

  async start(): Promise<Readonly<Record<string, unknown>>> {
    const { state, logger, ports } = this.parts;
    const memory = await PortMapMemory.open(state.path);
    const mapper = new PortMapper({
      ports: ports()
        .filter(isMappable)
        .map(({ use, transport, from }) => ({ transport, port: from, description: `Atoll ${PORT_PURPOSES[use]}` })),
      find: () => findGateway({ key: memory.key }),
      logger,
      onMapped: (_gateway, mappings) => {
        memory.remember(mappings).catch((error: unknown) => logger.warn(errorMessage(error)));
      },
      onUnmapped: (mappings) => memory.forget(mappings),
    });
    this.mapper = mapper;
    await mapper.start();
    return { ...(await this.facts(mapper)) };
  }

  /** What a router does is not for the hub to answer for. */
  async probe(): Promise<void> {}

  async stop(): Promise<void> {
    await this.mapper?.stop();
    this.mapper = undefined;
  }

  private async facts({ router, mappings, problem }: PortMapper): Promise<PortMapFacts> {
    const said = problem === undefined ? { mappings } : { mappings, problem: problem.message };
    if (router === undefined) return said;
    const way = await wayOutside(router);
    if (way.next !== 'internet') {
      this.parts.logger.warn(`The router ${way.router} is not on the Internet itself: “atoll portmap list” says more.`);
    }
    return { ...way, ...said };
  }
}
