import { mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { AtollError, errorMessage, UsageError } from '@atoll/base';
import { longTermKey } from '@atoll/stun';
import { encryptAdminPassword, isAdminPassword, type RealmOptionName, TurnDatabase } from '@atoll/turn';
import { defaultUserdb } from './configuration.js';

const COMMANDS = {
  'generate-encrypted-password': { short: 'P' },
  key: { short: 'k' },
  add: { short: 'a' },
  'add-admin': { short: 'A' },
  delete: { short: 'd' },
  'delete-admin': { short: 'D' },
  list: { short: 'l' },
  'list-admin': { short: 'L' },
  'show-secret': { short: 'S' },
  'delete-all-secrets': {},
  'add-origin': { short: 'O' },
  'del-origin': { short: 'R' },
  'list-origins': { short: 'I' },
  'set-realm-option': { short: 'g' },
  'list-realm-options': { short: 'G' },
} as const;

type CommandName = keyof typeof COMMANDS | 'set-secret' | 'delete-secret';

const OPTIONS = {
  ...(Object.fromEntries(
    Object.entries(COMMANDS).map(([name, entry]) => [name, { type: 'boolean' as const, ...entry }]),
  ) as Record<keyof typeof COMMANDS, { type: 'boolean'; short?: string }>),
  'set-secret': { type: 'string', short: 's' },
  'delete-secret': { type: 'string', short: 'X' },
  userdb: { type: 'string', short: 'b' },
  db: { type: 'string' },
  'psql-userdb': { type: 'string', short: 'e' },
  'sql-userdb': { type: 'string' },
  user: { type: 'string', short: 'u' },
  realm: { type: 'string', short: 'r' },
  password: { type: 'string', short: 'p' },
  'password-file': { type: 'string' },
  verify: { type: 'string', short: 'v' },
  origin: { type: 'string', short: 'o' },
  'max-bps': { type: 'string' },
  'total-quota': { type: 'string' },
  'user-quota': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** What turnadmin has and Atoll has not. */
const MISSING =
  /^(-[MNJExf]|--(mysql-userdb|mongo-userdb|redis-userdb|generate-encrypted-password-aes|key-path|file-key-path))(=|$)/;

const USAGE = `Usage: atoll turnadmin [command] [options]

The user store of a TURN server, with the commands of coturn's turnadmin; the tables are coturn's own, and a server that
runs sees a change at once.

  -a, --add                    add a user, or change the password: -u -p -r
  -d, --delete                 delete a user: -u -r
  -l, --list                   list users
  -k, --key                    print the key of a user: -u -p -r
  -A, --add-admin              add an admin: -u -p [-r]
  -D, --delete-admin           delete an admin: -u
  -L, --list-admin             list admins
  -s, --set-secret SECRET      add a secret for time-limited credentials: [-r]
  -S, --show-secret            show the secrets: [-r]
  -X, --delete-secret SECRET   delete a secret: [-r]
      --delete-all-secrets     delete all secrets: [-r]
  -O, --add-origin             give an origin to a realm: -o -r
  -R, --del-origin             take it away: -o
  -I, --list-origins           list origins
  -g, --set-realm-option       set --max-bps, --total-quota or --user-quota: [-r]; 0 takes one away
  -G, --list-realm-options     list them
  -P, --generate-encrypted-password  print the encrypted form of a password: -p; with -v check one

  -b, --db, --userdb FILE      the user store (/var/lib/turn/turndb)
  -e, --psql-userdb STRING     a PostgreSQL user store: “host=… dbname=… user=…” or postgresql://USER@HOST/DATABASE
  -u, --user NAME    -r, --realm REALM    -p, --password PASSWORD    -o, --origin ORIGIN
      --password-file FILE     read the password from FILE; - reads standard input
  -h, --help                   print this
`;

interface Given {
  readonly values: ReturnType<typeof parse>;
  /** An option that the command needs. */
  need(name: 'user' | 'realm' | 'origin'): string;
  password(): string;
}

/** Runs one command of `turnadmin`; returns the exit code. */
export async function runTurnadmin(args: readonly string[]): Promise<number> {
  const missing = args.find((argument) => MISSING.test(argument));
  if (missing !== undefined) {
    throw new UsageError(
      `${missing}: Atoll keeps users in SQLite (--userdb FILE) or PostgreSQL (--psql-userdb STRING).`,
    );
  }
  const values = parse(args);
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  const names: CommandName[] = [...(Object.keys(COMMANDS) as CommandName[]), 'set-secret', 'delete-secret'];
  const chosen = names.filter((name) => values[name] !== undefined);
  const [command] = chosen;
  if (command === undefined || chosen.length > 1) {
    throw new UsageError('Give one command, as -a, -l or -d; “atoll turnadmin -h” lists them.');
  }
  const given = givenBy(values);
  if (command === 'key') return print(`0x${keyOf(given).toString('hex')}`);
  if (command === 'generate-encrypted-password') return encrypted(given);
  const database = await openStore(values);
  try {
    return await RUN[command](database, given);
  } finally {
    await database.close();
  }
}

async function openStore(values: Given['values']): Promise<TurnDatabase> {
  const [file, postgres] = [values.userdb ?? values.db, values['psql-userdb'] ?? values['sql-userdb']];
  if (postgres !== undefined && file !== undefined)
    throw new UsageError('Give one user store: --userdb or --psql-userdb.');
  if (postgres !== undefined) return TurnDatabase.openPostgres(postgres);
  const path = file ?? defaultUserdb();
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  return TurnDatabase.openFile(path);
}

const RUN: Record<
  Exclude<CommandName, 'key' | 'generate-encrypted-password'>,
  (database: TurnDatabase, given: Given) => Promise<number>
> = {
  async add(database, given) {
    await database.setKey(given.need('user'), given.need('realm'), keyOf(given));
    return 0;
  },
  async delete(database, given) {
    const [user, realm] = [given.need('user'), given.need('realm')];
    if (!(await database.deleteUser(user, realm)))
      throw new AtollError('TURN_NO_SUCH_USER', `There is no user ${user} in the realm ${realm}.`);
    return 0;
  },
  list: async (database, given) =>
    print(...(await database.users(given.values.realm ?? '')).map(({ name, realm }) => `${name}[${realm}]`)),
  async 'add-admin'(database, given) {
    await database.setAdmin(given.need('user'), given.values.realm ?? '', encryptAdminPassword(given.password()));
    return 0;
  },
  async 'delete-admin'(database, given) {
    const user = given.need('user');
    if (!(await database.deleteAdmin(user))) throw new AtollError('TURN_NO_SUCH_USER', `There is no admin ${user}.`);
    return 0;
  },
  'list-admin': async (database) =>
    print(
      ...(await database.admins()).map(({ name, realm }) =>
        realm === null || realm === '' ? name : `${name}[${realm}]`,
      ),
    ),
  async 'set-secret'(database, { values }) {
    await database.addSecret(values.realm ?? '', values['set-secret'] ?? '');
    return 0;
  },
  'show-secret': async (database, { values }) => {
    const all = (await database.allSecrets()).filter(
      ({ realm }) => values.realm === undefined || realm === values.realm,
    );
    return print(...all.map(({ realm, value }) => `${value}[${realm}]`));
  },
  async 'delete-secret'(database, { values }) {
    await database.deleteSecret(values.realm ?? '', values['delete-secret']);
    return 0;
  },
  async 'delete-all-secrets'(database, { values }) {
    await database.deleteSecret(values.realm ?? '', undefined);
    return 0;
  },
  async 'add-origin'(database, given) {
    await database.addOrigin(given.need('origin'), given.need('realm'));
    return 0;
  },
  async 'del-origin'(database, given) {
    await database.deleteOrigin(given.need('origin'));
    return 0;
  },
  'list-origins': async (database) =>
    print(...[...(await database.origins())].map(([origin, realm]) => `${origin} ==>> ${realm}`)),
  async 'set-realm-option'(database, { values }) {
    const options = (['max-bps', 'total-quota', 'user-quota'] as RealmOptionName[]).filter(
      (name) => values[name] !== undefined,
    );
    if (options.length === 0) throw new UsageError('-g needs --max-bps, --total-quota or --user-quota.');
    for (const name of options) {
      const text = values[name] ?? '';
      if (!/^\d{1,12}$/.test(text)) throw new UsageError(`--${name} takes a number, not “${text}”.`);
      await database.setRealmOption(values.realm ?? '', name, Number(text));
    }
    return 0;
  },
  'list-realm-options': async (database) =>
    print(...(await database.realmOptionRows()).map(({ realm, opt, value }) => `${opt}[${realm}]=${value}`)),
};

function encrypted(given: Given): number {
  const { verify } = given.values;
  if (verify === undefined) return print(encryptAdminPassword(given.password()));
  if (isAdminPassword(given.password(), verify)) return print('The password is right.');
  throw new AtollError('TURN_WRONG_PASSWORD', 'The password is not the one of this form.');
}

function keyOf(given: Given): Buffer {
  return longTermKey(given.need('user'), given.need('realm'), given.password());
}

function givenBy(values: Given['values']): Given {
  return {
    values,
    need(name) {
      const value = values[name];
      if (value === undefined || value === '') throw new UsageError(`This command needs --${name}.`);
      return value;
    },
    password() {
      const file = values['password-file'];
      if (file !== undefined) return readFileSync(file === '-' ? 0 : file, 'utf8').replace(/\r?\n$/, '');
      if (values.password === undefined) throw new UsageError('This command needs --password or --password-file.');
      return values.password;
    },
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, strict: true, allowPositionals: false }).values;
  } catch (cause) {
    throw new UsageError(`${errorMessage(cause).split('. ')[0]}; “atoll turnadmin -h” lists the options.`, { cause });
  }
}

function print(...lines: string[]): number {
  for (const line of lines) process.stdout.write(`${line}\n`);
  return 0;
}
