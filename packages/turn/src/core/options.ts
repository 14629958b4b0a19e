import type { Endpoint, Family } from '@atoll/base';
import { LIFETIMES_MS } from './limits.js';
import { DEFAULT_UNAUTHORIZED_LIMIT, type UnauthorizedLimitOptions } from './unauthorized-limit.js';

/** How a server behaves. Every duration in ms. */
export interface TurnOptions {
  /** Whether nobody has to prove anything. */
  readonly isOpen: boolean;
  /** Whether Binding requests have to be proved too. */
  readonly securesBinding: boolean;
  /** Only Binding is answered. */
  readonly stunOnly: boolean;
  /** Binding is not answered. */
  readonly turnOnly: boolean;
  readonly nonceMs: number;
  readonly maxAllocationMs: number;
  readonly channelMs: number;
  readonly permissionMs: number;
  /** FINGERPRINT in every answer, not only where the request has one. */
  readonly fingerprint: boolean;
  /** SOFTWARE of authenticated answers; undefined for none. */
  readonly software: string | undefined;
  readonly mobility: boolean;
  readonly udpRelay: boolean;
  readonly tcpRelay: boolean;
  /** OTHER-ADDRESS and CHANGE-REQUEST (RFC 5780). */
  readonly natDiscovery: boolean;
  /** MAPPED-ADDRESS beside XOR-MAPPED-ADDRESS, and answers to RFC 3489. */
  readonly classicStun: boolean;
  /** Family of an allocation that asks for none: RFC 8656 says IPv4, `keep` is the client's own. */
  readonly defaultFamily: Family | 'keep';
  /** Name for ACCESS-TOKEN; undefined when OAuth is off. */
  readonly oauthServerName: string | undefined;
  /** All requests of a session must name the same ORIGIN. */
  readonly originConsistency: boolean;
  /** Where Allocate is sent instead: over UDP and TCP, and over TLS and DTLS. */
  readonly alternateServers: readonly Endpoint[];
  readonly tlsAlternateServers: readonly Endpoint[];
  readonly unauthorizedLimit: UnauthorizedLimitOptions;
}

/** What a server does that is told nothing. */
export const DEFAULT_TURN_OPTIONS: TurnOptions = {
  isOpen: false,
  securesBinding: false,
  stunOnly: false,
  turnOnly: false,
  nonceMs: 24 * 3_600_000,
  maxAllocationMs: LIFETIMES_MS.maxAllocation,
  channelMs: LIFETIMES_MS.channel,
  permissionMs: LIFETIMES_MS.permission,
  fingerprint: false,
  software: 'Atoll',
  mobility: false,
  udpRelay: true,
  tcpRelay: true,
  natDiscovery: true,
  classicStun: true,
  defaultFamily: 4,
  oauthServerName: undefined,
  originConsistency: false,
  alternateServers: [],
  tlsAlternateServers: [],
  unauthorizedLimit: DEFAULT_UNAUTHORIZED_LIMIT,
};
