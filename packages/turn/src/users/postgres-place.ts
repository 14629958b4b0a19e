import { existsSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { errorMessage, UsageError } from '@atoll/base';

/** Where Debian's PostgreSQL and its libpq meet. */
const SOCKET_FOLDER = '/var/run/postgresql';
const PORT = 5432;

/** What this client does without, or in its own way. */
const IGNORED = new Set([
  'connect_timeout',
  'application_name',
  'fallback_application_name',
  'client_encoding',
  'keepalives',
  'keepalives_idle',
  'keepalives_interval',
  'keepalives_count',
  'tcp_user_timeout',
  'gssencmode',
  'channel_binding',
  'sslcompression',
]);
const KNOWN = new Set([
  'host',
  'hostaddr',
  'port',
  'dbname',
  'user',
  'password',
  'options',
  'sslmode',
  'sslcert',
  'sslkey',
  'sslrootcert',
]);

/** A PostgreSQL database, as a client connects to it. */
export interface PostgresPlace {
  /** A name, an address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  /** Undefined: PostgreSQL's own `PGPASSWORD` and `~/.pgpass` are asked. */
  readonly password: string | undefined;
  readonly options: string | undefined;
  readonly encryption: 'never' | 'preferred' | 'required';
  readonly tls: {
    readonly rejectUnauthorized: boolean;
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly checkServerIdentity?: () => undefined;
  };
}

/**
 * Reads a connection string of libpq: `host=… dbname=… user=…`, or a URL `postgresql://user@host/database`. What is left
 * out comes from libpq's variables (`PGHOST` …) and usual places. Throws a usage error without the password.
 */
export function parsePostgresPlace(text: string): PostgresPlace {
  const given = /^postgres(ql)?:\/\//.test(text) ? ofUrl(text) : ofPairs(text);
  for (const name of given.keys()) {
    if (!KNOWN.has(name) && !IGNORED.has(name)) throw new UsageError(`psql-userdb: “${name}” is not taken.`);
  }
  const of = (name: string, variable: string): string | undefined =>
    given.get(name) || process.env[variable] || undefined;
  const host =
    of('hostaddr', 'PGHOSTADDR') ?? of('host', 'PGHOST') ?? (existsSync(SOCKET_FOLDER) ? SOCKET_FOLDER : 'localhost');
  const port = Number(of('port', 'PGPORT') ?? PORT);
  if (host.includes(',')) throw new UsageError('psql-userdb takes one host.');
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new UsageError('psql-userdb: the port is not one.');
  const user = of('user', 'PGUSER') ?? userInfo().username;
  const mode = of('sslmode', 'PGSSLMODE') ?? 'prefer';
  if (!['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'].includes(mode)) {
    throw new UsageError(`psql-userdb: there is no sslmode “${mode}”.`);
  }
  const file = (name: string): string | undefined => {
    const path = given.get(name);
    return path === undefined ? undefined : readPem(name, path);
  };
  const [ca, cert, key] = [file('sslrootcert'), file('sslcert'), file('sslkey')];
  return {
    host,
    port,
    user,
    database: of('dbname', 'PGDATABASE') ?? user,
    password: given.get('password'),
    options: of('options', 'PGOPTIONS'),
    encryption:
      host.startsWith('/') || mode === 'disable' || mode === 'allow'
        ? 'never'
        : mode === 'prefer'
          ? 'preferred'
          : 'required',
    tls: {
      rejectUnauthorized: mode.startsWith('verify'),
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
    },
  };
}

/** A database as it may be shown. */
export function describePlace({ host, port, user, database }: PostgresPlace): string {
  return `${database} of ${user} on ${host}${port === PORT ? '' : `, port ${port}`}`;
}

function ofPairs(text: string): Map<string, string> {
  const given = new Map<string, string>();
  const pair = /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)/gsy;
  const end = text.trimEnd().length;
  while (pair.lastIndex < end) {
    const match = pair.exec(text);
    if (match === null) {
      throw new UsageError(
        'psql-userdb takes “host=HOST dbname=DATABASE user=USER password=PASSWORD” or postgresql://USER:PASSWORD@HOST/DATABASE.',
      );
    }
    given.set(match[1] ?? '', (match[2] ?? match[3] ?? '').replace(/\\(.)/gs, '$1'));
  }
  return given;
}

function ofUrl(text: string): Map<string, string> {
  const match =
    /^[a-z]+:\/\/(?:([^:@/?]*)(?::([^@/?]*))?@)?(\[[^\]]*\]|[^:/?[\]]*)(?::(\d*))?(?:\/([^?]*))?(?:\?(.*))?$/.exec(
      text,
    );
  if (match === null)
    throw new UsageError('psql-userdb: this URL is none of postgresql://USER:PASSWORD@HOST/DATABASE.');
  const [, user, password, host, port, dbname, query = ''] = match;
  const given = new Map<string, string>();
  try {
    for (const [name, value] of Object.entries({ user, password, host: host?.replace(/^\[|\]$/g, ''), port, dbname })) {
      if (value !== undefined && value !== '') given.set(name, decodeURIComponent(value));
    }
  } catch (cause) {
    throw new UsageError('psql-userdb: a % in the URL must be written as %25.', { cause });
  }
  for (const [name, value] of new URLSearchParams(query)) given.set(name, value);
  return given;
}

function readPem(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new UsageError(`psql-userdb: ${name} ${path} cannot be read: ${errorMessage(cause)}`, { cause });
  }
}
