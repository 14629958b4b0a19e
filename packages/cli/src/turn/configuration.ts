import { existsSync, readFileSync } from 'node:fs';
import { homedir, hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { Endpoint, errorCode, splitHostPort, UsageError } from '@atoll/base';
import {
  type AddressRange,
  DEFAULT_IDLE_MS,
  LIFETIMES_MS,
  type ListenerPlace,
  nativeDtls,
  parseAddressRange,
  type StaticUser,
  type TlsSettings,
  type TurnOptions,
  type TurnServerOptions,
  turnServerDefaults,
} from '@atoll/turn';
import type { GivenDirectives } from './read-directives.js';

const PORT = 3478;
const TLS_PORT = 5349;
const STALE_NONCE_SECONDS = 600;
/** Where coturn keeps its user store. */
const USERDB_PLACES = ['/var/db/turndb', '/usr/local/var/db/turndb', '/var/lib/turn/turndb'];
const CERTIFICATE_PLACES = ['.', 'etc', '/usr/local/etc', '/etc', '/etc/turnserver'];

/** What `atoll turn` does, from coturn's directives. */
export interface TurnConfiguration {
  readonly server: Omit<TurnServerOptions, 'certificate'>;
  /** Undefined where TLS is wanted and no certificate named: one is made. */
  readonly certificate: TlsSettings | undefined;
  readonly wantsTls: boolean;
  /** Whether DTLS listeners were asked for and cannot be had. */
  readonly lacksDtls: boolean;
  readonly users: readonly StaticUser[];
  readonly userdb: string;
  /** A PostgreSQL user store instead. */
  readonly psqlUserdb: string | undefined;
  /** Whether the user store was named, and not only the usual place of one. */
  readonly isUserdbNamed: boolean;
  readonly usesSecrets: boolean;
  readonly secrets: readonly string[];
  readonly separator: string;
  readonly readsPeersFromStore: boolean;
  readonly readsRealmsFromStore: boolean;
  readonly metricsPort: number | undefined;
  readonly log: {
    readonly level: 'info' | 'debug';
    readonly isJson: boolean;
    readonly toSyslog: boolean;
    readonly facility: string;
    readonly file: string | undefined;
    readonly toStdout: boolean;
  };
  readonly pidFile: string | undefined;
  readonly user: string | undefined;
  readonly group: string | undefined;
}

/** Turns directives into a configuration; throws a usage error that names the directive which is wrong. */
export function turnConfiguration(given: GivenDirectives): TurnConfiguration {
  const realm = given.last('realm') ?? hostname();
  const addresses = listeningAddresses(given);
  const places = listenerPlaces(given, addresses);
  const logFile = given.last('log-file');
  const toSyslog = given.isOn('syslog') || logFile === 'syslog';
  const file = toSyslog || logFile === 'stdout' || logFile === '-' ? undefined : logFile;
  const { tls, dtls, ...plain } = places;
  const isDtlsOn = nativeDtls.available;
  if (
    dtls.length > 0 &&
    !isDtlsOn &&
    tls.length + plain.udp.length + plain.tcp.length + plain.proxiedTcp.length === 0
  ) {
    throw new UsageError(`Only DTLS is left to listen on, and DTLS is off: ${nativeDtls.reason}.`);
  }
  const minPort = given.number('min-port', 1, 65_535) ?? 49_152;
  const maxPort = given.number('max-port', 1, 65_535) ?? 65_535;
  if (maxPort < minPort) throw new UsageError(`max-port ${maxPort} is below min-port ${minPort}.`);
  return {
    server: {
      ...turnServerDefaults(realm),
      ...plain,
      tls,
      dtls: isDtlsOn ? dtls : [],
      relayAddresses: given.all('relay-ip').map((text) => addressOf('relay-ip', text)),
      externalAddresses: externalAddresses(given),
      minPort,
      maxPort,
      realmDefaults: {
        userQuota: given.number('user-quota', 0, 1e9) ?? 0,
        totalQuota: given.number('total-quota', 0, 1e9) ?? 0,
        maxBps: given.number('max-bps', 0, 1e12) ?? 0,
      },
      bpsCapacity: given.number('bps-capacity', 0, 1e12) ?? 0,
      allowedPeers: peerRanges(given, 'allowed-peer-ip'),
      deniedPeers: peerRanges(given, 'denied-peer-ip'),
      allowsLoopbackPeers: given.isOn('allow-loopback-peers'),
      idleMs: milliseconds(given, 'max-allocate-timeout') ?? DEFAULT_IDLE_MS,
      behavior: behavior(given),
    },
    certificate: certificate(given),
    wantsTls: tls.length > 0 || (isDtlsOn && dtls.length > 0),
    lacksDtls: dtls.length > 0 && !isDtlsOn,
    users: given.all('user').map(staticUser),
    userdb: given.last('userdb') ?? given.last('db') ?? defaultUserdb(),
    psqlUserdb: postgresStore(given),
    isUserdbNamed: given.isOn('userdb') || given.isOn('db'),
    usesSecrets: given.isOn('use-auth-secret') || given.isOn('static-auth-secret'),
    secrets: given.all('static-auth-secret'),
    separator: given.last('rest-api-separator') ?? ':',
    readsPeersFromStore: !given.isOn('no-dynamic-ip-list'),
    readsRealmsFromStore: !given.isOn('no-dynamic-realms'),
    metricsPort: given.isOn('prometheus') ? (given.number('prometheus-port', 1, 65_535) ?? 9641) : undefined,
    log: {
      level: given.isOn('verbose') || given.isOn('Verbose') ? 'debug' : 'info',
      isJson: given.isOn('json'),
      toSyslog,
      facility: given.last('syslog-facility') ?? 'daemon',
      file,
      toStdout: !toSyslog && (file === undefined || !given.isOn('no-stdout-log')),
    },
    pidFile: given.last('pidfile'),
    user: given.last('proc-user'),
    group: given.last('proc-group'),
  };
}

function postgresStore(given: GivenDirectives): string | undefined {
  const place = given.last('psql-userdb') ?? given.last('sql-userdb');
  if (place !== undefined && (given.isOn('userdb') || given.isOn('db'))) {
    throw new UsageError('userdb and psql-userdb are two user stores; take one of them out.');
  }
  return place;
}

/** The usual place of the user store: the one that is there, or where it will be made. */
export function defaultUserdb(): string {
  const found = USERDB_PLACES.find(existsSync);
  if (found !== undefined) return found;
  return process.getuid?.() === 0 ? '/var/lib/turn/turndb' : join(turnStateDirectory(), 'turndb');
}

/** Where a certificate that was made here is kept. */
export function turnStateDirectory(): string {
  const base = process.env.XDG_STATE_HOME;
  return join(base === undefined || base === '' ? join(homedir(), '.local', 'state') : base, 'atoll', 'turn');
}

function behavior(given: GivenDirectives): Partial<TurnOptions> {
  const family =
    given.last('allocation-default-address-family') ?? (given.isOn('keep-address-family') ? 'keep' : 'ipv4');
  if (!['ipv4', 'ipv6', 'keep'].includes(family)) {
    throw new UsageError(`allocation-default-address-family takes ipv4, ipv6 or keep, not “${family}”.`);
  }
  if (given.isOn('no-auth') && (given.isOn('lt-cred-mech') || given.isOn('use-auth-secret'))) {
    throw new UsageError('no-auth contradicts lt-cred-mech and use-auth-secret; take one of them out.');
  }
  const nonce = given.isOn('stale-nonce')
    ? { nonceMs: 1000 * (given.number('stale-nonce', 1, 1e9) ?? STALE_NONCE_SECONDS) }
    : {};
  return {
    ...nonce,
    isOpen: given.isOn('no-auth'),
    securesBinding: given.isOn('secure-stun'),
    stunOnly: given.isOn('stun-only'),
    turnOnly: given.isOn('no-stun'),
    maxAllocationMs: milliseconds(given, 'max-allocate-lifetime') ?? LIFETIMES_MS.maxAllocation,
    channelMs: milliseconds(given, 'channel-lifetime') ?? LIFETIMES_MS.channel,
    permissionMs: milliseconds(given, 'permission-lifetime') ?? LIFETIMES_MS.permission,
    fingerprint: given.isOn('fingerprint'),
    software: given.isOn('no-software-attribute') || given.isOn('prod') ? undefined : 'Atoll',
    mobility: given.isOn('mobility'),
    udpRelay: !given.isOn('no-udp-relay'),
    tcpRelay: !given.isOn('no-tcp-relay'),
    natDiscovery: !given.isOn('no-rfc5780'),
    classicStun: !given.isOn('no-stun-backward-compatibility'),
    defaultFamily: family === 'keep' ? 'keep' : family === 'ipv6' ? 6 : 4,
    oauthServerName: given.isOn('oauth') ? (given.last('server-name') ?? '') : undefined,
    originConsistency: given.isOn('check-origin-consistency'),
    alternateServers: given.all('alternate-server').map((text) => endpointOf('alternate-server', text, PORT)),
    tlsAlternateServers: given
      .all('tls-alternate-server')
      .map((text) => endpointOf('tls-alternate-server', text, TLS_PORT)),
  };
}

function listeningAddresses(given: GivenDirectives): string[] {
  const named = given.all('listening-ip').map((text) => addressOf('listening-ip', text));
  if (named.length > 0) return named;
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .map(({ address }) => address)
    .filter((address) => !address.toLowerCase().startsWith('fe80'));
}

function listenerPlaces(given: GivenDirectives, addresses: readonly string[]) {
  const port = given.number('listening-port', 1, 65_535) ?? PORT;
  const tlsPort = given.number('tls-listening-port', 1, 65_535) ?? TLS_PORT;
  const proxyPort = given.number('tcp-proxy-port', 1, 65_535);
  const at = (number: number): ListenerPlace[] => addresses.map((address) => ({ address, port: number }));
  const more = given.all('aux-server').map((text) => {
    const { host, port: own } = endpointOf('aux-server', text, PORT);
    return { address: host, port: own };
  });
  const udp = given.isOn('no-udp') ? [] : [...at(port), ...more];
  const alternate = given.number('alt-listening-port', 1, 65_535) ?? port + 1;
  // As coturn does it: a second port where there are two addresses of a family, for NAT behavior discovery.
  if (!given.isOn('no-udp') && !given.isOn('no-rfc5780')) {
    for (const isIpv6 of [false, true]) {
      const family = addresses.filter((address) => address.includes(':') === isIpv6 && !isLoopback(address));
      const all = addresses.every(isLoopback)
        ? addresses.filter((address) => address.includes(':') === isIpv6)
        : family;
      if (all.length >= 2) udp.push(...all.map((address) => ({ address, port: alternate })));
    }
  }
  return {
    udp,
    tcp: given.isOn('no-tcp') ? [] : [...at(port), ...more],
    tls: given.isOn('no-tls') ? [] : at(tlsPort),
    dtls: given.isOn('no-dtls') ? [] : at(tlsPort),
    proxiedTcp: proxyPort === undefined ? [] : at(proxyPort),
  };
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

function certificate(given: GivenDirectives): TlsSettings | undefined {
  const find = (name: string, usual: string): string | undefined =>
    given.last(name) ?? CERTIFICATE_PLACES.map((place) => join(place, usual)).find(existsSync);
  const cert = find('cert', 'turn_server_cert.pem');
  const key = find('pkey', 'turn_server_pkey.pem');
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) throw new UsageError('cert and pkey belong together: give both.');
  const authorities = given.last('CA-file');
  return {
    certificate: cert,
    privateKey: key,
    passphrase: given.last('pkey-pwd'),
    ciphers: given.last('cipher-list'),
    ecdhCurve: given.last('ec-curve-name'),
    minVersion: given.isOn('no-tlsv1_2') ? 'TLSv1.3' : 'TLSv1.2',
    authorities: authorities === undefined ? undefined : readText('CA-file', authorities),
  };
}

function readText(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new UsageError(`${name}: ${path} cannot be read: ${errorCode(cause)}.`, { cause });
  }
}

function externalAddresses(given: GivenDirectives): Map<string, string> {
  const addresses = new Map<string, string>();
  for (const text of given.all('external-ip')) {
    const [outside = '', inside] = text.split('/');
    const from = inside === undefined ? '*' : addressOf('external-ip', inside);
    addresses.set(from, addressOf('external-ip', outside));
  }
  return addresses;
}

function peerRanges(given: GivenDirectives, name: string): AddressRange[] {
  return given.all(name).map((text) => {
    const range = parseAddressRange(text);
    if (range === undefined)
      throw new UsageError(`${name} takes an address or a range as 10.0.0.1-10.0.0.9, not “${text}”.`);
    return range;
  });
}

function staticUser(text: string): StaticUser {
  const at = text.indexOf(':');
  if (at < 1) throw new UsageError('user takes a name and a password with a colon between them.');
  return { name: text.slice(0, at), password: text.slice(at + 1) };
}

function addressOf(name: string, text: string): string {
  const endpoint = Endpoint.from(text.trim(), 0);
  if (endpoint === undefined) throw new UsageError(`${name} takes an IP address, not “${text}”.`);
  return endpoint.host;
}

function endpointOf(name: string, text: string, usualPort: number): Endpoint {
  const { host, port } = splitHostPort(text);
  const endpoint = Endpoint.from(host, port ?? usualPort);
  if (endpoint === undefined || !(endpoint.port > 0 && endpoint.port < 65_536)) {
    throw new UsageError(`${name} takes an address and a port as 10.0.0.1:3478 or [fd00::1]:3478, not “${text}”.`);
  }
  return endpoint;
}

function milliseconds(given: GivenDirectives, name: string): number | undefined {
  const seconds = given.number(name, 1, 1e9);
  return seconds === undefined ? undefined : 1000 * seconds;
}
