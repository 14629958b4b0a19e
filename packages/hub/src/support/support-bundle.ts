import { execFile } from 'node:child_process';
import { readdir, readFile, stat } from 'node:fs/promises';
import { arch, homedir, hostname, networkInterfaces, release, userInfo, version } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { UsageError } from '@atoll/base';
import { openNameStore } from '@atoll/name-server';
import { encodeArchive } from '../backup/tape-archive.js';
import type { HubConfiguration } from '../configuration.js';
import type { Findings } from '../portal/api.js';
import { RUNNING_FILE } from '../running-file.js';
import { TurnUsers } from '../turn-users.js';
import { Redaction } from './redaction.js';

/** Bytes kept of each log, its end. */
const MAX_LOG_BYTES = 4 * 1024 * 1024;
const JOURNAL_LINES = '5000';
const JOURNAL_MS = 10_000;
/** Names struck out at most; a larger name server's names are found by their routes only. */
const MAX_NAMES = 50_000;

export interface SupportBundleFacts {
  readonly version: string;
  readonly configuration: HubConfiguration;
  readonly findings: Findings;
  /** Further log files. */
  readonly logs: readonly string[];
}

/**
 * One compressed tar archive with what somebody needs who is to help from afar: findings, configuration, logs and facts
 * of the machine, with secrets and people's names struck out. Fails with a usage error when a log cannot be read.
 */
export async function makeSupportBundle(facts: SupportBundleFacts): Promise<Buffer> {
  const { configuration, findings, logs } = facts;
  const redaction = new Redaction({
    secrets: await secretsOf(configuration),
    names: [...(await namesOf(configuration)), ...machineNames(), configuration.acmeEmail ?? ''],
  });
  const files: { path: string; bytes: Buffer }[] = [];
  const add = (path: string, content: string): void => {
    files.push({ path: `atoll-support/${path}`, bytes: Buffer.from(redaction.strike(content)) });
  };
  const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;
  add('findings.json', json(findings));
  add('configuration.json', json(configuration));
  add('machine.json', json(machineFacts(facts.version)));
  add('state.txt', await listing(configuration.state));
  const running = await readFile(join(configuration.state, RUNNING_FILE), 'utf8').catch(() => undefined);
  if (running !== undefined) add('running.json', running);
  const journal = await journalOfHub();
  if (journal !== undefined) add('journal.log', journal);
  for (const [index, path] of logs.entries()) add(`log-${index + 1}.log`, await endOf(path));
  return promisify(gzip)(encodeArchive(files));
}

/** Every secret that the hub's files hold. */
async function secretsOf(configuration: HubConfiguration): Promise<string[]> {
  const { state } = configuration;
  const named = Object.entries(configuration).filter(([key]) => /password|secret|key|account/i.test(key));
  const paths = named.map(([, value]) => value).filter((value) => typeof value === 'string');
  const texts = await Promise.all(paths.map((path) => readFile(path, 'utf8').catch(() => '')));
  const secrets = texts.flatMap((text) => [text.trim(), ...text.split('\n').map((line) => line.trim())]);
  const credentials = await readFile(join(state, 'turn-credentials.json'), 'utf8').catch(() => '{}');
  const parsed = JSON.parse(credentials) as { password?: unknown };
  if (typeof parsed.password === 'string') secrets.push(parsed.password);
  const users = await TurnUsers.open(join(state, 'turn-users.json')).catch(() => undefined);
  return [...secrets, ...(users?.all().map(({ password }) => password) ?? [])];
}

/** Names that people registered here. A database elsewhere is not asked. */
async function namesOf({ state, namesStore }: HubConfiguration): Promise<string[]> {
  const path = namesStore ?? join(state, 'names.db');
  if (/^\w+:\/\//.test(path) || (await stat(path).catch(() => undefined)) === undefined) return [];
  const store = await openNameStore(path, undefined);
  try {
    return (await store.list({ limit: MAX_NAMES })).map(({ name }) => name);
  } finally {
    await store.close();
  }
}

function machineNames(): string[] {
  const { username } = userInfo();
  const home = homedir().split('/').at(-1) ?? '';
  return [hostname(), ...(username === 'root' ? [] : [username]), ...(home === 'root' ? [] : [home])];
}

function machineFacts(atoll: string): Record<string, unknown> {
  return {
    atoll,
    node: process.version,
    system: version(),
    release: release(),
    arch: arch(),
    interfaces: networkInterfaces(),
  };
}

async function listing(state: string): Promise<string> {
  const names = await readdir(state, { recursive: true }).catch(() => []);
  const lines = await Promise.all(
    names.sort().map(async (name) => {
      const facts = await stat(join(state, name)).catch(() => undefined);
      return `${String(facts?.size ?? '?').padStart(12)} ${((facts?.mode ?? 0) & 0o777).toString(8)} ${name}`;
    }),
  );
  return `${lines.join('\n')}\n`;
}

/** The end of what systemd kept of the hub's log; undefined where there is none. */
async function journalOfHub(): Promise<string | undefined> {
  try {
    const args = ['--unit', 'atoll', '--no-pager', '--lines', JOURNAL_LINES, '--quiet'];
    const { stdout } = await promisify(execFile)('journalctl', args, {
      timeout: JOURNAL_MS,
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout === '' ? undefined : stdout;
  } catch {
    return undefined;
  }
}

async function endOf(path: string): Promise<string> {
  try {
    const bytes = await readFile(path);
    return bytes.subarray(Math.max(0, bytes.length - MAX_LOG_BYTES)).toString('utf8');
  } catch (cause) {
    throw new UsageError(`The log ${path} cannot be read.`, { cause });
  }
}
