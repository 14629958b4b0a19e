export { AirGap, LAN_GROUPS } from './lab/air-gap.js';
export { eventually, within } from './lab/deadline.js';
export { type DhtnodeOptions, DhtnodeProcess } from './lab/dhtnode-process.js';
export { Jamid, type JamidOptions } from './lab/jamid.js';
export { Host, Lan, type LanOptions, labNamespaces } from './lab/lan.js';
export { ManagedProcess } from './lab/managed-process.js';
export { Pebble, type PebbleOptions } from './lab/pebble.js';
export { PostgresServer } from './lab/postgres-server.js';
export { PythonDht } from './lab/python-dht.js';
export { type BusSignal, SessionBus } from './lab/session-bus.js';
export { SeededRandom } from './network/seeded-random.js';
export {
  type HostOptions,
  type LinkOptions,
  type Receive,
  VirtualHost,
  VirtualNetwork,
  type VirtualNetworkOptions,
  VirtualSocket,
} from './network/virtual-network.js';
export { type ReceivedPush, ReceivedPushes } from './push/received-pushes.js';
export { TestApns } from './push/test-apns.js';
export { TestDistributor } from './push/test-distributor.js';
export { TestFcm } from './push/test-fcm.js';
export { TestGateway } from './push/test-gateway.js';
export { TurnClient, type TurnClientOptions, TurnRefusal } from './turn/turn-client.js';
export type { TurnTransportKind } from './turn/turn-transport.js';
