import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AtollError, errorCode, errorMessage, UsageError } from '@atoll/base';
import { FIRST_SETTINGS, SERVICE, SERVICE_SETTINGS, serviceUnit } from './unit.js';

const UNIT = `${SERVICE}.service`;
const UNIT_PATH = `/etc/systemd/system/${UNIT}`;
/** Where a package puts the unit. */
const PACKAGED_UNIT_PATH = `/lib/systemd/system/${UNIT}`;

/** What systemd says of the service. */
export interface ServiceStatus {
  readonly isInstalled: boolean;
  /** As systemd has it: `active`, `activating`, `failed`, `inactive`. */
  readonly state: string;
  readonly isEnabled: boolean;
}

/** Folders that the service does not see. */
const HIDDEN = /^\/(home|root|run\/user|tmp|var\/tmp)\//;

/** This very program, as a unit starts it. Fails with a usage error where a unit cannot say it. */
export function ownCommand(): readonly string[] {
  const command = [process.execPath, fileURLToPath(new URL('../../bin/atoll.mjs', import.meta.url))];
  const odd = command.find((path) => /[\s%$"'\\]/.test(path));
  if (odd !== undefined) {
    throw new UsageError(`systemd cannot start ${odd}: move Atoll to a folder without blanks and special characters.`);
  }
  return command;
}

/** Writes the unit and settings if there are none, and starts the service now and at each start of the machine. */
export async function installService(): Promise<void> {
  needSystemd();
  const command = ownCommand();
  const hidden = command.find((path) => HIDDEN.test(path));
  if (hidden !== undefined) {
    throw new UsageError(`The service is not let into ${hidden}: move Atoll to a folder such as /opt/atoll.`);
  }
  if (existsSync(PACKAGED_UNIT_PATH)) {
    throw new UsageError('The service came with the package and is there: systemctl enable --now atoll.');
  }
  await asRoot(async () => {
    await mkdir(dirname(SERVICE_SETTINGS), { recursive: true });
    await writeFile(SERVICE_SETTINGS, FIRST_SETTINGS, { flag: 'wx' }).catch((error: unknown) => {
      if (errorCode(error) !== 'EEXIST') throw error;
    });
    await writeFile(UNIT_PATH, serviceUnit(command));
  });
  systemctl('daemon-reload');
  systemctl('enable', '--now', UNIT);
}

/** Stops the service and takes the unit away. State and settings stay. */
export async function removeService(): Promise<void> {
  needSystemd();
  if (!(await isOwnUnit())) {
    throw new UsageError(`There is no service at ${UNIT_PATH}; one of a package goes with it: apt remove atoll.`);
  }
  systemctl('disable', '--now', UNIT);
  await asRoot(() => rm(UNIT_PATH));
  systemctl('daemon-reload');
}

export function serviceStatus(): ServiceStatus {
  needSystemd();
  const ask = (verb: string): string => spawnSync('systemctl', [verb, UNIT], { encoding: 'utf8' }).stdout.trim();
  return {
    isInstalled: existsSync(UNIT_PATH) || existsSync(PACKAGED_UNIT_PATH),
    state: ask('is-active'),
    isEnabled: ask('is-enabled') === 'enabled',
  };
}

async function isOwnUnit(): Promise<boolean> {
  return (await readFile(UNIT_PATH, 'utf8').catch(() => '')) !== '';
}

function needSystemd(): void {
  if (existsSync('/run/systemd/system')) return;
  throw new AtollError(
    'SERVICE_NO_SYSTEMD',
    'This system is not run by systemd; let its own service manager run “atoll up”, or print the unit with --print.',
  );
}

async function asRoot(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes(errorCode(cause))) throw cause;
    throw new AtollError('SERVICE_NOT_PERMITTED', `Only root can change services: ${errorMessage(cause)}`, { cause });
  }
}

function systemctl(...args: string[]): void {
  const { status, stderr, error } = spawnSync('systemctl', args, { encoding: 'utf8' });
  if (status === 0) return;
  const why = error?.message ?? stderr.trim();
  throw new AtollError('SERVICE_SYSTEMCTL', `systemctl ${args.join(' ')} failed: ${why}`, { cause: error });
}
