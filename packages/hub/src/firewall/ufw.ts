import type { Firewall, FirewallCommand } from './firewall.js';
import type { OpenPort } from './open-ports.js';
import { explanation, MARK, portText, ruleComment } from './rule-marks.js';

/** Ubuntu's firewall, for IPv4 and IPv6 at once. */
export const ufw: Firewall = {
  print(ports) {
    const lines = ports.flatMap((port) => [
      `# ${explanation(port)}`,
      `ufw allow ${place(port)} comment '${ruleComment(port)}'`,
    ]);
    return `${['# Ports of Atoll. Run as root.', ...lines].join('\n')}\n`;
  },
  async plan(ports, _options, run): Promise<FirewallCommand[]> {
    const added = await run({ command: ['ufw', 'show', 'added'] });
    const ours = new Map<string, string>();
    for (const [, port = '', comment = ''] of added.matchAll(/^ufw allow (\S+) comment '([^']*)'$/gm)) {
      if (comment.startsWith(`${MARK} `)) ours.set(port, comment);
    }
    const wanted = new Map(ports.map((port) => [place(port), ruleComment(port)]));
    return [
      ...[...ours.keys()]
        .filter((port) => !wanted.has(port))
        .map((port): FirewallCommand => ({ command: ['ufw', 'delete', 'allow', port] })),
      ...[...wanted]
        .filter(([port, comment]) => ours.get(port) !== comment)
        .map(([port, comment]): FirewallCommand => ({ command: ['ufw', 'allow', port, 'comment', comment] })),
    ];
  },
};

function place(port: OpenPort): string {
  return `${portText(port, ':')}/${port.transport}`;
}
