import type { PortMapFacts } from './port-map-service.js';

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
    readonly tlsPort?: number;
    readonly user: string;
    readonly password: string;
    readonly realm: string;
  };
  readonly portal?: {
    /** The page, for people. */
    readonly url: string;
    readonly urlTls?: string;
  };
  /** How the router lets people outside in, as it was at the start. */
  readonly portMap?: PortMapFacts;
}
