import type { Firewall } from './firewall.js';
import type { OpenPort } from './open-ports.js';
import { explanation, portText } from './rule-marks.js';

/** Below the anchor that the system's own /etc/pf.conf calls, so that no file of the system changes. */
const ANCHOR = 'com.apple/atoll';

/** macOS: rules for pf. Its second firewall, that of applications, asks once whether Node may take connections. */
export const macos: Firewall = {
  print(ports) {
    return [
      `# Ports of Atoll for pf: sudo pfctl -a ${ANCHOR} -f THIS FILE`,
      '# The firewall of applications (System Settings > Network > Firewall) has to allow node as well:',
      '#   sudo /usr/libexec/ApplicationFirewall/socketfilterfw --add "$(command -v node)" --unblockapp "$(command -v node)"',
      rules(ports),
    ].join('\n');
  },
  plan: async (ports) =>
    ports.length === 0
      ? [{ command: ['pfctl', '-q', '-a', ANCHOR, '-F', 'rules'] }]
      : [{ command: ['pfctl', '-q', '-a', ANCHOR, '-f', '-'], input: rules(ports) }],
};

function rules(ports: readonly OpenPort[]): string {
  return ports
    .flatMap((port) => {
      const family = port.families.length === 1 ? (port.families[0] === 4 ? 'inet ' : 'inet6 ') : '';
      return [
        `# ${explanation(port)}`,
        `pass in quick ${family}proto ${port.transport} from any to any port ${portText(port, ':')} keep state\n`,
      ];
    })
    .join('\n')
    .replaceAll('\n\n', '\n');
}
