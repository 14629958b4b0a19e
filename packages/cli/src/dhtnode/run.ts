import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { errorMessage, type Logger, UsageError } from '@atoll/base';
import { DhtNode } from '@atoll/dht';
import type { Identity } from '@atoll/identity';
import { stopSignal } from '../stop-signal.js';
import { VERSION } from '../version.js';
import { type CommandParts, DhtnodeCommands } from './commands.js';
import { identityOf } from './identity.js';
import { fileLog, type NodeLog, noLog, stderrLog, systemLog } from './log.js';
import { type DhtnodeOptions, parseDhtnodeOptions, USAGE } from './options.js';
import { ProxyPorts } from './proxy-ports.js';
import { runningOn } from './report.js';
import { Ways } from './ways.js';

const UNLIMITED = -1;
/** The node has joined its network by then and is idle, or busy enough to need no rehearsal. */
const REHEARSE_AFTER_MS = 1500;

/** Runs a node as `dhtnode` does; resolves to the exit code. Throws a usage error for wrong arguments. */
export async function runDhtnode(args: readonly string[]): Promise<number> {
  const options = parseDhtnodeOptions(args);
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (options.version) {
    process.stdout.write(`atoll dhtnode ${VERSION}\n`);
    return 0;
  }
  if (options.daemonize) return daemonize(args);
  const log = await openLog(options);
  // As dhtnode: a closed terminal does not end it.
  process.on('SIGHUP', () => {});
  const stopped = stopSignal();
  const sink = new SwitchableLog(log.logger, options.verbose);
  try {
    const identity = await identityOf(options);
    const node = await openNode(options, identity, sink.logger);
    if (options.bootstrap !== undefined) process.stdout.write(`Bootstrap: ${options.bootstrap}\n`);
    process.stdout.write(`${runningOn(node)}\n`);
    if (identity !== undefined) process.stdout.write(`Public key ID ${identity.certificate.id}\n`);
    const proxies = new ProxyPorts(node, options, sink.logger);
    const ways = new Ways(node, options, identity, sink.logger);
    try {
      await proxies.startAll();
      if (options.service) {
        setTimeout(() => void node.rehearse(), REHEARSE_AFTER_MS).unref();
        await stopped;
      } else await interact({ node, identity, ways, proxies }, sink, stopped);
      process.stdout.write('\nStopping node...\n');
    } finally {
      await ways.close();
      await proxies.close();
      await node.close();
    }
    return 0;
  } finally {
    await log.close();
  }
}

function openNode(options: DhtnodeOptions, identity: Identity | undefined, logger: Logger): Promise<DhtNode> {
  const unlimited = options.noRateLimit
    ? {
        rateLimits: { perSecond: UNLIMITED, perSecondAndAddress: UNLIMITED },
        storageLimits: { maxKeys: 0x4000_0000, maxRemoteBytes: UNLIMITED },
      }
    : {};
  return DhtNode.open({
    port: options.port,
    networkId: options.network,
    // With a proxy nothing goes over UDP, until it is switched off.
    bootstrap: options.bootstrap === undefined || options.proxyClient !== undefined ? [] : [options.bootstrap],
    identity,
    statePath: options.persist,
    peerDiscovery: options.peerDiscovery && options.proxyClient === undefined,
    isPublicStable: options.publicStable,
    logger,
    ...unlimited,
  });
}

async function openLog(options: DhtnodeOptions): Promise<NodeLog> {
  if (options.syslog) return systemLog();
  if (options.logFile === undefined) return options.service && !options.verbose ? noLog() : stderrLog();
  try {
    return await fileLog(options.logFile);
  } catch (error) {
    throw new UsageError(`The log file ${options.logFile} cannot be written: ${errorMessage(error)}`);
  }
}

/** The log as the `log` command switches it. */
class SwitchableLog {
  readonly logger: Logger;
  private isOn: boolean;
  private only: string | undefined;

  constructor(target: Logger, isOn: boolean) {
    this.isOn = isOn;
    const pass = (message: string): boolean => this.isOn && (this.only === undefined || message.includes(this.only));
    this.logger = {
      debug: (message, fields) => pass(message) && target.debug(message, fields),
      info: (message, fields) => pass(message) && target.info(message, fields),
      warn: (message, fields) => pass(message) && target.warn(message, fields),
      error: (message, fields) => pass(message) && target.error(message, fields),
    };
  }

  toggle(key: string | undefined): void {
    this.isOn = key !== undefined || !this.isOn;
    this.only = key;
  }
}

async function interact(
  parts: Pick<CommandParts, 'node' | 'ways' | 'proxies'> & { readonly identity: Identity | undefined },
  log: SwitchableLog,
  stopped: Promise<void>,
): Promise<void> {
  process.stdout.write(" (type 'h' or 'help' for a list of possible commands)\n\n");
  const commands = new DhtnodeCommands({
    node: parts.node,
    ways: parts.ways,
    proxies: parts.proxies,
    publicKeyId: parts.identity?.certificate.id,
    out: (text) => void process.stdout.write(text),
    error: (text) => void process.stderr.write(text),
    toggleLog: (key) => log.toggle(key),
  });
  const lines = createInterface({
    input: process.stdin,
    output: process.stdout,
    prompt: '>> ',
    terminal: process.stdin.isTTY,
  });
  lines.prompt();
  lines.on('line', (line) => {
    // A terminal shows what is typed; where there is none dhtnode repeats each command before it answers.
    if (!process.stdin.isTTY) process.stdout.write(`${line}\n`);
    if (commands.run(line)) lines.prompt();
    else lines.close();
  });
  await Promise.race([closed(lines), stopped]);
  lines.close();
  commands.close();
}

async function closed(lines: Interface): Promise<void> {
  await once(lines, 'close');
}

/** Starts the same node in the background, detached from this terminal. */
async function daemonize(args: readonly string[]): Promise<number> {
  const kept = args.filter((argument) => argument !== '-d' && argument !== '--daemonize');
  const background = kept.includes('-s') || kept.includes('--service') ? kept : [...kept, '-s'];
  const logged = kept.some((argument) => argument === '-v' || argument === '--verbose');
  const hasFile = kept.some((argument) => /^(-l|--logfile)/.test(argument));
  const child = spawn(
    process.execPath,
    [process.argv[1] ?? '', 'dhtnode', ...background, ...(logged && !hasFile ? ['-L'] : [])],
    { detached: true, stdio: 'ignore' },
  );
  await once(child, 'spawn');
  child.unref();
  return 0;
}
