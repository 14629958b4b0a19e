export { nativeDtls } from '@atoll/dtls';
export { type CertificateFiles, type LoadedCertificate, loadCertificate } from './certificate-files.js';
export type { ClientListener, ClientProtocol, ListenerPort } from './core/client.js';
export type { FindReservation } from './core/context.js';
export { type Counters, sumStatistics, type Traffic, type TurnStatistics } from './core/counters.js';
export type { CredentialStore, OauthKey, UserKey } from './core/credentials.js';
export { LIFETIMES_MS, LIMITS } from './core/limits.js';
export { DEFAULT_TURN_OPTIONS, type TurnOptions } from './core/options.js';
export { type AddressRange, formatAddressRange, PeerRules, parseAddressRange } from './core/peer-rules.js';
export type { QuotaChange } from './core/quotas.js';
export { normalizedOrigin, type RealmOptions, Realms } from './core/realms.js';
export { TurnCore, type TurnCoreComponents, type TurnCoreOptions } from './core/turn-core.js';
export { probeTurn } from './probe.js';
export { type ListenerPlaces, openShared } from './shared-places.js';
export {
  DEFAULT_IDLE_MS,
  type ListenerPlace,
  type TlsSettings,
  TurnServer,
  type TurnServerComponents,
  type TurnServerOptions,
  turnServerDefaults,
} from './turn-server.js';
export { encryptAdminPassword, isAdminPassword } from './users/admin-password.js';
export { type OauthKeyRow, type RealmOptionName, TurnDatabase } from './users/turn-database.js';
export { type StaticUser, timeLimitedPassword, Users, type UsersOptions } from './users/users.js';
