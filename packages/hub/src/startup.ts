import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@atoll/base';
import type { HubConfiguration } from './configuration.js';
import { DhtService } from './dht-service.js';
import { openPorts, type ReadyPorts } from './firewall/open-ports.js';
import { lanAddresses } from './lan-addresses.js';
import { NamesService } from './names-service.js';
import { type PortMapFacts, PortMapService } from './port-map-service.js';
import { ProxyService } from './proxy-service.js';
import { RUNNING_FILE } from './running-file.js';
import { StateDirectory, writeAtomically } from './state-directory.js';
import { type HubService, Supervisor } from './supervisor.js';
import { TurnService } from './turn-service.js';

/** What scripts read from the ready file (the command line's promise to them). */
export interface ReadyFacts {
  readonly version: string;
  readonly dht: {
    /** Address and port to enter as bootstrap. */
    readonly bootstrap: string;
    /** All addresses that lead here, the first one being `bootstrap`. */
    readonly addresses: readonly string[];
    readonly id: string;
    readonly network: number;
    readonly batched: boolean;
  };
  readonly proxy?: {
    /** What to enter as DHT proxy. */
    readonly url: string;
    readonly urlTls?: string;
  };
  readonly names?: {
    /** What to enter as name server. */
    readonly url: string;
    readonly urlTls?: string;
  };
  readonly turn?: {
    /** What to enter as TURN server: address, port, user, password and realm. */
    readonly host: string;
    readonly port: number;
    /** The port over TLS and DTLS. */
    readonly tlsPort?: number;
    readonly user: string;
    readonly password: string;
    readonly realm: string;
  };
  /** How the router lets people outside in, as it was at the start. */
  readonly portMap?: PortMapFacts;
}

/** A hub that runs. */
export interface RunningHub {
  readonly ready: ReadyFacts;
  stop(): Promise<void>;
}

export interface HubOptions {
  readonly version: string;
  /** Written once everything answers, removed at the stop. */
  readonly readyFile?: string | undefined;
  readonly logger: Logger;
  /** Services to run, by name; all that the configuration wants when left out. */
  readonly only?: readonly string[] | undefined;
}

/** Starts every service of a hub, one after the other; if one cannot be brought up, nothing is left running. */
export async function startHub(configuration: HubConfiguration, options: HubOptions): Promise<RunningHub> {
  const { logger, readyFile, version } = options;
  const state = await StateDirectory.take(configuration.state);
  const addresses = configuration.host.length > 0 ? configuration.host : lanAddresses();
  const parts = {
    logger,
    nowMs: () => performance.now(),
    wait: (ms: number, signal: AbortSignal) => sleep(ms, undefined, { signal }).catch(() => {}),
  };
  let dht: DhtService | undefined;
  const makeDht = (): HubService => {
    dht = new DhtService(configuration, state.file('dht-node'), addresses, logger);
    return dht;
  };
  const makeProxy = (): HubService =>
    new ProxyService({ state, logger, node: () => dht?.node }, configuration, addresses);
  const makeNames = (): HubService => new NamesService(configuration, state.file('names.db'), addresses, logger);
  const { certificate, privateKey } = configuration;
  const files = certificate === undefined || privateKey === undefined ? undefined : { certificate, privateKey };
  const makeTurn = (): HubService =>
    new TurnService(
      {
        state,
        logger,
        certificate: files && (() => files),
        addressesNow: configuration.host.length > 0 ? undefined : lanAddresses,
      },
      configuration,
      addresses,
    );
  const facts: Record<string, unknown> = { version };
  const makePortMap = (): HubService =>
    new PortMapService({ state, logger, ports: () => openPorts(configuration, facts as ReadyPorts) });
  const all: [name: string, isWanted: boolean, make: () => HubService][] = [
    ['dht', true, makeDht],
    ['proxy', configuration.proxy, makeProxy],
    ['names', configuration.names, makeNames],
    ['turn', configuration.turn, makeTurn],
    // The last one, because it maps what the others opened.
    ['portMap', configuration.portMap, makePortMap],
  ];
  const services = all.filter(([name, isWanted]) => isWanted && (options.only?.includes(name) ?? true));
  const running: Supervisor[] = [];
  const stop = async (): Promise<void> => {
    if (readyFile !== undefined) await rm(readyFile, { force: true });
    await rm(state.file(RUNNING_FILE), { force: true });
    for (const service of running.reverse()) await service.stop();
    await state.release();
  };
  try {
    for (const [name, , make] of services) {
      const service = new Supervisor(make, parts);
      running.push(service);
      facts[name] = await service.start();
      await service.probe();
    }
    const ready = facts as unknown as ReadyFacts;
    const told = { ...ready, bootstrap: configuration.bootstrap };
    await writeAtomically(state.file(RUNNING_FILE), `${JSON.stringify(told, undefined, 2)}\n`);
    if (readyFile !== undefined) await writeAtomically(readyFile, `${JSON.stringify(ready, undefined, 2)}\n`);
    return { ready, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
