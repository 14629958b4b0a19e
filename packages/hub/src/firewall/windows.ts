import type { Firewall } from './firewall.js';
import type { OpenPort } from './open-ports.js';
import { explanation, portText } from './rule-marks.js';

/** What marks the rules as ours, and how Windows lists them. */
const GROUP = 'Atoll';
const REMOVE = `Get-NetFirewallRule -Group '${GROUP}' -ErrorAction SilentlyContinue | Remove-NetFirewallRule`;

/** Windows Defender Firewall, as PowerShell. */
export const windows: Firewall = {
  print(ports) {
    return `${['# Ports of Atoll. Run in PowerShell as administrator; it may be repeated.', script(ports)].join('\n')}\n`;
  },
  // Our group is made anew each time, which leaves the same rules.
  plan: async (ports) => [
    {
      command: ['powershell', '-NoProfile', '-NonInteractive', '-Command', '-'],
      input: `$ErrorActionPreference = 'Stop'\n${script(ports)}\n`,
    },
  ],
};

function script(ports: readonly OpenPort[]): string {
  return [
    REMOVE,
    ...ports.flatMap((port) => [
      `# ${explanation(port)}`,
      `New-NetFirewallRule -Group '${GROUP}' -DisplayName 'Atoll: ${explanation(port)}' -Direction Inbound -Action Allow -Protocol ${port.transport.toUpperCase()} -LocalPort ${portText(port, '-')} -Profile Private,Domain | Out-Null`,
    ]),
  ].join('\n');
}
