import { errorMessage, type Logger } from '@atoll/base';
import { type AddressKind, addressKind, findGateway, type Mapping, PortMapper } from '@atoll/port-mapping';
import { isMappable, type OpenPort, PORT_PURPOSES } from './firewall/open-ports.js';
import { PortMapMemory } from './port-map-memory.js';
import type { StateDirectory } from './state-directory.js';
import type { HubService } from './supervisor.js';

/** What the ready file says of port mapping; `problem` where it came to nothing, which is tried again all the time. */
export interface PortMapFacts {
  readonly router?: string;
  readonly method?: string;
  readonly externalAddress?: string;
  readonly externalAddressKind?: AddressKind;
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
    if (router === undefined) return { mappings, ...(problem === undefined ? {} : { problem: problem.message }) };
    const { address, method } = router;
    const external = await router.externalAddress().catch(() => undefined);
    if (external === undefined) return { router: address, method, mappings };
    const kind = addressKind(external);
    if (kind !== 'public') {
      this.parts.logger.warn(
        `The router ${address} is not on the Internet itself (${external}): “atoll portmap list” says what to do.`,
      );
    }
    return { router: address, method, externalAddress: external, externalAddressKind: kind, mappings };
  }
}
