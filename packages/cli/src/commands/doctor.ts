import { readFile } from 'node:fs/promises';
import { errorMessage, splitHostPort, UsageError } from '@atoll/base';
import { type DoctorTarget, examine, type Findings, findTarget, QUALITY_PORT, readConfiguration } from '@atoll/hub';
import { Command } from 'commander';
import { runQuality, runResponder } from '../doctor/quality.js';
import { languageOf, messagesFor } from '../messages/locale.js';

interface DoctorOptions {
  readonly state?: string;
  readonly config?: string;
  readonly hub?: string;
  readonly readyFile?: string;
  readonly network?: string;
  readonly turnUser?: string;
  readonly turnPasswordFile?: string;
  readonly turnSecretFile?: string;
  readonly turnRealm?: string;
  readonly turnTlsPort?: string;
  readonly stun?: string;
  readonly with?: string;
  readonly serve?: boolean;
  readonly port: string;
  readonly tokenFile?: string;
  readonly seconds: string;
  readonly plot?: string;
  readonly limit: string;
  readonly json?: boolean;
}

const MOST_LIMIT_MS = 60_000;

/** `atoll doctor`: what is wrong with this network, and what to do about it. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Say what is wrong with this network and what to do about it; exit code 0 when nothing is')
    .option('--hub <HOST[:PORT]>', 'The hub to look at; that of this machine when left out, else one on this network')
    .option('--ready-file <FILE>', 'Take addresses, ports and passwords from what atoll up --ready-file wrote')
    .option('--state <DIR>', 'State directory of the hub on this machine')
    .option('--config <FILE>', 'Settings of the hub as YAML')
    .option('--network <ID>', 'Network id of the hub')
    .option('--turn-user <USER>', 'User of the TURN server')
    .option('--turn-password-file <FILE>', 'File with the password of the TURN server')
    .option('--turn-secret-file <FILE>', 'File with the secret of time-limited TURN passwords')
    .option('--turn-realm <REALM>', 'Realm of the TURN server')
    .option('--turn-tls-port <N>', 'Port of the TURN server over TLS and DTLS')
    .option('--stun <ADDRESS[:PORT]>', 'STUN server with two addresses (RFC 5780), to learn the kind of NAT')
    .option('--with <HOST[:PORT]>', 'Instead, measure how video fares to HOST and back, directly and through TURN')
    .option('--serve', 'Instead, be the other side of --with, until stopped')
    .option('--port <N>', 'UDP port of --serve', String(QUALITY_PORT))
    .option('--token-file <FILE>', 'File with what both sides of --with know; the TURN password when left out')
    .option('--seconds <N>', 'How long each stream of --with lasts', '5')
    .option('--plot <FILE>', 'Draw what --with measured as SVG')
    .option('--limit <SECONDS>', 'Longest wait for an answer that should come at once', '1.5')
    .option('--json', 'Print JSON')
    .action((options: DoctorOptions) => runDoctor(options));
}

async function runDoctor(options: DoctorOptions): Promise<void> {
  const { state, network, config, hub, readyFile } = options;
  const configuration = await readConfiguration({ state, network }, process.env, config);
  const target = await findTarget({ configuration, hub, readyFile, turn: await turnOf(options) });
  const limitMs = 1000 * Number(options.limit);
  if (!(limitMs > 0 && limitMs <= MOST_LIMIT_MS)) throw new UsageError('--limit takes seconds, from 0.1 to 60.');
  if (options.serve || options.with !== undefined) {
    const token = await tokenOf(options, target);
    if (options.serve) return runResponder(portOf(options.port, '--port'), token, options.json === true);
    const { host, port = QUALITY_PORT } = splitHostPort(options.with ?? '');
    if (host === '' || Number.isNaN(port)) throw new UsageError('--with takes an address, and its port if need be.');
    const durationMs = 1000 * Number(options.seconds);
    if (!(durationMs >= 1000 && durationMs <= MOST_LIMIT_MS)) throw new UsageError('--seconds takes 1 to 60.');
    return runQuality({ host, port, token, target, durationMs, limitMs }, options);
  }
  const language = languageOf(process.env);
  const findings = await examine(target, { language, limitMs, stun: stunOf(options.stun) });
  process.stdout.write(options.json ? `${JSON.stringify(findings, undefined, 2)}\n` : textOf(findings));
  process.exitCode = findings.isWell ? 0 : 1;
}

const MARKS = { good: '✓', warning: '!', fault: '✗', unknown: '?' } as const;

function textOf({ findings, isWell }: Findings): string {
  const messages = messagesFor(process.env);
  const lines = findings.flatMap(({ severity, sentence, remedy }) => [
    `${MARKS[severity]} ${sentence}`,
    ...(remedy === undefined ? [] : [`  → ${remedy}`]),
  ]);
  return `${lines.join('\n')}\n\n${isWell ? messages.doctorWell : messages.doctorFaults}\n`;
}

async function turnOf(options: DoctorOptions): Promise<Record<string, string | number> | undefined> {
  const { turnUser, turnPasswordFile, turnSecretFile, turnRealm, turnTlsPort } = options;
  const turn = {
    ...(turnUser === undefined ? {} : { user: turnUser }),
    ...(turnPasswordFile === undefined ? {} : { password: await firstLine(turnPasswordFile) }),
    ...(turnSecretFile === undefined ? {} : { secret: await firstLine(turnSecretFile) }),
    ...(turnRealm === undefined ? {} : { realm: turnRealm }),
    ...(turnTlsPort === undefined ? {} : { tlsPort: portOf(turnTlsPort, '--turn-tls-port') }),
  };
  return Object.keys(turn).length === 0 ? undefined : turn;
}

async function tokenOf({ tokenFile }: DoctorOptions, target: DoctorTarget | undefined): Promise<string> {
  const token = tokenFile === undefined ? target?.turn?.password : await firstLine(tokenFile);
  if (token !== undefined && token !== '') return token;
  throw new UsageError('Both sides need to know a secret: give --token-file, or --ready-file with a TURN password.');
}

async function firstLine(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).split('\n')[0] ?? '';
  } catch (cause) {
    throw new UsageError(`${path} cannot be read: ${errorMessage(cause)}`, { cause });
  }
}

function portOf(text: string, option: string): number {
  const port = Number(text);
  if (!(Number.isInteger(port) && port > 0 && port <= 65_535)) throw new UsageError(`${option} takes a port number.`);
  return port;
}

const STUN_PORT = 3478;

function stunOf(text: string | undefined): { host: string; port: number } | undefined {
  if (text === undefined) return undefined;
  const { host, port = STUN_PORT } = splitHostPort(text);
  if (host === '' || Number.isNaN(port)) throw new UsageError(`“${text}” is no STUN server; write address:port.`);
  return { host, port };
}
