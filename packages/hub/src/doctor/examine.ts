import { errorMessage } from '@atoll/base';
import type { Findings } from '../portal/api.js';
import type { Check, CheckTools } from './check.js';
import { checkAddresses } from './checks/check-addresses.js';
import { checkBootstrap } from './checks/check-bootstrap.js';
import { checkCertificate } from './checks/check-certificate.js';
import { checkClock } from './checks/check-clock.js';
import { checkDht } from './checks/check-dht.js';
import { checkDns } from './checks/check-dns.js';
import { checkFirewall } from './checks/check-firewall.js';
import { checkLoss } from './checks/check-loss.js';
import { checkMtu } from './checks/check-mtu.js';
import { checkMulticast } from './checks/check-multicast.js';
import { checkNames } from './checks/check-names.js';
import { checkNat } from './checks/check-nat.js';
import { checkPorts } from './checks/check-ports.js';
import { checkProxy } from './checks/check-proxy.js';
import { checkResources } from './checks/check-resources.js';
import { checkTurn } from './checks/check-turn.js';
import { type DoctorLanguage, findingsOf, type Verdict, verdict } from './finding.js';
import type { DoctorTarget } from './target.js';

/** Checks of this machine itself; they need no hub. */
const OWN: readonly Check[] = [checkAddresses, checkPorts, checkResources, checkFirewall, checkDns];
/** Checks of the way to the hub and of its services. */
const REMOTE: readonly Check[] = [
  checkMulticast,
  checkDht,
  checkBootstrap,
  checkProxy,
  checkNames,
  checkTurn,
  checkNat,
  checkClock,
  checkCertificate,
  checkMtu,
  checkLoss,
];
const LIMIT_MS = 1500;

export interface ExamineOptions extends Partial<CheckTools> {
  readonly language: DoctorLanguage;
}

/** Looks at everything at once: a few seconds. `target` is undefined when no hub was named or found. */
export async function examine(target: DoctorTarget | undefined, options: ExamineOptions): Promise<Findings> {
  const { language, unixMs = Date.now, limitMs = LIMIT_MS, stun } = options;
  const tools = { unixMs, limitMs, ...(stun === undefined ? {} : { stun }) };
  const isHere = target?.local !== undefined;
  const isThere = isHere ? target.local?.pid !== undefined : target !== undefined && target.host !== '';
  // A hub that does not start may have its certificate to blame.
  const checks = isThere ? [...OWN, ...REMOTE] : isHere ? [...OWN, checkCertificate] : OWN;
  const place = target ?? { host: '127.0.0.1', addresses: [], isAssumed: true, bootstrap: [] };
  const verdicts = await Promise.all(
    checks.map(async (check) => {
      try {
        return await check(place, tools);
      } catch (error) {
        return [verdict('unknown', 'check-failed', { check: check.name, reason: errorMessage(error) })];
      }
    }),
  );
  const missing: Verdict[] = !isThere && !isHere ? [verdict('fault', 'no-hub-found')] : [];
  return findingsOf([...missing, ...verdicts.flat()], language);
}
