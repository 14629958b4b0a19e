import { UsageError } from '@atoll/base';
import {
  type FirewallCommand,
  type FirewallOptions,
  firewallNamed,
  type OpenPort,
  PORT_PURPOSES,
  readConfiguration,
  runOnThisMachine,
} from '@atoll/hub';
import { Command } from 'commander';
import { givenSettings, type HubOptions, withHubSettings, withServiceSwitches } from '../hub-settings.js';
import type { Messages } from '../messages/en.js';
import { messagesFor } from '../messages/locale.js';
import { portsOfHub, portsOfTurnFile } from '../open-ports.js';

interface Options extends FirewallOptions {
  readonly format?: string;
  readonly turnConfig?: string;
  readonly readyFile?: string;
  readonly explain?: boolean;
  readonly apply?: boolean;
  readonly remove?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** `atoll firewall`: rules for the ports that are open. */
export function firewallCommand(): Command {
  const command = new Command('firewall')
    .description('Rules that open exactly the ports of the hub in a firewall: printed, or put in place')
    .option('--format <FORMAT>', 'iptables, ip6tables, nftables, ufw, firewalld, windows or macos')
    .option('--apply', 'Put the rules in place; a second time changes nothing')
    .option('--remove', 'Take away what --apply put in place, and nothing else')
    .option('--dry-run', 'With --apply or --remove: only show what would be run')
    .option('--explain', 'Say what each port is for, and what fails when it is closed')
    .option('--ready-file <FILE>', 'Ready file of the running hub: the ports that it really took')
    .option('--turn-config <FILE>', 'The ports of “atoll turn -c FILE” instead of those of a hub')
    .option('--chain <CHAIN>', 'nftables: FAMILY TABLE CHAIN for the rules, as “inet filter input”')
    .option('--zone <ZONE>', 'firewalld: the zone; its default zone when left out')
    .option('--json', 'Print JSON')
    .action((options: Options & HubOptions) => run(options));
  return withServiceSwitches(withHubSettings(command));
}

async function run(options: Options & HubOptions): Promise<void> {
  const { firewall: messages } = messagesFor(process.env);
  const ports =
    options.turnConfig === undefined
      ? await portsOfHub(
          await readConfiguration(givenSettings(options), process.env, options.config),
          options.readyFile,
        )
      : portsOfTurnFile(options.turnConfig);
  const facts = ports.map((port) => ({ ...port, purpose: PORT_PURPOSES[port.use] }));
  const print = (json: object, text: string): unknown =>
    process.stdout.write(options.json ? `${JSON.stringify(json)}\n` : text);
  if (options.explain) return void print({ ports: facts }, explain(ports, messages));
  const { format } = options;
  if (format === undefined) {
    throw new UsageError(
      'Name the firewall: --format iptables, ip6tables, nftables, ufw, firewalld, windows or macos.',
    );
  }
  const firewall = firewallNamed(format);
  if (!options.apply && !options.remove) {
    if (options.dryRun) throw new UsageError('--dry-run goes with --apply or --remove.');
    const rules = firewall.print(ports, options);
    return void print({ format, ports: facts, rules }, rules);
  }
  if (options.apply && options.remove) throw new UsageError('--apply and --remove contradict each other.');
  const commands = await firewall.plan(options.remove ? [] : ports, options, runOnThisMachine);
  if (!options.dryRun) for (const command of commands) await runOnThisMachine(command);
  const json = { format, ports: options.remove ? [] : facts, commands, isApplied: !options.dryRun };
  print(json, outcome(commands, options, messages));
}

function outcome(commands: readonly FirewallCommand[], options: Options, messages: Messages['firewall']): string {
  if (commands.length === 0) return `${messages.unchanged}\n`;
  if (options.dryRun) return `${messages.wouldRun}\n\n${commands.map(shown).join('\n')}\n`;
  const { untilReboot }: { untilReboot: Readonly<Record<string, string>> } = messages;
  const hint = options.apply ? untilReboot[options.format ?? ''] : undefined;
  return `${messages.applied(commands.length)}\n${hint === undefined ? '' : `${hint}\n`}`;
}

/** A command as it is typed into a shell. */
function shown({ command, input }: FirewallCommand): string {
  const line = command.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`)).join(' ');
  return input === undefined ? line : `${line} <<'RULES'\n${input}RULES`;
}

function explain(ports: readonly OpenPort[], messages: Messages['firewall']): string {
  if (ports.length === 0) return `${messages.none}\n`;
  const lines = ports.map(({ use, transport, from, to }) => {
    const number = from === to ? String(from) : `${from}–${to}`;
    return `  ${`${number}/${transport}`.padEnd(16)} ${messages.why[use]}`;
  });
  return `${messages.heading}\n\n${lines.join('\n')}\n`;
}
