import { type Family, splitHostPort, UsageError } from '@atoll/base';
import { DEFAULT_TURN_OPTIONS, type TurnServerOptions, turnServerDefaults } from '@atoll/turn';
import type { HubConfiguration } from '../configuration.js';
import { MDNS_PORT } from '../mdns/responder.js';
import type { ReadyFacts } from '../ready-facts.js';

/** UDP port of peer discovery, on both sides (protocol/peer-discovery.md 1). */
const DISCOVERY_PORT = 8888;

export type PortUse =
  | 'dht'
  | 'discovery'
  | 'proxy'
  | 'names'
  | 'turn'
  | 'turn-tls'
  | 'relay'
  | 'portal'
  | 'acme'
  | 'mdns';

/** Ports on which strangers have to reach this machine. */
export interface OpenPort {
  readonly use: PortUse;
  readonly transport: 'udp' | 'tcp';
  /** First and last port, the same for a single one. */
  readonly from: number;
  readonly to: number;
  readonly families: readonly Family[];
}

/** What stands in comments of rules, in English as such comments do: ASCII, no quotes. */
export const PORT_PURPOSES: Readonly<Record<PortUse, string>> = {
  dht: 'DHT node',
  discovery: 'discovery on the LAN, multicast and its answers',
  proxy: 'DHT proxy for phones',
  names: 'name server',
  turn: 'TURN server',
  'turn-tls': 'TURN server over TLS and DTLS',
  relay: 'what the TURN server relays',
  portal: 'portal page',
  acme: 'challenges of the ACME directory',
  mdns: 'multicast DNS, the name of the hub',
};

const FOR_OUTSIDE: ReadonlySet<PortUse> = new Set(['dht', 'proxy', 'names', 'turn', 'turn-tls', 'acme']);

/** Ports that a router maps: those by which somebody outside uses the hub, one by one, without the operator's page. */
export function isMappable({ use, from, to, families }: OpenPort): boolean {
  return FOR_OUTSIDE.has(use) && from === to && families.includes(4);
}

/** The part of a ready file that tells ports; `portal` and `tlsPort` are there where a hub has them. */
export interface ReadyPorts {
  readonly dht?: Pick<ReadyFacts['dht'], 'addresses'>;
  readonly proxy?: undefined | { readonly url: string; readonly urlTls?: string };
  readonly names?: undefined | { readonly url?: string; readonly urlTls?: string };
  readonly turn?: undefined | { readonly port: number; readonly tlsPort?: number };
  readonly portal?: undefined | { readonly url?: string; readonly urlTls?: string };
}

/**
 * Every port that a hub opens: those of its configuration, or with `ready` those that it really took. None where it is
 * bound to loopback alone. Throws a usage error where the system chooses a port and `ready` is not there to tell it.
 */
export function openPorts(configuration: HubConfiguration, ready?: ReadyPorts): OpenPort[] {
  const families = familiesOf(configuration.host);
  if (families.length === 0) return [];
  const ports: OpenPort[] = [];
  const add = (use: PortUse, transport: 'udp' | 'tcp', port: number | undefined, of = families): void => {
    if (port !== undefined) ports.push({ use, transport, from: port, to: port, families: of });
  };
  const chosen = (flag: string, port: number): number => {
    if (port !== 0) return port;
    throw new UsageError(`--${flag} 0 lets the system choose: name the ready file of the running hub (--ready-file).`);
  };
  if (ready === undefined) add('dht', 'udp', chosen('dht-port', configuration.dhtPort));
  for (const address of ready?.dht?.addresses ?? []) {
    const { host, port } = splitHostPort(address);
    add('dht', 'udp', port, [host.includes(':') ? 6 : 4]);
  }
  if (configuration.peerDiscovery) add('discovery', 'udp', DISCOVERY_PORT);
  const planned = <T>(isOn: boolean, make: () => T): T | undefined => (isOn ? make() : undefined);
  const { proxy, names, turn, portal }: ReadyPorts = ready ?? {
    proxy: planned(configuration.proxy, () => ({
      url: `http://-:${chosen('proxy-port', configuration.proxyPort)}`,
      urlTls: `https://-:${chosen('proxy-tls-port', configuration.proxyTlsPort)}`,
    })),
    names: planned(configuration.names, () => ({
      url: `http://-:${chosen('names-port', configuration.namesPort)}`,
      urlTls: `https://-:${chosen('names-tls-port', configuration.namesTlsPort)}`,
    })),
    turn: planned(configuration.turn, () => ({
      port: chosen('turn-port', configuration.turnPort),
      tlsPort: chosen('turn-tls-port', configuration.turnTlsPort),
    })),
    portal: planned(configuration.portal, () => ({
      url: `http://-:${chosen('portal-port', configuration.portalPort)}`,
      urlTls: `https://-:${chosen('portal-tls-port', configuration.portalTlsPort)}`,
    })),
  };
  for (const [use, service] of [
    ['proxy', proxy],
    ['names', names],
    ['portal', portal],
  ] as const) {
    add(use, 'tcp', portOf(service?.url));
    add(use, 'tcp', portOf(service?.urlTls));
  }
  if (configuration.acmeDomain.length > 0) add('acme', 'tcp', configuration.acmePort);
  if (configuration.mdns && portal !== undefined) add('mdns', 'udp', MDNS_PORT);
  if (turn !== undefined) {
    const { minPort, maxPort } = turnServerDefaults('');
    for (const transport of ['udp', 'tcp'] as const) add('turn', transport, turn.port);
    for (const transport of ['udp', 'tcp'] as const) add('turn-tls', transport, turn.tlsPort);
    ports.push(...relayPorts(minPort, maxPort, DEFAULT_TURN_OPTIONS, families));
  }
  return distinct(ports);
}

/** Every port that a TURN server of its own opens. */
export function turnPorts(
  server: Pick<
    TurnServerOptions,
    'udp' | 'tcp' | 'tls' | 'dtls' | 'proxiedTcp' | 'minPort' | 'maxPort' | 'relayAddresses' | 'behavior'
  >,
): OpenPort[] {
  const listeners = (
    [
      ['turn', 'udp', server.udp],
      ['turn', 'tcp', server.tcp],
      ['turn-tls', 'tcp', server.tls],
      ['turn-tls', 'udp', server.dtls],
      ['turn', 'tcp', server.proxiedTcp],
    ] as const
  ).flatMap(([use, transport, places]) =>
    places.flatMap(({ address, port }): OpenPort[] => {
      const families = familiesOf([address]);
      return families.length === 0 ? [] : [{ use, transport, from: port, to: port, families }];
    }),
  );
  const behavior = { ...DEFAULT_TURN_OPTIONS, ...server.behavior };
  const relayFamilies =
    server.relayAddresses.length > 0
      ? familiesOf(server.relayAddresses)
      : ([4, 6] as const).filter((family) => listeners.some(({ families }) => families.includes(family)));
  const relays = behavior.stunOnly ? [] : relayPorts(server.minPort, server.maxPort, behavior, relayFamilies);
  return distinct([...listeners, ...relays]);
}

/** A peer speaks to a relay before the relay has spoken to it, so no rule for known connections lets it in. */
function relayPorts(
  from: number,
  to: number,
  { udpRelay, tcpRelay }: { readonly udpRelay: boolean; readonly tcpRelay: boolean },
  families: readonly Family[],
): OpenPort[] {
  if (families.length === 0) return [];
  return [
    ...(udpRelay ? [{ use: 'relay', transport: 'udp', from, to, families } as const] : []),
    ...(tcpRelay ? [{ use: 'relay', transport: 'tcp', from, to, families } as const] : []),
  ];
}

/** Families on which others can reach these addresses; both where none is named. */
function familiesOf(hosts: readonly string[]): Family[] {
  const reachable = hosts.filter((host) => host !== '::1' && !host.startsWith('127.'));
  if (hosts.length === 0) return [4, 6];
  return ([4, 6] as const).filter((family) => reachable.some((host) => host.includes(':') === (family === 6)));
}

function portOf(url: string | undefined): number | undefined {
  if (url === undefined) return undefined;
  const [, scheme, port] = /^(https?):\/\/[^/]*?(?::(\d+))?(?:\/|$)/.exec(url) ?? [];
  return port === undefined ? (scheme === 'https' ? 443 : 80) : Number(port);
}

/** The same ports named twice become one, with the families of both. */
function distinct(ports: readonly OpenPort[]): OpenPort[] {
  const found = new Map<string, OpenPort>();
  for (const port of ports) {
    const key = `${port.transport} ${port.from}-${port.to}`;
    const known = found.get(key);
    const families = new Set([...(known?.families ?? []), ...port.families]);
    found.set(key, { ...(known ?? port), families: [...families].sort() });
  }
  return [...found.values()];
}
