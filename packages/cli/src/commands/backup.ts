import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { errorMessage, UsageError } from '@atoll/base';
import { backUpState, readConfiguration, restoreState, SETTINGS, writeAtomically } from '@atoll/hub';
import { Command } from 'commander';
import { readSecret } from '../names/read-secret.js';

interface BackupOptions {
  readonly state?: string;
  readonly config?: string;
  readonly passwordFile?: string;
  readonly json?: boolean;
}

/** `atoll backup`: a hub's state as one file. */
export function backupCommand(): Command {
  return withStateOptions(new Command('backup'))
    .description('Write everything that a hub keeps into one file, while it runs or not; - writes to the output')
    .argument('<FILE>')
    .option('--password-file <FILE>', 'Seal it with the password in FILE; - reads it from the input')
    .option('--json', 'Print JSON')
    .action(async (file: string, options: BackupOptions) => {
      const backup = await backUpState(await stateOf(options), await passwordOf(options));
      if (file === '-') {
        await new Promise<void>((resolve) => process.stdout.write(backup, () => resolve()));
        return;
      }
      await writeAtomically(file, backup);
      say(options, { file, bytes: backup.length }, `${file}: ${backup.length} bytes.`);
    });
}

/** `atoll restore`: a state from such a file. */
export function restoreCommand(): Command {
  return withStateOptions(new Command('restore'))
    .description('Make a hub’s state directory from a backup; - reads it from the input')
    .argument('<FILE>')
    .option('--password-file <FILE>', 'The password that the backup is sealed with')
    .option('--force', 'Lose what is in the state directory')
    .option('--json', 'Print JSON')
    .action(async (file: string, options: BackupOptions & { force?: boolean }) => {
      const state = await stateOf(options);
      if (file === '-' && options.passwordFile === '-') {
        throw new UsageError('The backup and its password cannot both come from the input; name a file for one.');
      }
      const backup = file === '-' ? await buffer(process.stdin) : await readBackup(file);
      const force = options.force ?? false;
      const files = await restoreState(state, backup, { password: await passwordOf(options), force });
      say(options, { state, files }, `${state}: ${files} files. Start the hub with --state ${state}.`);
    });
}

function withStateOptions(command: Command): Command {
  return command
    .option(`--state <${SETTINGS.state.value}>`, SETTINGS.state.text)
    .option('--config <FILE>', 'Settings as YAML, as given to “atoll up”');
}

async function stateOf({ state, config }: BackupOptions): Promise<string> {
  return (await readConfiguration({ state }, process.env, config)).state;
}

async function passwordOf({ passwordFile }: BackupOptions): Promise<string | undefined> {
  if (passwordFile === undefined) return undefined;
  const password = await readSecret(passwordFile);
  if (password === '') throw new UsageError(`The password file ${passwordFile} has an empty first line.`);
  return password;
}

async function readBackup(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new UsageError(`The backup ${path} cannot be read: ${errorMessage(cause)}`, { cause });
  }
}

function say({ json }: BackupOptions, facts: Readonly<Record<string, unknown>>, sentence: string): void {
  process.stdout.write(json ? `${JSON.stringify(facts)}\n` : `${sentence}\n`);
}
