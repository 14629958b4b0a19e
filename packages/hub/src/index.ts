export { restoreState, stageRestore } from './backup/restore.js';
export { backUpState } from './backup/state-backup.js';
export { type GivenSettings, type HubConfiguration, readConfiguration, SETTINGS } from './configuration.js';
export {
  type Firewall,
  type FirewallCommand,
  type FirewallOptions,
  firewallNamed,
  runOnThisMachine,
} from './firewall/firewall.js';
export {
  isMappable,
  type OpenPort,
  openPorts,
  PORT_PURPOSES,
  type PortUse,
  type ReadyPorts,
  turnPorts,
} from './firewall/open-ports.js';
export { jsonLogger, textLogger } from './hub-logger.js';
export { PortMapMemory } from './port-map-memory.js';
export type * from './portal/api.js';
export { type HubOptions, type ReadyFacts, type RunningHub, startHub } from './startup.js';
export { writeAtomically } from './state-directory.js';
