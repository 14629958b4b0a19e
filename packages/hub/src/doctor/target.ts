/** A TURN server and how to ask it. */
export interface TurnTarget {
  readonly port: number;
  readonly tlsPort?: number | undefined;
  readonly realm?: string | undefined;
  /** A long-term credential. */
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** The shared secret of time-limited credentials (TURN REST API). */
  readonly secret?: string | undefined;
}

/** What only the hub's own host can look at. */
export interface LocalTarget {
  readonly statePath: string;
  /** Process of the hub; undefined when none runs. */
  readonly pid: number | undefined;
  readonly certificate?: string | undefined;
  readonly privateKey?: string | undefined;
  /** Names of which the hub is to have a certificate by ACME. */
  readonly acmeNames?: readonly string[] | undefined;
  /** Why the last attempt to get it failed. */
  readonly acmeProblem?: string | undefined;
  /** Ports that the hub would open, by the setting that names them. */
  readonly ports: readonly ServicePort[];
}

/** A port of a service. */
export interface ServicePort {
  readonly service: string;
  /** The hub's setting for it, without dashes. */
  readonly setting: string;
  readonly transport: 'UDP' | 'TCP';
  readonly port: number;
}

/** The hub to be examined. */
export interface DoctorTarget {
  /** IP address at which it is asked; empty when its name leads to none. */
  readonly host: string;
  /** How a person named it, when not by address. */
  readonly name?: string | undefined;
  /** Addresses that the hub says are its own; empty when it did not say. */
  readonly addresses: readonly string[];
  /** Services are where they usually are, but nobody said that they are: their absence is no fault. */
  readonly isAssumed: boolean;
  readonly dht?: { readonly port: number; readonly network: number } | undefined;
  /** Base URLs, plain and over TLS. */
  readonly proxy?: readonly string[] | undefined;
  readonly names?: readonly string[] | undefined;
  readonly turn?: TurnTarget | undefined;
  /** Other nodes that it was told of. */
  readonly bootstrap: readonly string[];
  /** Present when this is the hub's own host. */
  readonly local?: LocalTarget | undefined;
}

/** Every port of the target's services, to be looked for in firewall rules. */
export function servicePorts({ dht, proxy = [], names = [], turn, local }: DoctorTarget): ServicePort[] {
  if (local !== undefined && local.ports.length > 0) return [...local.ports];
  const ports: ServicePort[] = [];
  if (dht !== undefined) ports.push({ service: 'dht', setting: 'dht-port', transport: 'UDP', port: dht.port });
  for (const url of proxy) ports.push({ service: 'proxy', setting: 'proxy-port', transport: 'TCP', port: portOf(url) });
  for (const url of names) ports.push({ service: 'names', setting: 'names-port', transport: 'TCP', port: portOf(url) });
  if (turn !== undefined) {
    for (const transport of ['UDP', 'TCP'] as const) {
      ports.push({ service: 'turn', setting: 'turn-port', transport, port: turn.port });
    }
  }
  return ports;
}

/** The port that a URL leads to. */
export function portOf(url: string): number {
  const { port, protocol } = new URL(url);
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

/** An address as it stands before a port. */
export function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}
