export type Transport = 'udp' | 'tcp';

export type MappingMethod = 'pcp' | 'nat-pmp' | 'upnp';

/** A mapping that is wanted. */
export interface WantedMapping {
  readonly transport: Transport;
  readonly internalPort: number;
  /** The router may give another one. */
  readonly externalPort: number;
  /** Seconds. */
  readonly lifetime: number;
  /** What the router shows to people; ASCII. */
  readonly description: string;
}

/** A mapping that a router granted. */
export interface Mapping {
  readonly transport: Transport;
  readonly internalPort: number;
  readonly externalPort: number;
  /** Seconds; 0 for one that stays until it is removed, as some routers grant no others. */
  readonly lifetime: number;
}

/** A mapping in a router's list, its own or another machine's. */
export interface ListedMapping extends Mapping {
  readonly internalAddress: string;
  readonly description: string;
}

/** A router that maps ports. Every method fails with `PORT_MAP_NO_ANSWER` or `PORT_MAP_REFUSED`. */
export interface Gateway {
  readonly method: MappingMethod;
  readonly address: string;
  /** Our own address on its side. */
  readonly local: string;
  /** The router's own address outside; undefined where it does not tell. */
  externalAddress(): Promise<string | undefined>;
  /** Makes a mapping, or renews it. */
  map(wanted: WantedMapping): Promise<Mapping>;
  /** Takes a mapping away, if it is ours; nothing happens where there is none. */
  unmap(mapping: Pick<Mapping, 'transport' | 'internalPort' | 'externalPort'>): Promise<void>;
  /** All mappings of the router; undefined where its protocol cannot tell. */
  list(): Promise<ListedMapping[] | undefined>;
  /** Whether the router still has a mapping that it granted, as far as its protocol tells. */
  remembers(mapping: Mapping): Promise<boolean>;
}
