import { spawn } from 'node:child_process';
import { type Logger, UsageError } from '@atoll/base';
import { nativeDtls } from '@atoll/turn';
import { VERSION } from '../version.js';
import { type TurnConfiguration, turnConfiguration } from './configuration.js';
import { turnUsage } from './directives.js';
import { takeLesserRights } from './lesser-rights.js';
import { openTurnLog, type TurnLog } from './log.js';
import { serveMetrics } from './metrics.js';
import { nameOfStore, openServer } from './open-server.js';
import { writePidFile } from './pid-file.js';
import { type GivenDirectives, readDirectives } from './read-directives.js';
import { reloadOnSignal, stopped } from './signals.js';
import { serveInWorkers } from './workers.js';

/** Runs a server as `turnserver` does; resolves to the exit code. Throws a usage error for a wrong configuration. */
export async function runTurn(args: readonly string[]): Promise<number> {
  const { given, file } = readDirectives(args);
  if (given.isOn('help')) {
    process.stdout.write(turnUsage());
    return 0;
  }
  if (given.isOn('version')) {
    process.stdout.write(`atoll turn ${VERSION}\n`);
    return 0;
  }
  const ignored = refuseUnsupported(given);
  const configuration = turnConfiguration(given);
  if (given.isOn('check')) return check(configuration, file, ignored);
  if (given.isOn('daemon')) return runInBackground(args);
  const log = openTurnLog(configuration.log);
  for (const sentence of ignored) log.logger.warn(sentence);
  if (file !== undefined) log.logger.info(`Configuration: ${file}`);
  try {
    return configuration.workers > 1
      ? await serveInWorkers(given, configuration, log)
      : await serve(configuration, log);
  } finally {
    await log.close();
  }
}

/** What Atoll does not have is an error, unless it is to be ignored: then the sentences about it. */
function refuseUnsupported(given: GivenDirectives): string[] {
  const sentences = given.unsupported.map(
    ({ directive, where }) => `${where}: Atoll does not have ${directive.name}: ${directive.missing ?? ''}.`,
  );
  const [first] = sentences;
  if (first === undefined || given.isOn('ignore-unsupported')) return sentences;
  const more = sentences.length > 1 ? ` (and ${sentences.length - 1} more)` : '';
  throw new UsageError(`${first}${more} With --ignore-unsupported Atoll goes on without.`);
}

/** Opens everything as a start would, says what it found, and ends. */
async function check(configuration: TurnConfiguration, file: string | undefined, ignored: string[]): Promise<number> {
  const server = await openServer(configuration, silent);
  const listeners = server.server.listeners.map(({ protocol, local }) => `${protocol.toUpperCase()} ${local}`);
  await server.close();
  for (const sentence of ignored) process.stdout.write(`${sentence}\n`);
  const { realm, minPort, maxPort } = configuration.server;
  process.stdout.write(
    `The configuration ${file ?? 'of the command line'} is sound: realm ${realm}, relay ports ${minPort} to ${maxPort}, users in ${nameOfStore(configuration)}.\n${listeners.map((listener) => `  ${listener}\n`).join('')}`,
  );
  return 0;
}

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

async function serve(configuration: TurnConfiguration, log: TurnLog): Promise<number> {
  const { logger } = log;
  const open = await openServer(configuration, logger);
  const { server } = open;
  const metrics =
    configuration.metricsPort === undefined
      ? undefined
      : await serveMetrics(async () => server.statistics(), configuration.metricsPort, logger);
  for (const { protocol, local } of server.listeners) logger.info(`${protocol.toUpperCase()} listener on ${local}`);
  if (configuration.lacksDtls) logger.warn(`DTLS is off: ${nativeDtls.reason ?? ''}. Clients use TLS or UDP`);
  if (!server.isNative)
    logger.warn('The native part of UDP is missing: relaying is slower, and DONT-FRAGMENT is refused');
  takeLesserRights(configuration);
  const removePidFile = writePidFile(configuration.pidFile);
  reloadOnSignal(open, log);
  logger.info(`Atoll ${VERSION} serves TURN in the realm ${configuration.server.realm}`);
  await stopped(server, logger);
  await metrics?.close(0);
  await open.close();
  removePidFile();
  logger.info('Stopped');
  return 0;
}

/** The same command again, in a session of its own. */
function runInBackground(args: readonly string[]): number {
  const rest = args.filter((argument) => argument !== '-o' && argument !== '--daemon');
  const child = spawn(process.execPath, [process.argv[1] ?? '', 'turn', ...rest, '--daemon=false'], {
    detached: true,
    stdio: 'ignore',
  });
  child.unref();
  return 0;
}
