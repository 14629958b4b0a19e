import { SETTINGS } from '@atoll/hub';
import type { Command } from 'commander';

/** The options of a command that reads the hub's configuration, but for those of its own. */
export type HubOptions = { readonly config?: string } & Readonly<Record<string, string | boolean | undefined>>;

/** Adds every setting of a hub, and its configuration file. */
export function withHubSettings(command: Command): Command {
  for (const { flag, value, text } of Object.values(SETTINGS)) command.option(`--${flag} <${value}>`, text);
  return command.option('--config <FILE>', 'Settings as YAML; the command line weighs more');
}

/** Adds what leaves a service out. */
export function withServiceSwitches(command: Command): Command {
  return command
    .option('--no-proxy', 'Run no DHT proxy')
    .option('--no-names', 'Run no name server')
    .option('--no-turn', 'Run no TURN server')
    .option('--no-portal', 'Run no portal');
}

/** Settings as text: `--no-names` is `--names false`. */
export function givenSettings(options: HubOptions): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => [name, value === undefined ? undefined : String(value)]),
  );
}
