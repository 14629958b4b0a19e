/** Bounds of what a stranger or a client can make grow. */
export const LIMITS = {
  /** Permissions of one allocation. */
  permissionsPerAllocation: 1024,
  /** Channels of one allocation. */
  channelsPerAllocation: 1024,
  /** Peer connections of one TCP allocation, bound or not (RFC 6062). */
  connectionsPerAllocation: 64,
  /** Allocations of one server when no total quota is set. */
  allocations: 50_000,
  /** Ports held for a RESERVATION-TOKEN. */
  reservations: 1000,
  /** Source addresses whose unauthorized requests are counted. */
  countedSources: 65_536,
  /** Seals of nonces kept at hand. */
  recentNonces: 1024,
  /** Keys of time-limited credentials kept at hand. */
  recentKeys: 4096,
  /** Credential look-ups under way at once (a slow database). */
  pendingLookups: 4096,
  /** Bytes that may wait for one slow stream client before relayed data is dropped. */
  waitingBytesPerClient: 262_144,
  /** Largest answer to a request that is not authenticated: attributes of RFC 8489 9.2 and nothing else, bytes. */
  unauthenticatedAnswerBytes: 512,
  /** Peer addresses in one CreatePermission. */
  peersPerRequest: 32,
} as const;

/** Lifetimes of RFC 8656 and 6062, ms. */
export const LIFETIMES_MS = {
  /** Section 7.2: what a client gets that asks for nothing. */
  defaultAllocation: 600_000,
  /** Section 3.2. */
  maxAllocation: 3_600_000,
  /** Section 9. */
  permission: 300_000,
  /** Section 12. */
  channel: 600_000,
  /** A channel number or peer stays unusable for others after its binding ended (section 12). */
  channelQuarantine: 300_000,
  /** Section 7.2. */
  reservation: 30_000,
  /** RFC 6062 section 5.3 and 5.4. */
  unboundConnection: 30_000,
  connectTimeout: 30_000,
} as const;
