import { DEFAULT_NAME_RATES } from '@atoll/name-server';
import { Command } from 'commander';
import { lookup, type RegisterOptions, register, type ServerOptions } from '../names/ask.js';
import { change, type ListOptions, list, log, type ManageOptions, reserve } from '../names/manage.js';
import { DEFAULT_PORT, DEFAULT_TLS_PORT, type ServeOptions, serve } from '../names/serve.js';
import { type StoreOptions, withStoreOptions } from '../names/store-options.js';
import { exportNames, type ImportOptions, importNames } from '../names/transfer.js';

const JSON_TEXT = 'Print JSON';

/** `atoll names`: user names. */
export function namesCommand(): Command {
  const { lookups, lookupsInAll, registrations, registrationsInAll } = DEFAULT_NAME_RATES;
  const names = new Command('names').description('Run a name server, ask one, and look after its names');
  withStoreOptions(names.command('serve'))
    .description('Run a name server alone, in the foreground')
    .option('--host <ADDR[,ADDR]>', 'Addresses to bind; all of this machine when left out')
    .option('--port <N>', 'TCP port; 0 lets the system choose', DEFAULT_PORT)
    .option('--tls-port <N>', 'TCP port over TLS, opened with --certificate', DEFAULT_TLS_PORT)
    .option('--certificate <FILE>', 'Certificate (PEM, with its chain); taken anew when it changes')
    .option('--private-key <FILE>', 'Private key (PEM) of the certificate')
    .option('--base-path <PATH>', 'Path before the routes, such as /names')
    .option('--upstream <URL>', 'Name server to ask for names that are not known here; none when left out')
    .option('--approval', 'Registrations wait until the operator approves them')
    .option('--allow-look-alikes', 'Take names that look like registered ones')
    .option('--unicode', 'Take names in any one script; apps before 2025 know only a-z, 0-9, - and _')
    .option('--read-only', 'Take no registrations')
    .option('--lookup-rate <N>', 'Look-ups of one client address each second', String(lookups))
    .option('--lookup-rate-in-all <N>', 'Look-ups of all clients each second', String(lookupsInAll))
    .option('--registration-rate <N>', 'Registrations of one client address each second', String(registrations))
    .option('--registration-rate-in-all <N>', 'Registrations of all clients each second', String(registrationsInAll))
    .option('--trusted-proxies <LIST>', 'Reverse proxies whose X-Forwarded-For is believed')
    .option('--ready-file <FILE>', 'Write the address as JSON to FILE once it answers')
    .option('--json', 'Log as one JSON object per line')
    .action((options: ServeOptions) => serve(options));
  withServerOptions(names.command('lookup'))
    .description('Whom a name leads to, or the name of a Jami id; NAME@SERVER asks another server')
    .argument('<NAME-OR-ID>')
    .action((text: string, options: ServerOptions) => lookup(text, options));
  withServerOptions(names.command('register'))
    .description('Register a name for the key of a Jami account')
    .argument('<NAME>')
    .requiredOption('--key <FILE>', 'Private key of the account (PEM)')
    .option('--password-file <FILE>', 'File with the password of the key; - reads it from the input')
    .action((name: string, options: RegisterOptions) => register(name, options));
  withStoreOptions(names.command('list'))
    .description('The names of this server')
    .option('--waiting', 'Only those that wait for approval')
    .option('--reserved', 'The reserved names')
    .option('--json', `${JSON_TEXT}, one object per line`)
    .action((options: ListOptions) => list(options));
  withStoreOptions(names.command('export'))
    .description('Write all names with their proofs, one JSON object per line; - writes to the output')
    .argument('<FILE>')
    .action((file: string, options: StoreOptions) => exportNames(file, options));
  withStoreOptions(names.command('import'))
    .description('Take names from an export; what is there already stays')
    .argument('<FILE>')
    .option('--unsigned', 'Also take names without a signature')
    .option('--json', JSON_TEXT)
    .action((file: string, options: ImportOptions) => importNames(file, options));
  for (const [kind, description] of [
    ['delete', 'Delete names; they can be registered again'],
    ['approve', 'Approve names that wait'],
    ['reject', 'Reject names that wait'],
  ] as const) {
    withStoreOptions(names.command(kind))
      .description(description)
      .argument('<NAME...>')
      .option('--json', JSON_TEXT)
      .action((which: string[], options: ManageOptions) => change(kind, which, options));
  }
  withStoreOptions(names.command('reserve'))
    .description('Keep names, and what looks like them, from being registered')
    .argument('<NAME...>')
    .option('--note <TEXT>', 'Why')
    .option('--remove', 'Give them free again')
    .option('--json', JSON_TEXT)
    .action((which: string[], options: ManageOptions & { note?: string; remove?: boolean }) => reserve(which, options));
  withStoreOptions(names.command('log'))
    .description('The newest changes, newest first')
    .option('--limit <N>', 'How many', '100')
    .option('--json', `${JSON_TEXT}, one object per line`)
    .action((options: ManageOptions & { limit: string }) => log(options));
  return names;
}

function withServerOptions(command: Command): Command {
  return command
    .option('--server <URL>', 'The name server; ATOLL_NAME_SERVER when left out')
    .option('--authority <FILE>', 'Authorities (PEM) whose certificates are taken, instead of the system’s')
    .option('--json', JSON_TEXT);
}
