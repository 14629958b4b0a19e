import { type OpenPort, PORT_PURPOSES } from './open-ports.js';

/** What begins the comment of every rule of ours. */
export const MARK = 'atoll:';

/** `4222` or, with a dash or whatever the firewall uses, `49152-65535`. */
export function portText({ from, to }: OpenPort, dash: string): string {
  return from === to ? String(from) : `${from}${dash}${to}`;
}

/** The comment of a rule: two rules are the same if and only if their comments are. */
export function ruleComment(port: OpenPort): string {
  return `${MARK} ${port.transport} ${portText(port, '-')} ${PORT_PURPOSES[port.use]}`;
}

/** The comment as a line above the rule. */
export function explanation(port: OpenPort): string {
  const only = port.families.length === 1 ? `, IPv${port.families[0]}` : '';
  return `${PORT_PURPOSES[port.use]} (${port.transport.toUpperCase()} ${portText(port, '-')}${only})`;
}
