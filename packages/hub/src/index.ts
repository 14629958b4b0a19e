export type { HubCertificate } from './authority/hub-certificate.js';
export {
  fixedSettings,
  type GivenSettings,
  type HubConfiguration,
  readConfiguration,
  SETTINGS,
} from './configuration.js';
export { askHub, type StatusFacts } from './control.js';
export { jsonLogger, textLogger } from './hub-logger.js';
export type * from './portal/api.js';
export type { ReadyFacts } from './ready-facts.js';
export { type HubOptions, type RunningHub, startHub } from './startup.js';
export { writeAtomically } from './state-directory.js';
