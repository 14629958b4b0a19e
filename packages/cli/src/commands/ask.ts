import { askHub, type JoinFacts, readConfiguration, type StatusFacts } from '@atoll/hub';
import { Command } from 'commander';
import { renderUnicodeCompact } from 'uqr';
import type { Messages } from '../messages/en.js';
import { messagesFor } from '../messages/locale.js';

interface AskOptions {
  readonly state?: string;
  readonly json?: boolean;
  readonly qr?: boolean;
}

/** `atoll join`: what a Jami app must be told, from the hub that runs. */
export function joinCommand(): Command {
  return new Command('join')
    .description('Print what to enter in Jami apps to join the hub that runs')
    .option('--state <DIR>', 'State directory of the hub')
    .option('--json', 'Print one JSON object')
    .option('--qr', 'Print one QR code with everything')
    .action(async (options: AskOptions) => {
      const facts = await askHub(await stateOf(options), 'join');
      if (options.json) process.stdout.write(`${JSON.stringify(facts)}\n`);
      else if (options.qr) process.stdout.write(`${renderUnicodeCompact(facts.code)}\n`);
      else process.stdout.write(`${joinLines(facts, messagesFor(process.env)).join('\n')}\n`);
    });
}

/** `atoll status`: how the hub that runs is. */
export function statusCommand(): Command {
  return new Command('status')
    .description('Print how the hub that runs is')
    .option('--state <DIR>', 'State directory of the hub')
    .option('--json', 'Print one JSON object')
    .action(async (options: AskOptions) => {
      const facts = await askHub(await stateOf(options), 'status');
      if (options.json) process.stdout.write(`${JSON.stringify(facts)}\n`);
      else process.stdout.write(`${statusLines(facts, messagesFor(process.env)).join('\n')}\n`);
    });
}

/** What to enter in an app, a line for each. */
export function joinLines(
  { bootstrap, proxy, nameServer, turn, authority, urls }: JoinFacts,
  messages: Messages,
): string[] {
  const lines = [`  ${messages.bootstrapLabel}:  ${bootstrap}`];
  if (proxy !== undefined) lines.push(`  ${messages.proxyLabel}:  ${proxy}`);
  if (nameServer !== undefined) lines.push(`  ${messages.namesLabel}:  ${nameServer}`);
  if (turn !== undefined) {
    const { server, user, password, realm } = turn;
    lines.push(`  ${messages.turnLabel}:  ${server}  ${messages.turnAs(user, password, realm)}`);
  }
  // With an authority of its own, a device has to be made to trust it first.
  const page = authority === undefined ? urls.find((url) => url.startsWith('https:')) : undefined;
  if (page !== undefined) lines.push(`  ${messages.trustedPageLabel}:  ${page}`);
  return lines;
}

function statusLines(facts: StatusFacts, messages: Messages): string[] {
  const { services, figures, portal, certificate, operatorLink } = facts;
  const lines = services.map(({ name, isOn, isWell, restarts, lastError }) => {
    const state = !isOn ? messages.serviceOff : isWell ? messages.serviceWell : messages.serviceUnwell;
    const error = isOn && !isWell && lastError !== undefined ? `: ${lastError.message}` : '';
    return `  ${name.padEnd(8)}${state}${error}${restarts > 0 ? `  (${messages.restarts(restarts)})` : ''}`;
  });
  lines.push('', `  ${messages.figures(figures.nodes, figures.values, figures.proxyClients, figures.allocations)}`);
  if (portal !== undefined) lines.push(`  ${messages.portalLabel}:  ${portal.urlTls ?? portal.url}`);
  if (certificate !== undefined) {
    const { subject, notAfterMs, isOwnAuthority, acme } = certificate;
    const day = new Date(notAfterMs).toISOString().slice(0, 10);
    lines.push(`  ${messages.certificateLabel}:  ${messages.certificateUntil(subject, day, isOwnAuthority)}`);
    if (acme?.problem !== undefined) {
      const time = new Date(acme.nextMs).toISOString().slice(0, 16).replace('T', ' ');
      lines.push(`  ${messages.acmeProblem(acme.problem.message, time)}`);
    }
  }
  if (operatorLink !== undefined) lines.push(`  ${messages.operatorLabel}:  ${operatorLink}`);
  return lines;
}

async function stateOf({ state }: AskOptions): Promise<string> {
  return (await readConfiguration({ state }, process.env, undefined)).state;
}
