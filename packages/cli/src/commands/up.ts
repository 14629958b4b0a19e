import {
  fixedSettings,
  jsonLogger,
  type RunningHub,
  readConfiguration,
  SETTINGS,
  startHub,
  textLogger,
} from '@atoll/hub';
import { nativeDatagram } from '@atoll/udp';
import { Command } from 'commander';
import type { Messages } from '../messages/en.js';
import { messagesFor } from '../messages/locale.js';
import { stopSignal } from '../stop-signal.js';
import { VERSION } from '../version.js';
import { joinLines } from './ask.js';

interface UpOptions {
  readonly config?: string;
  readonly readyFile?: string;
  readonly json?: boolean;
}

/** `atoll up`: the hub in the foreground. */
export function upCommand(): Command {
  return hubCommand('up', 'Run the hub in the foreground: everything a LAN needs to use Jami', undefined)
    .option('--no-proxy', 'Run no DHT proxy')
    .option('--no-names', 'Run no name server')
    .option('--no-turn', 'Run no TURN server')
    .option('--no-portal', 'Run no portal');
}

/** `atoll proxy`: a DHT node with its proxy, and nothing else of the hub. */
export function proxyCommand(): Command {
  return hubCommand('proxy', 'Run a DHT proxy with a DHT node of its own, and nothing else', ['dht', 'proxy']);
}

function hubCommand(name: string, description: string, only: readonly string[] | undefined): Command {
  const command = new Command(name).description(description);
  for (const { flag, value, text } of Object.values(SETTINGS)) command.option(`--${flag} <${value}>`, text);
  return command
    .option('--config <FILE>', 'Settings as YAML; the command line weighs more')
    .option('--ready-file <FILE>', 'Write addresses and ports as JSON to FILE once everything answers')
    .option('--json', 'Log as one JSON object per line')
    .action(async (options: UpOptions & Record<string, string | boolean | undefined>) => {
      const settings = given(options);
      const configuration = await readConfiguration(settings, process.env, options.config);
      const fixed = fixedSettings(settings, process.env);
      const logger = options.json ? jsonLogger(process.stdout) : textLogger(process.stderr);
      const messages = messagesFor(process.env);
      const stopped = stopSignal();
      const { readyFile } = options;
      const hub = await startHub(configuration, { version: VERSION, readyFile, logger, only, fixed });
      if (options.json) logger.info('ready', { ...hub.ready });
      else process.stdout.write(welcome(hub, messages));
      await stopped;
      if (!options.json) process.stderr.write(`${messages.stopping}\n`);
      await hub.stop();
    });
}

/** Settings as text: `--no-names` is `--names false`. */
function given(options: Readonly<Record<string, string | boolean | undefined>>): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => [name, value === undefined ? undefined : String(value)]),
  );
}

function welcome(hub: RunningHub, messages: Messages): string {
  const { dht, portal } = hub.ready;
  const lines = ['', messages.hubRuns, '', ...joinLines(hub.join(), messages), ''];
  if (portal !== undefined) lines.push(`${messages.joinAt} ${portal.url}`);
  if (hub.operatorLink !== undefined) lines.push(`${messages.operatorLabel}: ${hub.operatorLink}`);
  if (dht.addresses.length > 1) lines.push(`${messages.otherAddresses} ${dht.addresses.slice(1).join(', ')}`);
  lines.push(messages.discoveryHint);
  if (!nativeDatagram.available) lines.push(`${messages.slower} ${nativeDatagram.reason}.`);
  lines.push(messages.howToStop, '');
  return `${lines.join('\n')}\n`;
}
