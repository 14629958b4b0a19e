import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorMessage, type Logger, systemClock, UsageError } from '@atoll/base';
import {
  type AddressRange,
  nativeDtls,
  normalizedOrigin,
  type RealmOptions,
  TurnDatabase,
  TurnServer,
  Users,
} from '@atoll/turn';
import { VERSION } from '../version.js';
import { type TurnConfiguration, turnConfiguration } from './configuration.js';
import { turnUsage } from './directives.js';
import { openTurnLog, type TurnLog } from './log.js';
import { serveMetrics } from './metrics.js';
import { ownCertificate } from './own-certificate.js';
import { type GivenDirectives, readDirectives } from './read-directives.js';

/** How often realms and peers are read from the user store, ms. */
const STORE_MS = 5000;

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
    return await serve(configuration, log);
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

interface OpenServer {
  readonly server: TurnServer;
  readonly database: TurnDatabase | undefined;
  close(): Promise<void>;
}

async function openServer(configuration: TurnConfiguration, logger: Logger): Promise<OpenServer> {
  const database = await openStore(configuration);
  try {
    const users = new Users(
      { clock: systemClock, database },
      {
        realm: configuration.server.realm,
        users: configuration.users,
        usesSecrets: configuration.usesSecrets,
        secrets: configuration.secrets,
        separator: configuration.separator,
      },
    );
    const certificate = configuration.wantsTls ? (configuration.certificate ?? (await ownCertificate())) : undefined;
    const rules = await readRules(configuration, database);
    const { allowedPeers, deniedPeers } = rules;
    const options = { ...configuration.server, certificate, allowedPeers, deniedPeers };
    const server = await TurnServer.open({ logger, credentials: users }, options);
    applyRules(server, rules);
    if (server.listeners.length === 0) {
      await server.close();
      throw new UsageError(
        'Every listener is switched off (no-udp, no-tcp, no-tls, no-dtls): there is nothing to serve.',
      );
    }
    return {
      server,
      database,
      async close() {
        await server.close();
        await database?.close();
      },
    };
  } catch (error) {
    await database?.close();
    throw error;
  }
}

/** The user store; none where every user stands in the configuration and no store is there. */
async function openStore(configuration: TurnConfiguration): Promise<TurnDatabase | undefined> {
  const { userdb, psqlUserdb, isUserdbNamed, users, secrets, server } = configuration;
  if (psqlUserdb !== undefined) return TurnDatabase.openPostgres(psqlUserdb);
  const needsNone = users.length > 0 || secrets.length > 0 || server.behavior.isOpen === true;
  if (!isUserdbNamed && needsNone && !existsSync(userdb)) return undefined;
  if (!isUserdbNamed) mkdirSync(dirname(userdb), { recursive: true, mode: 0o700 });
  return TurnDatabase.openFile(userdb);
}

function nameOfStore({ userdb, psqlUserdb }: TurnConfiguration): string {
  return psqlUserdb === undefined ? userdb : 'PostgreSQL';
}

async function serve(configuration: TurnConfiguration, log: TurnLog): Promise<number> {
  const { logger } = log;
  const open = await openServer(configuration, logger);
  const { server, database } = open;
  let isReading = false;
  const refresh = async (): Promise<void> => {
    if (isReading) return;
    isReading = true;
    try {
      applyRules(server, await readRules(configuration, database));
    } catch (error) {
      logger.error(`The user store ${nameOfStore(configuration)} cannot be read: ${errorMessage(error)}`);
    }
    isReading = false;
  };
  const timer = setInterval(refresh, STORE_MS);
  const metrics =
    configuration.metricsPort === undefined ? undefined : await serveMetrics(server, configuration.metricsPort, logger);
  for (const { protocol, local } of server.listeners) logger.info(`${protocol.toUpperCase()} listener on ${local}`);
  if (configuration.lacksDtls) logger.warn(`DTLS is off: ${nativeDtls.reason ?? ''}. Clients use TLS or UDP`);
  if (!server.isNative)
    logger.warn('The native part of UDP is missing: relaying is slower, and DONT-FRAGMENT is refused');
  takeLesserRights(configuration);
  if (configuration.pidFile !== undefined) writeFileSync(configuration.pidFile, `${process.pid}\n`);
  const reload = (): void => {
    log.reopen();
    void refresh();
    try {
      if (server.reloadCertificate() !== undefined) logger.info('The certificate was read again');
    } catch (error) {
      logger.error(`The old certificate stays in use: ${errorMessage(error)}`);
    }
  };
  process.on('SIGHUP', reload);
  process.on('SIGUSR2', reload);
  logger.info(`Atoll ${VERSION} serves TURN in the realm ${configuration.server.realm}`);
  await stopped(server, logger);
  clearInterval(timer);
  await metrics?.close(0);
  await open.close();
  if (configuration.pidFile !== undefined) rmSync(configuration.pidFile, { force: true });
  logger.info('Stopped');
  return 0;
}

/** SIGINT and SIGTERM end at once; SIGUSR1 takes no new allocations and ends when the last one has. */
function stopped(server: TurnServer, logger: Logger): Promise<void> {
  return new Promise((resolve) => {
    const end = new AbortController();
    const stop = (): void => {
      end.abort();
      resolve();
    };
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);
    process.once('SIGUSR1', () => {
      logger.info(`Draining: ${server.allocations} allocations are waited for`);
      server.drain(end.signal).then(resolve, resolve);
    });
  });
}

/** What the user store says about realms and peers beside the configuration. */
interface StoredRules {
  readonly origins: ReadonlyMap<string, string>;
  readonly realmOptions: ReadonlyMap<string, Partial<RealmOptions>>;
  readonly allowedPeers: readonly AddressRange[];
  readonly deniedPeers: readonly AddressRange[];
}

async function readRules(configuration: TurnConfiguration, database: TurnDatabase | undefined): Promise<StoredRules> {
  const { server, readsRealmsFromStore, readsPeersFromStore } = configuration;
  const realms = readsRealmsFromStore ? database : undefined;
  const peers = readsPeersFromStore ? database : undefined;
  const [origins, realmOptions, allowed, denied] = await Promise.all([
    realms?.origins() ?? [],
    realms?.realmOptions() ?? new Map(),
    peers?.peerRanges('allowed') ?? [],
    peers?.peerRanges('denied') ?? [],
  ]);
  return {
    origins: new Map([...origins].map(([origin, realm]) => [normalizedOrigin(origin), realm])),
    realmOptions,
    allowedPeers: [...server.allowedPeers, ...allowed],
    deniedPeers: [...server.deniedPeers, ...denied],
  };
}

function applyRules(server: TurnServer, { origins, realmOptions, allowedPeers, deniedPeers }: StoredRules): void {
  server.realms.set(origins, realmOptions);
  server.peerRules.setRanges(allowedPeers, deniedPeers);
}

/** Ports are open: the rest needs no rights of root. */
function takeLesserRights({ user, group }: TurnConfiguration): void {
  try {
    if (group !== undefined) process.setgid?.(group);
    if (user !== undefined) {
      initgroups(user, group ?? user);
      process.setuid?.(user);
    }
  } catch (cause) {
    throw new UsageError(`proc-user and proc-group: ${errorMessage(cause)}`, { cause });
  }
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

/** In Node for ever, missing in its type declarations. */
function initgroups(user: string, group: string): void {
  const { initgroups: take } = process as { initgroups?: (user: string, group: string) => void };
  take?.call(process, user, group);
}
