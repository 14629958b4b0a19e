export { restoreState, stageRestore } from './backup/restore.js';
export { backUpState } from './backup/state-backup.js';
export { type GivenSettings, type HubConfiguration, readConfiguration, SETTINGS } from './configuration.js';
export { jsonLogger, textLogger } from './hub-logger.js';
export type * from './portal/api.js';
export { type HubOptions, type ReadyFacts, type RunningHub, startHub } from './startup.js';
export { writeAtomically } from './state-directory.js';
