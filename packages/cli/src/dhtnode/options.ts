import { parseArgs } from 'node:util';
import { errorMessage, UsageError } from '@atoll/base';

/** What `atoll dhtnode` was told, with the meaning of OpenDHT's `dhtnode` (protocol/dht.md 24). */
export interface DhtnodeOptions {
  readonly help: boolean;
  readonly version: boolean;
  readonly port: number;
  readonly network: number;
  readonly bootstrap: string | undefined;
  readonly generateIdentity: boolean;
  readonly saveIdentity: string | undefined;
  readonly certificate: string | undefined;
  readonly privateKey: string | undefined;
  readonly privateKeyPassword: string | undefined;
  readonly verbose: boolean;
  readonly logFile: string | undefined;
  readonly syslog: boolean;
  readonly daemonize: boolean;
  readonly service: boolean;
  readonly peerDiscovery: boolean;
  readonly noRateLimit: boolean;
  readonly publicStable: boolean;
  readonly persist: string | undefined;
  /** Ports of the proxy server, plain and TLS. */
  readonly proxyPort: number | undefined;
  readonly proxyTlsPort: number | undefined;
  readonly proxyAddress: string | undefined;
  readonly proxyCertificate: string | undefined;
  readonly proxyPrivateKey: string | undefined;
  readonly proxyPrivateKeyPassword: string | undefined;
  /** Use this proxy instead of UDP. */
  readonly proxyClient: string | undefined;
  /** Listen by pushes to this token. */
  readonly deviceKey: string | undefined;
  readonly pushServer: string | undefined;
  readonly bundleId: string | undefined;
}

const FLAGS = {
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'V' },
  port: { type: 'string', short: 'p' },
  net: { type: 'string', short: 'n' },
  bootstrap: { type: 'string', short: 'b', multiple: true },
  identity: { type: 'boolean', short: 'i' },
  'save-identity': { type: 'string', short: 'I' },
  certificate: { type: 'string', short: 'c' },
  privkey: { type: 'string', short: 'k' },
  'privkey-password': { type: 'string', short: 'm' },
  verbose: { type: 'boolean', short: 'v' },
  logfile: { type: 'string', short: 'l' },
  syslog: { type: 'boolean', short: 'L' },
  daemonize: { type: 'boolean', short: 'd' },
  service: { type: 'boolean', short: 's' },
  'peer-discovery': { type: 'boolean', short: 'D' },
  'no-rate-limit': { type: 'boolean', short: 'U' },
  'public-stable': { type: 'boolean', short: 'P' },
  persist: { type: 'string', short: 'f' },
  proxyserver: { type: 'string', short: 'S' },
  proxyserverssl: { type: 'string', short: 'e' },
  'proxy-addr': { type: 'string', short: 'a' },
  'proxy-certificate': { type: 'string', short: 'w' },
  'proxy-privkey': { type: 'string', short: 'K' },
  'proxy-privkey-password': { type: 'string', short: 'M' },
  proxyclient: { type: 'string', short: 'C' },
  pushserver: { type: 'string', short: 'y' },
  devicekey: { type: 'string', short: 'z' },
  bundleid: { type: 'string', short: 'u' },
  // Accepted and ignored by dhtnode too.
  compat: { type: 'boolean', short: 'O' },
} as const;

/** Help text. */
export const USAGE = `Usage: atoll dhtnode [options]

A DHT node with the options of OpenDHT's dhtnode. Without -s or -d it reads commands ('h' lists them).

  -p, --port N               UDP port; 0 or left out: any (the one of last time with -f)
  -n, --net N                network id, decimal, 0x hexadecimal or 0 octal
  -b, --bootstrap HOST[:PORT] join the network through this node (port 4222 when left out)
  -D, --peer-discovery       find other nodes on the LAN, and be found
  -f, --persist FILE         keep node id, known nodes and values in FILE
  -s, --service              no commands: run until SIGINT or SIGTERM
  -d, --daemonize            run in the background
  -U, --no-rate-limit        no limits on requests, searches and stored bytes
  -P, --public-stable        a node that is always there: renews listens seldom
  -i, --identity             make an identity, to sign and encrypt values
  -I, --save-identity PATH   with -i: write PATH.pem, PATH.crt, PATH_ca.pem and PATH_ca.crt
  -c, --certificate FILE     use this certificate, with
  -k, --privkey FILE         its private key and
  -m, --privkey-password P   the key's password
  -v, --verbose              log to stderr
  -l, --logfile FILE         log to FILE (implies -v)
  -L, --syslog               log to the system log (implies -v)
  -S, --proxyserver PORT     run a DHT proxy on this TCP port
  -e, --proxyserverssl PORT  run a DHT proxy over TLS, with
  -w, --proxy-certificate FILE, -K, --proxy-privkey FILE, -M, --proxy-privkey-password P
  -a, --proxy-addr ADDRESS   bind the proxy to this address
  -y, --pushserver HOST:PORT push gateway for the proxy's phones
  -u, --bundleid ID          push topic of iPhones that name none
  -C, --proxyclient URL      use this DHT proxy instead of UDP
  -z, --devicekey TOKEN      with -C: listen by pushes to this token
  -h, --help                 print this and exit
  -V, --version              print the version and exit
`;

/** Reads the arguments; throws a usage error with one line for a wrong one. */
export function parseDhtnodeOptions(args: readonly string[]): DhtnodeOptions {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (cause) {
    throw new UsageError(`${errorMessage(cause).split('. ')[0]}; “atoll dhtnode -h” lists the options.`, { cause });
  }
  if ((values.certificate === undefined) !== (values.privkey === undefined)) {
    throw new UsageError('-c and -k belong together: a certificate and its private key.');
  }
  if ((values['proxy-certificate'] === undefined) !== (values['proxy-privkey'] === undefined)) {
    throw new UsageError('--proxy-certificate and --proxy-privkey belong together: a certificate and its private key.');
  }
  if (values.proxyserverssl !== undefined && values['proxy-certificate'] === undefined) {
    throw new UsageError('--proxyserverssl needs --proxy-certificate and --proxy-privkey.');
  }
  return {
    help: values.help ?? false,
    version: values.version ?? false,
    port: wholeNumber(values.port, '-p', 65_535) ?? 0,
    network: wholeNumber(decimalOf(values.net), '-n', 0xffff_ffff) ?? 0,
    bootstrap: values.bootstrap?.at(-1)?.replace(/^=/, ''),
    generateIdentity: values.identity ?? false,
    saveIdentity: values['save-identity'],
    certificate: values.certificate,
    privateKey: values.privkey,
    privateKeyPassword: values['privkey-password'],
    verbose: (values.verbose ?? false) || (values.syslog ?? false) || values.logfile !== undefined,
    logFile: values.logfile,
    syslog: values.syslog ?? false,
    daemonize: values.daemonize ?? false,
    service: values.service ?? false,
    peerDiscovery: values['peer-discovery'] ?? false,
    noRateLimit: values['no-rate-limit'] ?? false,
    publicStable: values['public-stable'] ?? false,
    persist: values.persist,
    proxyPort: wholeNumber(values.proxyserver, '--proxyserver', 65_535),
    proxyTlsPort: wholeNumber(values.proxyserverssl, '--proxyserverssl', 65_535),
    proxyAddress: values['proxy-addr'],
    proxyCertificate: values['proxy-certificate'],
    proxyPrivateKey: values['proxy-privkey'],
    proxyPrivateKeyPassword: values['proxy-privkey-password'],
    proxyClient: values.proxyclient,
    deviceKey: values.devicekey,
    pushServer: values.pushserver,
    bundleId: values.bundleid,
  };
}

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: FLAGS, strict: true, allowPositionals: false }).values;
}

/** A leading 0 makes a network id octal, as for dhtnode. */
function decimalOf(text: string | undefined): string | undefined {
  return text !== undefined && /^0[0-7]+$/.test(text) ? String(Number.parseInt(text, 8)) : text;
}

function wholeNumber(text: string | undefined, flag: string, most: number): number | undefined {
  if (text === undefined) return undefined;
  const number = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
  if (Number.isInteger(number) && number <= most) return number;
  throw new UsageError(`${flag} takes a number from 0 to ${most}, not “${text}”.`);
}
