export type { ClientListener, ClientProtocol, ListenerPort } from './core/client.js';
export type { CredentialStore, OauthKey, UserKey } from './core/credentials.js';
export { LIFETIMES_MS, LIMITS } from './core/limits.js';
export { DEFAULT_TURN_OPTIONS, type TurnOptions } from './core/options.js';
export { type AddressRange, formatAddressRange, PeerRules, parseAddressRange } from './core/peer-rules.js';
export { Realms } from './core/realms.js';
export { TurnCore, type TurnCoreComponents, type TurnCoreOptions } from './core/turn-core.js';
