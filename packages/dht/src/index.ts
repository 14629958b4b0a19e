export type { DhtBackend, ListenEvent, LookupOptions, PutOptions } from './backend.js';
export { isMartian } from './core/address-filter.js';
export {
  DhtCore,
  type DhtCoreComponents,
  type DhtCoreOptions,
} from './core/dht-core.js';
export type { Connectivity, Health } from './core/health.js';
export type { ListenCallback } from './core/listen-group.js';
export { DEFAULT_LISTENER_LIMITS, type ListenerLimits } from './core/listeners.js';
export type { GetHandler } from './core/operations.js';
export { DEFAULT_RATE_LIMITS, type RateLimits } from './core/rate-limiter.js';
export { Reassembly } from './core/reassembly.js';
export type { Search } from './core/search.js';
export type { SearchNode } from './core/search-node.js';
export { DEFAULT_STORAGE_LIMITS, type StorageLimits, type StoredValue } from './core/storage.js';
export { BUILT_IN_TYPES, longIdKey, MAX_VALUE_BYTES, secureType, type ValueType } from './core/value-types.js';
export { EventQueue } from './event-queue.js';
export { decodeDhtAnnouncement, decodeDiscovery } from './lan/announcement.js';
export { DEFAULT_PORT, DhtNode, type DhtNodeOptions, parseBootstrap } from './node.js';
export { SecureLayer, type ValueTransport, withSomeId } from './secure.js';
export { createTestNetwork, type TestNetwork } from './test-network.js';
export * from './wire/built-in-types.js';
export { decodeMessage, Message, type MessageKind, Want } from './wire/message.js';
export { MessageEncoder } from './wire/message-encoder.js';
export { decodeNodeBlob, encodeNodeBlob, type NodeAddress } from './wire/node-blob.js';
export { type Condition, decodeQuery, encodeQuery, Field, type FieldValues, fieldsOf, Query } from './wire/query.js';
export { decodeSocketAddress, encodeSocketAddress } from './wire/socket-address.js';
export { decodeNodeExport, decodeState, encodeState, type NodeState, type SavedValue } from './wire/state-file.js';
export { Value, type ValueFields } from './wire/value.js';
