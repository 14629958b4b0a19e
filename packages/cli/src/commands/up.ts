import { fixedSettings, jsonLogger, type RunningHub, readConfiguration, startHub, textLogger } from '@atoll/hub';
import { nativeDatagram } from '@atoll/udp';
import { webFiles } from '@atoll/web';
import { Command } from 'commander';
import { givenSettings, type HubOptions, withHubSettings, withServiceSwitches } from '../hub-settings.js';
import type { Messages } from '../messages/en.js';
import { messagesFor } from '../messages/locale.js';
import { noticeReady } from '../service/ready-notice.js';
import { stopSignal } from '../stop-signal.js';
import { VERSION } from '../version.js';
import { joinLines } from './ask.js';

interface UpOptions {
  readonly readyFile?: string;
  readonly json?: boolean;
}

/** `atoll up`: the hub in the foreground. */
export function upCommand(): Command {
  return withServiceSwitches(
    hubCommand('up', 'Run the hub in the foreground: everything a LAN needs to use Jami', undefined),
  );
}

/** `atoll proxy`: a DHT node with its proxy, and nothing else of the hub. */
export function proxyCommand(): Command {
  return hubCommand('proxy', 'Run a DHT proxy with a DHT node of its own, and nothing else', ['dht', 'proxy']);
}

function hubCommand(name: string, description: string, only: readonly string[] | undefined): Command {
  return withHubSettings(new Command(name).description(description))
    .option('--ready-file <FILE>', 'Write addresses and ports as JSON to FILE once everything answers')
    .option('--json', 'Log as one JSON object per line')
    .action(async (options: UpOptions & HubOptions) => {
      const settings = givenSettings(options);
      const configuration = await readConfiguration(settings, process.env, options.config);
      const fixed = fixedSettings(settings, process.env);
      const logger = options.json ? jsonLogger(process.stdout) : textLogger(process.stderr);
      const messages = messagesFor(process.env);
      const stopped = stopSignal();
      const { readyFile } = options;
      const hubOptions = { version: VERSION, readyFile, logger, only, fixed, portalFiles: webFiles };
      let isStopped = false;
      while (!isStopped) {
        const hub = await startHub(configuration, hubOptions);
        await noticeReady(process.env, logger);
        if (options.json) logger.info('ready', { ...hub.ready });
        else process.stdout.write(welcome(hub, messages));
        isStopped = await Promise.race([stopped.then(() => true), hub.whenRestored.then(() => false)]);
        if (!options.json) process.stderr.write(`${isStopped ? messages.stopping : messages.startingAgain}\n`);
        await hub.stop();
      }
    });
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
