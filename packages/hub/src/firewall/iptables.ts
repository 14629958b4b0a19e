import type { Family } from '@atoll/base';
import type { Firewall, FirewallCommand } from './firewall.js';
import type { OpenPort } from './open-ports.js';
import { explanation, MARK, portText, ruleComment } from './rule-marks.js';

/** A rule that takes whatever reaches it: ours have to stand before it. */
const CATCH_ALL = /^-A INPUT(?: -m comment --comment (?:"[^"]*"|\S+))? -j (?:DROP|REJECT)\b/;

/** iptables or ip6tables, in the language of `iptables-restore`. */
export function iptables(family: Family): Firewall {
  const program = family === 4 ? 'iptables' : 'ip6tables';
  const wanted = (ports: readonly OpenPort[]): OpenPort[] => ports.filter(({ families }) => families.includes(family));
  return {
    print(ports) {
      const lines = [
        `# Ports of Atoll for IPv${family}: ${program}-restore --noflush < THIS FILE`,
        `# IPv${family === 4 ? 6 : 4} is a table of its own: --format ${family === 4 ? 'ip6tables' : 'iptables'}`,
        '# A rule that lets known connections go on (--state ESTABLISHED,RELATED) is expected to be there.',
        '*filter',
      ];
      for (const port of wanted(ports)) lines.push(`# ${explanation(port)}`, `-A INPUT ${rule(port)}`);
      return `${[...lines, 'COMMIT'].join('\n')}\n`;
    },
    async plan(ports, _options, run): Promise<FirewallCommand[]> {
      const present = (await run({ command: [program, '-S', 'INPUT'] })).split('\n');
      const ours = present.filter((line) => line.includes(`--comment "${MARK} `));
      const target = wanted(ports);
      const has = (port: OpenPort): boolean => ours.some((line) => line.includes(`"${ruleComment(port)}"`));
      const stale = ours.filter((line) => !target.some((port) => line.includes(`"${ruleComment(port)}"`)));
      const missing = target.filter((port) => !has(port));
      if (stale.length + missing.length === 0) return [];
      const rules = present.filter((line) => line.startsWith('-A ') && !stale.includes(line));
      const end = rules.findIndex((line) => CATCH_ALL.test(line));
      const place = end < 0 ? rules.length : end;
      const input = [
        '*filter',
        ...stale.map((line) => line.replace(/^-A /, '-D ')),
        ...missing.map((port, index) => `-I INPUT ${place + index + 1} ${rule(port)}`),
        'COMMIT',
        '',
      ].join('\n');
      return [{ command: [`${program}-restore`, '--noflush'], input }];
    },
  };
}

function rule(port: OpenPort): string {
  const match = `-p ${port.transport} -m state --state NEW --dport ${portText(port, ':')}`;
  return `${match} -j ACCEPT -m comment --comment "${ruleComment(port)}"`;
}
