export {
  type Lookup,
  NameClient,
  type NameClientOptions,
  type Registration,
  serverUrl,
  splitNameUri,
} from './client/name-client.js';
export { skeletonOf } from './core/look-alike.js';
export { type NameRule, toAddress, toName } from './core/name-rule.js';
export { type BadRegistration, isBad, keyInAnswer, type NameRecord, prove } from './core/registration.js';
export {
  DEFAULT_NAME_RATES,
  type NameRates,
  NameServer,
  type NameServerComponents,
  type NameServerOptions,
} from './server/name-server.js';
export type { UpstreamOptions } from './server/upstream.js';
export type { Change, NameStore, Registered, ReservedName, StoredName } from './store/name-store.js';
export { openNameStore } from './store/open-name-store.js';
