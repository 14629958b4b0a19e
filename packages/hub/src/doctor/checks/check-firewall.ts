import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { errorCode } from '@atoll/base';
import type { Check } from '../check.js';
import { type Verdict, verdict } from '../finding.js';
import { type ServicePort, servicePorts } from '../target.js';
import { blockingRule, readNftRules } from './nft-rules.js';

const run = promisify(execFile);
const DISCOVERY: ServicePort = { service: 'discovery', setting: 'peer-discovery', transport: 'UDP', port: 8888 };

/** Judges rules as `nft --json list ruleset` prints them. */
export function judgeFirewall(json: string, ports: readonly ServicePort[], hook: 'input' | 'output'): Verdict[] {
  const rules = readNftRules(json);
  const found: Verdict[] = [];
  for (const { service, transport, port } of ports) {
    const rule = blockingRule(rules, hook, transport === 'UDP' ? 'udp' : 'tcp', port);
    if (rule !== undefined) found.push(verdict('fault', 'firewall-drops', { service, transport, port, rule }));
  }
  return found.length > 0 ? found : [verdict('good', 'firewall-good')];
}

/** Rules of nftables on this machine (those of iptables and ufw are among them on today's systems). */
export const checkFirewall: Check = async (target, { limitMs }) => {
  if (process.platform !== 'linux') return [];
  const ports = [...servicePorts(target), DISCOVERY];
  try {
    const { stdout } = await run('nft', ['--json', 'list', 'ruleset'], {
      timeout: 4 * limitMs,
      maxBuffer: 64 * 1024 * 1024,
    });
    return judgeFirewall(stdout, ports, target.local === undefined ? 'output' : 'input');
  } catch (error) {
    const isMissing = errorCode(error) === 'ENOENT';
    return isMissing ? [] : [verdict('unknown', 'firewall-unknown', { reason: 'nft says no, it wants root' })];
  }
};
