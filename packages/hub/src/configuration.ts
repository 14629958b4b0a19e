import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Endpoint, errorCode, errorMessage, UsageError } from '@atoll/base';
import { DEFAULT_PORT, parseBootstrap } from '@atoll/dht';
import { DEFAULT_NAME_RATES } from '@atoll/name-server';
import * as v from 'valibot';
import { parse as parseYaml } from 'yaml';
import { MAX_ACME_NAMES } from './acme/acme-client.js';

const list = v.pipe(
  v.union([v.string(), v.array(v.string())]),
  v.transform((value) => (typeof value === 'string' ? value.split(/[;,]/) : value)),
  v.transform((values) => values.map((value) => value.trim()).filter((value) => value !== '')),
);
const whole = (least: number, most: number, what: string) =>
  v.pipe(
    v.union([v.number(), v.pipe(v.string(), v.regex(/^(0x[0-9a-f]+|\d+)$/i, what), v.transform(Number))], what),
    v.integer(what),
    v.minValue(least, what),
    v.maxValue(most, what),
  );

const rate = (flag: string) => {
  const what = `${flag} takes a number above 0`;
  const number = v.pipe(v.string(), v.regex(/^\d+(\.\d+)?$/, what), v.transform(Number));
  return v.pipe(v.union([v.number(), number], what), v.gtValue(0, what), v.finite(what));
};
const truth = (flag: string) =>
  v.union(
    [
      v.boolean(),
      v.pipe(
        v.picklist(['true', 'false'], `${flag} takes true or false`),
        v.transform((value) => value === 'true'),
      ),
    ],
    `${flag} takes true or false`,
  );
/** Names that a public authority can look at: no wildcards, which want more than HTTP, and no addresses. */
const DOMAIN = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$/;
const text = (flag: string) => v.optional(v.pipe(v.string(), v.minLength(1, `${flag} must not be empty`)));

/** One setting: how it is checked, named in each place, and described. The only list of settings there is. */
interface Setting<S extends v.GenericSchema> {
  readonly schema: S;
  readonly fallback: v.InferOutput<S>;
  /** Command-line flag without dashes; the YAML key is the property's name, the variable `ATOLL_` and the flag. */
  readonly flag: string;
  /** What stands for the value in the help. */
  readonly value: string;
  readonly text: string;
}

function setting<S extends v.GenericSchema>(entry: Setting<S>): Setting<S> {
  return entry;
}

/** Every setting of a hub. */
export const SETTINGS = {
  state: setting({
    schema: v.pipe(v.string(), v.minLength(1, 'the state directory must be named')),
    fallback: defaultState(),
    flag: 'state',
    value: 'DIR',
    text: 'State directory: everything the hub keeps between runs',
  }),
  host: setting({
    schema: v.pipe(
      list,
      v.check(
        (hosts) => hosts.every((host) => Endpoint.from(host, 0) !== undefined),
        'host takes IP addresses, separated by commas',
      ),
    ),
    fallback: [] as string[],
    flag: 'host',
    value: 'ADDR[,ADDR]',
    text: 'Addresses to bind and to tell people; all of this machine when left out',
  }),
  dhtPort: setting({
    schema: whole(0, 65_535, 'dht-port takes a number from 0 to 65535'),
    fallback: DEFAULT_PORT,
    flag: 'dht-port',
    value: 'N',
    text: 'UDP port of the DHT node; 0 lets the system choose',
  }),
  network: setting({
    schema: whole(0, 0xffff_ffff, 'network takes a number from 0 to 4294967295'),
    fallback: 0,
    flag: 'network',
    value: 'ID',
    text: 'Network id: nodes of another id do not hear us; 0 is what Jami apps use',
  }),
  bootstrap: setting({
    schema: v.pipe(
      list,
      v.check(
        (hosts) => hosts.every(isBootstrap),
        'bootstrap takes host, host:port or [IPv6]:port, separated by semicolons',
      ),
    ),
    fallback: [] as string[],
    flag: 'bootstrap',
    value: 'LIST',
    text: 'Other nodes to join, as a;b:port; none is needed on a LAN',
  }),
  peerDiscovery: setting({
    schema: truth('peer-discovery'),
    fallback: true,
    flag: 'peer-discovery',
    value: 'true|false',
    text: 'Find other nodes on the LAN, and be found',
  }),
  bridge: setting({
    schema: truth('bridge'),
    fallback: true,
    flag: 'bridge',
    value: 'true|false',
    text: 'Let Jami apps of before and after 2025 find each other',
  }),
  portMap: setting({
    schema: truth('port-map'),
    fallback: false,
    flag: 'port-map',
    value: 'true|false',
    text: 'Have the router let people outside reach the hub, while it runs (PCP, NAT-PMP or UPnP)',
  }),
  hubName: setting({
    schema: text('hub-name'),
    fallback: undefined,
    flag: 'hub-name',
    value: 'NAME',
    text: 'What people call this hub; the name of the machine when left out',
  }),
  portal: setting({
    schema: truth('portal'),
    fallback: true,
    flag: 'portal',
    value: 'true|false',
    text: 'Run the portal: the page that shows how to join, and what the hub does',
  }),
  portalPort: setting({
    schema: whole(0, 65_535, 'portal-port takes a number from 0 to 65535'),
    fallback: 8088,
    flag: 'portal-port',
    value: 'N',
    text: 'TCP port of the portal over HTTP: joining and trusting; 0 lets the system choose',
  }),
  portalTlsPort: setting({
    schema: whole(0, 65_535, 'portal-tls-port takes a number from 0 to 65535'),
    fallback: 8444,
    flag: 'portal-tls-port',
    value: 'N',
    text: 'TCP port of the portal over HTTPS: everything; 0 lets the system choose',
  }),
  portalNames: setting({
    schema: list,
    fallback: [] as string[],
    flag: 'portal-names',
    value: 'LIST',
    text: 'Further names under which people reach the hub, as hub.school.example',
  }),
  metricsAllow: setting({
    schema: v.pipe(
      list,
      v.check(
        (networks) => networks.every((network) => isNetwork(network)),
        'metrics-allow takes addresses and networks, as 192.168.1.5,10.0.0.0/8',
      ),
    ),
    fallback: [] as string[],
    flag: 'metrics-allow',
    value: 'LIST',
    text: 'Addresses and networks that may read /metrics of the portal, beside this machine and operators',
  }),
  mdns: setting({
    schema: truth('mdns'),
    fallback: true,
    flag: 'mdns',
    value: 'true|false',
    text: 'Be found as atoll.local, and find other hubs of the LAN',
  }),
  turn: setting({
    schema: truth('turn'),
    fallback: true,
    flag: 'turn',
    value: 'true|false',
    text: 'Run a TURN server: a way between devices that cannot reach each other',
  }),
  turnPort: setting({
    schema: whole(0, 65_535, 'turn-port takes a number from 0 to 65535'),
    fallback: 3478,
    flag: 'turn-port',
    value: 'N',
    text: 'UDP and TCP port of the TURN server; 0 lets the system choose',
  }),
  turnTlsPort: setting({
    schema: whole(0, 65_535, 'turn-tls-port takes a number from 0 to 65535'),
    fallback: 5349,
    flag: 'turn-tls-port',
    value: 'N',
    text: 'TCP and UDP port of the TURN server over TLS and DTLS, opened with --certificate; 0 lets the system choose',
  }),
  proxy: setting({
    schema: truth('proxy'),
    fallback: true,
    flag: 'proxy',
    value: 'true|false',
    text: 'Run a DHT proxy, which phones use instead of a DHT node of their own',
  }),
  proxyPort: setting({
    schema: whole(0, 65_535, 'proxy-port takes a number from 0 to 65535'),
    fallback: 8080,
    flag: 'proxy-port',
    value: 'N',
    text: 'TCP port of the DHT proxy; 0 lets the system choose',
  }),
  proxyTlsPort: setting({
    schema: whole(0, 65_535, 'proxy-tls-port takes a number from 0 to 65535'),
    fallback: 8443,
    flag: 'proxy-tls-port',
    value: 'N',
    text: 'TCP port of the DHT proxy over TLS; 0 lets the system choose',
  }),
  certificate: setting({
    schema: text('certificate'),
    fallback: undefined,
    flag: 'certificate',
    value: 'FILE',
    text: 'Certificate (PEM, with its chain) for services over TLS, in place of the hub’s own; taken anew when it changes',
  }),
  privateKey: setting({
    schema: text('private-key'),
    fallback: undefined,
    flag: 'private-key',
    value: 'FILE',
    text: 'Private key (PEM) of the certificate',
  }),
  acmeDomain: setting({
    schema: v.pipe(
      list,
      v.transform((names) => [...new Set(names.map((name) => name.toLowerCase()))]),
      v.check(
        (names) => names.length <= MAX_ACME_NAMES && names.every((name) => DOMAIN.test(name)),
        `acme-domain takes up to ${MAX_ACME_NAMES} names as hub.school.example, separated by commas`,
      ),
    ),
    fallback: [] as string[],
    flag: 'acme-domain',
    value: 'LIST',
    text: 'Get a certificate of these names by ACME, and agree to the terms of its directory; nothing is asked when left out',
  }),
  acmeDirectory: setting({
    schema: v.optional(
      v.pipe(
        v.string(),
        v.check((url) => URL.canParse(url) && url.startsWith('https://'), 'acme-directory takes a URL with https://'),
      ),
    ),
    fallback: undefined,
    flag: 'acme-directory',
    value: 'URL',
    text: 'ACME directory; that of Let’s Encrypt when left out',
  }),
  acmeEmail: setting({
    schema: v.optional(
      v.pipe(v.string(), v.regex(/^[^\s@]+@[^\s@]+$/, 'acme-email takes an address as me@school.example')),
    ),
    fallback: undefined,
    flag: 'acme-email',
    value: 'ADDRESS',
    text: 'Where the ACME directory may write to; nowhere when left out',
  }),
  acmePort: setting({
    schema: whole(1, 65_535, 'acme-port takes a number from 1 to 65535'),
    fallback: 80,
    flag: 'acme-port',
    value: 'N',
    text: 'TCP port to which port 80 of the names leads: there the ACME directory looks; may be that of the portal',
  }),
  acmeAuthority: setting({
    schema: text('acme-authority'),
    fallback: undefined,
    flag: 'acme-authority',
    value: 'FILE',
    text: 'Further authorities (PEM) that vouch for the ACME directory itself',
  }),
  proxyClientAuthority: setting({
    schema: text('proxy-client-authority'),
    fallback: undefined,
    flag: 'proxy-client-authority',
    value: 'FILE',
    text: 'Let only clients with a certificate of these authorities (PEM) use the DHT proxy over TLS',
  }),
  proxySign: setting({
    schema: truth('proxy-sign'),
    fallback: false,
    flag: 'proxy-sign',
    value: 'true|false',
    text: 'Let clients of the DHT proxy have values signed and encrypted with a key of this hub',
  }),
  unifiedPush: setting({
    schema: truth('unified-push'),
    fallback: true,
    flag: 'unified-push',
    value: 'true|false',
    text: 'Wake phones that use UnifiedPush',
  }),
  pushAllow: setting({
    schema: list,
    fallback: [] as string[],
    flag: 'push-allow',
    value: 'LIST',
    text: 'UnifiedPush distributors on this network, as ntfy.lan:8080,192.168.1.0/24',
  }),
  pushHttp: setting({
    schema: truth('push-http'),
    fallback: false,
    flag: 'push-http',
    value: 'true|false',
    text: 'Let UnifiedPush distributors on the Internet go without HTTPS',
  }),
  pushAuthority: setting({
    schema: text('push-authority'),
    fallback: undefined,
    flag: 'push-authority',
    value: 'FILE',
    text: 'Further authorities (PEM) for certificates of UnifiedPush distributors',
  }),
  pushContact: setting({
    schema: text('push-contact'),
    fallback: undefined,
    flag: 'push-contact',
    value: 'ADDRESS',
    text: 'How push services reach the operator: mailto: or https:',
  }),
  fcmAccount: setting({
    schema: text('fcm-account'),
    fallback: undefined,
    flag: 'fcm-account',
    value: 'FILE',
    text: 'Service account (JSON) of the Firebase project, to wake Android phones',
  }),
  apnsKey: setting({
    schema: text('apns-key'),
    fallback: undefined,
    flag: 'apns-key',
    value: 'FILE',
    text: 'Key file (.p8) of Apple’s developer portal, to wake iPhones',
  }),
  apnsKeyId: setting({
    schema: text('apns-key-id'),
    fallback: undefined,
    flag: 'apns-key-id',
    value: 'ID',
    text: 'Id of the key, when its file is not called AuthKey_ID.p8',
  }),
  apnsTeam: setting({
    schema: text('apns-team'),
    fallback: undefined,
    flag: 'apns-team',
    value: 'ID',
    text: 'Apple team that the key belongs to',
  }),
  apnsSandbox: setting({
    schema: truth('apns-sandbox'),
    fallback: false,
    flag: 'apns-sandbox',
    value: 'true|false',
    text: 'Use Apple’s service for apps under development',
  }),
  pushServer: setting({
    schema: text('push-server'),
    fallback: undefined,
    flag: 'push-server',
    value: 'HOST:PORT',
    text: 'Push gateway with the interface of gorush, for phones that none of the above wakes',
  }),
  pushServerForm: setting({
    schema: text('push-server-form'),
    fallback: undefined,
    flag: 'push-server-form',
    value: 'current|2.4',
    text: 'Form of the requests to the push gateway; 2.4 for one set up for OpenDHT 2.4',
  }),
  bundleId: setting({
    schema: text('bundle-id'),
    fallback: undefined,
    flag: 'bundle-id',
    value: 'ID',
    text: 'Topic of iPhones that name none',
  }),
  names: setting({
    schema: truth('names'),
    fallback: true,
    flag: 'names',
    value: 'true|false',
    text: 'Run a name server: user names instead of 40 digits',
  }),
  namesPort: setting({
    schema: whole(0, 65_535, 'names-port takes a number from 0 to 65535'),
    fallback: 8000,
    flag: 'names-port',
    value: 'N',
    text: 'TCP port of the name server; 0 lets the system choose',
  }),
  namesTlsPort: setting({
    schema: whole(0, 65_535, 'names-tls-port takes a number from 0 to 65535'),
    fallback: 8001,
    flag: 'names-tls-port',
    value: 'N',
    text: 'TCP port of the name server over TLS; 0 lets the system choose',
  }),
  namesStore: setting({
    schema: text('names-store'),
    fallback: undefined,
    flag: 'names-store',
    value: 'PLACE',
    text: 'Where names are kept: a file, or postgres://USER@HOST/DATABASE; in the state directory when left out',
  }),
  namesStorePasswordFile: setting({
    schema: text('names-store-password-file'),
    fallback: undefined,
    flag: 'names-store-password-file',
    value: 'FILE',
    text: 'File with the password of the database of names',
  }),
  namesUpstream: setting({
    schema: text('names-upstream'),
    fallback: undefined,
    flag: 'names-upstream',
    value: 'URL',
    text: 'Name server to ask for names that are not known here; none when left out',
  }),
  namesApproval: setting({
    schema: truth('names-approval'),
    fallback: false,
    flag: 'names-approval',
    value: 'true|false',
    text: 'Registrations wait until the operator approves them',
  }),
  namesLookAlikes: setting({
    schema: truth('names-look-alikes'),
    fallback: false,
    flag: 'names-look-alikes',
    value: 'true|false',
    text: 'Take names that look like registered ones',
  }),
  namesUnicode: setting({
    schema: truth('names-unicode'),
    fallback: false,
    flag: 'names-unicode',
    value: 'true|false',
    text: 'Take names in any one script; apps before 2025 know only a-z, 0-9, - and _',
  }),
  namesLookupRate: setting({
    schema: rate('names-lookup-rate'),
    fallback: DEFAULT_NAME_RATES.lookups,
    flag: 'names-lookup-rate',
    value: 'N',
    text: 'Look-ups of one client address each second',
  }),
  namesLookupRateInAll: setting({
    schema: rate('names-lookup-rate-in-all'),
    fallback: DEFAULT_NAME_RATES.lookupsInAll,
    flag: 'names-lookup-rate-in-all',
    value: 'N',
    text: 'Look-ups of all clients each second',
  }),
  namesRegistrationRate: setting({
    schema: rate('names-registration-rate'),
    fallback: DEFAULT_NAME_RATES.registrations,
    flag: 'names-registration-rate',
    value: 'N',
    text: 'Registrations of one client address each second',
  }),
  namesRegistrationRateInAll: setting({
    schema: rate('names-registration-rate-in-all'),
    fallback: DEFAULT_NAME_RATES.registrationsInAll,
    flag: 'names-registration-rate-in-all',
    value: 'N',
    text: 'Registrations of all clients each second',
  }),
  namesTrustedProxies: setting({
    schema: list,
    fallback: [] as string[],
    flag: 'names-trusted-proxies',
    value: 'LIST',
    text: 'Reverse proxies whose X-Forwarded-For is believed',
  }),
} as const;

type Settings = typeof SETTINGS;

/** The settings of one hub, checked. */
export type HubConfiguration = { readonly [K in keyof Settings]: v.InferOutput<Settings[K]['schema']> };

/** Settings as a person gave them on the command line: text, or nothing. */
export type GivenSettings = Readonly<Record<string, string | undefined>>;

/** Where the state directory keeps what was changed in the portal. */
export const PORTAL_SETTINGS = 'settings.yaml';

/** The settings that the command line or a variable gave: nothing else can change them. */
export function fixedSettings(given: GivenSettings, environment: NodeJS.ProcessEnv): Set<string> {
  return new Set(
    Object.entries(SETTINGS)
      .filter(([name, entry]) => given[name] !== undefined || environment[variableOf(entry.flag)] !== undefined)
      .map(([name]) => name),
  );
}

/**
 * The configuration from, in this order of weight, the command line, `ATOLL_…` variables, what was changed in the portal,
 * a YAML file and the defaults. Throws a usage error that names the setting and where it came from.
 */
export async function readConfiguration(
  given: GivenSettings,
  environment: NodeJS.ProcessEnv,
  file: string | undefined,
): Promise<HubConfiguration> {
  const fromFile = file === undefined ? {} : await readFileSettings(file);
  const result: Record<string, unknown> = {};
  // The state directory comes first: changes that were made in the portal lie there.
  let changes: Record<string, unknown> = {};
  let changesPath = '';
  for (const [name, entry] of Object.entries(SETTINGS)) {
    if (name !== 'state' && changesPath === '') {
      changesPath = join(String(result.state), PORTAL_SETTINGS);
      changes = await readFileSettings(changesPath, true);
    }
    const variable = variableOf(entry.flag);
    const sources: [string, unknown][] = [
      [`--${entry.flag}`, given[name]],
      [variable, environment[variable]],
      [`${name} in ${changesPath}`, changes[name]],
      [`${name} in ${file ?? 'the file'}`, fromFile[name]],
    ];
    const found = sources.find(([, value]) => value !== undefined);
    if (found === undefined) {
      result[name] = entry.fallback;
      continue;
    }
    const [where, value] = found;
    const checked = v.safeParse(entry.schema as v.GenericSchema, value);
    if (!checked.success) throw new UsageError(`${where}: ${checked.issues[0].message}.`);
    result[name] = checked.output;
  }
  return result as HubConfiguration;
}

function variableOf(flag: string): string {
  return `ATOLL_${flag.replaceAll('-', '_').toUpperCase()}`;
}

/** The settings of a YAML file, not yet checked; `mayLack`: it need not be there. Throws a usage error. */
export async function readFileSettings(path: string, mayLack = false): Promise<Record<string, unknown>> {
  let parsed: unknown;
  try {
    parsed = parseYaml(await readFile(path, 'utf8'));
  } catch (cause) {
    if (mayLack && ['ENOENT', 'ENOTDIR'].includes(errorCode(cause))) return {};
    throw new UsageError(`The configuration ${path} cannot be read: ${errorMessage(cause).split('\n')[0]}`, { cause });
  }
  if (parsed === null || parsed === undefined) return {};
  if (typeof parsed !== 'object' || Array.isArray(parsed)) {
    throw new UsageError(`The configuration ${path} must be a list of settings, each as “name: value”.`);
  }
  const unknown = Object.keys(parsed).find((name) => !(name in SETTINGS));
  if (unknown !== undefined) {
    throw new UsageError(`${path}: there is no setting “${unknown}”; there are ${Object.keys(SETTINGS).join(', ')}.`);
  }
  return { ...parsed };
}

function isBootstrap(text: string): boolean {
  try {
    parseBootstrap(text);
    return true;
  } catch {
    return false;
  }
}

function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const ip = Endpoint.from(address, 0)?.ip;
  if (ip === undefined || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= 8 * ip.length);
}

function defaultState(): string {
  const base = process.env.XDG_STATE_HOME;
  return join(base === undefined || base === '' ? join(homedir(), '.local', 'state') : base, 'atoll');
}
