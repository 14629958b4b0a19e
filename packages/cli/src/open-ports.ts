import { readFile } from 'node:fs/promises';
import { errorMessage, UsageError } from '@atoll/base';
import { type HubConfiguration, type OpenPort, openPorts, type ReadyPorts, runningFacts, turnPorts } from '@atoll/hub';
import { turnConfiguration } from './turn/configuration.js';
import { readDirectives } from './turn/read-directives.js';

/** The ports of a hub: those that it really took when it runs in its state directory or its ready file is named. */
export async function portsOfHub(
  configuration: HubConfiguration,
  readyFile: string | undefined,
): Promise<readonly OpenPort[]> {
  const ready =
    readyFile === undefined
      ? ((await runningFacts(configuration.state)) as ReadyPorts | undefined)
      : await readReadyFile(readyFile);
  return openPorts(configuration, ready);
}

/** The ports of a TURN server with coturn's configuration. */
export function portsOfTurnFile(file: string): readonly OpenPort[] {
  const { given } = readDirectives(['-c', file]);
  return turnPorts(turnConfiguration(given).server);
}

async function readReadyFile(path: string): Promise<ReadyPorts> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as ReadyPorts;
  } catch (cause) {
    throw new UsageError(`The ready file ${path} cannot be read: ${errorMessage(cause)}`, { cause });
  }
}
