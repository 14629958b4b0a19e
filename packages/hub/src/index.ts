export type { HubCertificate } from './authority/hub-certificate.js';
export { restoreState, stageRestore } from './backup/restore.js';
export { backUpState } from './backup/state-backup.js';
export {
  fixedSettings,
  type GivenSettings,
  type HubConfiguration,
  readConfiguration,
  SETTINGS,
} from './configuration.js';
export { askHub, type StatusFacts } from './control.js';
export { type ExamineOptions, examine } from './doctor/examine.js';
export { findTarget, localTarget, type TargetWish } from './doctor/find-target.js';
export type { DoctorLanguage } from './doctor/finding.js';
export {
  measureQuality,
  QUALITY_PORT,
  type QualityOptions,
  type QualityReport,
  type WayQuality,
} from './doctor/quality/measure-quality.js';
export { type PlotWords, plotQuality } from './doctor/quality/plot-quality.js';
export { serveQuality } from './doctor/quality/serve-quality.js';
export type { DoctorTarget } from './doctor/target.js';
export { type WhyParts, whyPartsOf } from './doctor/why/find-person.js';
export { why } from './doctor/why/why.js';
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
export type { ReadyFacts } from './ready-facts.js';
export { runningFacts } from './running-file.js';
export { type HubOptions, type RunningHub, startHub } from './startup.js';
export { writeAtomically } from './state-directory.js';
export { makeSupportBundle, type SupportBundleFacts } from './support/support-bundle.js';
