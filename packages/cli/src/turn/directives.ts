/** One directive of coturn's `turnserver.conf`, which is a long option of its command line as well. */
export interface Directive {
  readonly name: string;
  /** Letter on the command line. */
  readonly short?: string;
  /** What stands for the value in the help; a directive without is a switch. */
  readonly value?: string;
  /** The value may be left out. */
  readonly isValueOptional?: boolean;
  readonly text: string;
  /** Why Atoll does not have it, and what to do instead. */
  readonly missing?: string;
}

const NO_DATABASE =
  'Atoll keeps users in SQLite (userdb) or PostgreSQL (psql-userdb); copy them there with “atoll turnadmin”';
const NO_CONSOLE = 'Atoll has no telnet console; use its metrics (prometheus) and log';
const NO_WEB = 'Atoll has no web page of its own for TURN; use “atoll turnadmin”';
const ALWAYS = 'always so; accepted';

/** Every directive of coturn 4.6: what parsing, help and errors are made of. */
export const DIRECTIVES: readonly Directive[] = [
  {
    name: 'listening-device',
    short: 'd',
    value: 'NAME',
    text: 'Listener device',
    missing: 'name its addresses with listening-ip',
  },
  { name: 'listening-port', short: 'p', value: 'PORT', text: 'UDP and TCP port (3478)' },
  { name: 'tls-listening-port', value: 'PORT', text: 'TLS and DTLS port (5349)' },
  { name: 'alt-listening-port', value: 'PORT', text: 'Second port for NAT behavior discovery (listening-port + 1)' },
  {
    name: 'alt-tls-listening-port',
    value: 'PORT',
    text: 'Second TLS port',
    missing: 'NAT behavior discovery is a matter of UDP; take it out',
  },
  { name: 'tcp-proxy-port', value: 'PORT', text: 'TCP port of a load balancer that speaks the PROXY protocol 2' },
  { name: 'listening-ip', short: 'L', value: 'IP', text: 'Address to listen on; may be given several times (all)' },
  { name: 'aux-server', value: 'IP:PORT', text: 'Further UDP and TCP listener' },
  { name: 'udp-self-balance', text: 'Balance over aux-servers', missing: 'use alternate-server' },
  {
    name: 'relay-device',
    short: 'i',
    value: 'NAME',
    text: 'Relay device',
    missing: 'name its addresses with relay-ip',
  },
  {
    name: 'relay-ip',
    short: 'E',
    value: 'IP',
    text: 'Address to relay from; may be given several times (the one the client reached)',
  },
  { name: 'external-ip', short: 'X', value: 'PUBLIC[/PRIVATE]', text: 'Address that peers see, behind a NAT' },
  { name: 'allow-loopback-peers', text: 'Let 127.0.0.0/8 and ::1 be peers' },
  { name: 'no-multicast-peers', text: `Never multicast peers: ${ALWAYS}` },
  {
    name: 'relay-threads',
    short: 'm',
    value: 'N',
    text: 'Threads (0: one)',
    missing: 'Atoll relays in one process, which takes and sends datagrams in batches; take it out or write 0',
  },
  { name: 'min-port', value: 'PORT', text: 'Lowest relay port (49152)' },
  { name: 'max-port', value: 'PORT', text: 'Highest relay port (65535)' },
  { name: 'verbose', short: 'v', text: 'Log more' },
  { name: 'Verbose', short: 'V', text: 'Log more still' },
  { name: 'daemon', short: 'o', text: 'Run in the background' },
  { name: 'no-software-attribute', text: 'Do not tell clients the name of the software' },
  { name: 'prod', text: 'The same' },
  { name: 'fingerprint', short: 'f', text: 'FINGERPRINT in every answer' },
  { name: 'lt-cred-mech', short: 'a', text: 'Long-term credentials (the default)' },
  { name: 'no-auth', short: 'z', text: 'Ask nobody for credentials' },
  { name: 'user', short: 'u', value: 'NAME:PASSWORD', text: 'A user; may be given several times' },
  { name: 'realm', short: 'r', value: 'REALM', text: 'The realm (the name of this machine)' },
  { name: 'check-origin-consistency', text: 'All requests of a session name the same ORIGIN' },
  { name: 'user-quota', short: 'q', value: 'N', text: 'Allocations of one user (no bound)' },
  { name: 'total-quota', short: 'Q', value: 'N', text: 'Allocations of a realm (no bound)' },
  { name: 'max-bps', short: 's', value: 'N', text: 'Bytes a second of one session, each way (no bound)' },
  { name: 'bps-capacity', short: 'B', value: 'N', text: 'Bytes a second of all sessions (no bound)' },
  { name: 'userdb', short: 'b', value: 'FILE', text: 'SQLite user store (/var/lib/turn/turndb)' },
  { name: 'db', value: 'FILE', text: 'The same' },
  {
    name: 'psql-userdb',
    short: 'e',
    value: 'STRING',
    text: 'PostgreSQL user store: “host=… dbname=… user=…” or postgresql://USER@HOST/DATABASE',
  },
  { name: 'sql-userdb', value: 'STRING', text: 'The same' },
  { name: 'mysql-userdb', short: 'M', value: 'STRING', text: 'MySQL user store', missing: NO_DATABASE },
  { name: 'mongo-userdb', short: 'J', value: 'STRING', text: 'MongoDB user store', missing: NO_DATABASE },
  { name: 'redis-userdb', short: 'N', value: 'STRING', text: 'Redis user store', missing: NO_DATABASE },
  { name: 'redis-statsdb', short: 'O', value: 'STRING', text: 'Statistics in Redis', missing: 'use prometheus' },
  { name: 'secret-key-file', value: 'FILE', text: 'Key of an encrypted MySQL password', missing: NO_DATABASE },
  { name: 'use-auth-secret', text: 'Time-limited credentials made with a shared secret' },
  {
    name: 'static-auth-secret',
    value: 'SECRET',
    text: 'A shared secret; may be given several times (turn_secret in the user store)',
  },
  { name: 'no-auth-pings', text: `Do not ask the user store for new secrets: ${ALWAYS}` },
  { name: 'no-dynamic-ip-list', text: 'Do not read allowed and denied peers from the user store' },
  { name: 'no-dynamic-realms', text: 'Do not read realms from the user store' },
  { name: 'server-name', value: 'NAME', text: 'Name for OAuth (the realm)' },
  { name: 'oauth', text: 'Access tokens (RFC 7635), keys in the user store' },
  { name: 'cert', value: 'FILE', text: 'Certificate with its chain, PEM' },
  { name: 'pkey', value: 'FILE', text: 'Its private key, PEM' },
  { name: 'pkey-pwd', value: 'PASSWORD', text: 'Password of the private key' },
  { name: 'cipher-list', value: 'LIST', text: 'OpenSSL cipher list' },
  { name: 'CA-file', value: 'FILE', text: 'Clients need a certificate of these authorities' },
  { name: 'ec-curve-name', value: 'NAME', text: 'Curves of the key exchange' },
  { name: 'dh566', text: 'Short DH key', missing: 'it is not safe; take it out' },
  { name: 'dh1066', text: 'Short DH key', missing: 'it is not safe; take it out' },
  { name: 'dh2066', text: 'DH key', missing: 'elliptic curves are used; take it out' },
  { name: 'dh-file', value: 'FILE', text: 'DH parameters', missing: 'elliptic curves are used; take it out' },
  { name: 'no-tlsv1', text: `No TLS 1.0: ${ALWAYS}` },
  { name: 'no-tlsv1_1', text: `No TLS 1.1: ${ALWAYS}` },
  { name: 'no-tlsv1_2', text: 'No TLS 1.2, only 1.3' },
  { name: 'no-udp', text: 'No plain UDP listeners' },
  { name: 'no-tcp', text: 'No plain TCP listeners' },
  { name: 'no-tls', text: 'No TLS listeners' },
  { name: 'no-dtls', text: 'No DTLS listeners' },
  { name: 'no-udp-relay', text: 'No UDP relays' },
  { name: 'no-tcp-relay', text: 'No TCP relays (RFC 6062)' },
  { name: 'log-file', short: 'l', value: 'FILE', text: 'Log to FILE; “stdout” and “syslog” have their meaning' },
  { name: 'no-stdout-log', text: 'Log to the file only' },
  { name: 'syslog', text: 'Log to the system log' },
  { name: 'syslog-facility', value: 'NAME', text: 'Facility of the system log (daemon)' },
  { name: 'simple-log', text: `The log file has the name given: ${ALWAYS}` },
  { name: 'new-log-timestamp', text: `ISO 8601 times in the log: ${ALWAYS}` },
  {
    name: 'new-log-timestamp-format',
    value: 'FORMAT',
    text: 'Other times in the log',
    missing: 'times are ISO 8601; take it out',
  },
  { name: 'log-binding', text: 'Log Binding requests', missing: 'they are counted in the metrics; take it out' },
  {
    name: 'stale-nonce',
    value: 'SECONDS',
    isValueOptional: true,
    text: 'Lifetime of a nonce (600 where given without a value)',
  },
  { name: 'max-allocate-lifetime', value: 'SECONDS', text: 'Longest lifetime of an allocation (3600)' },
  { name: 'channel-lifetime', value: 'SECONDS', text: 'Lifetime of a channel (600)' },
  { name: 'permission-lifetime', value: 'SECONDS', text: 'Lifetime of a permission (300)' },
  { name: 'stun-only', short: 'S', text: 'STUN only' },
  { name: 'no-stun', text: 'TURN only' },
  { name: 'alternate-server', value: 'IP[:PORT]', text: 'Send UDP and TCP clients there; may be given several times' },
  { name: 'tls-alternate-server', value: 'IP[:PORT]', text: 'Send TLS and DTLS clients there' },
  {
    name: 'rest-api-separator',
    short: 'C',
    value: 'CHARACTER',
    text: 'Between time and name of time-limited users (:)',
  },
  { name: 'max-allocate-timeout', value: 'SECONDS', text: 'Time for a connection to come to an allocation (60)' },
  { name: 'allowed-peer-ip', value: 'IP[-IP]', text: 'Peers that are allowed whatever denied-peer-ip says' },
  { name: 'denied-peer-ip', value: 'IP[-IP]', text: 'Peers that are not allowed' },
  { name: 'pidfile', value: 'FILE', text: 'Write the process id to FILE' },
  { name: 'acme-redirect', value: 'URL', text: 'Redirect ACME requests', missing: 'answer them on port 80' },
  { name: 'secure-stun', text: 'Ask for credentials in Binding requests too' },
  { name: 'proc-user', value: 'NAME', text: 'Go on as this user once the ports are open' },
  { name: 'proc-group', value: 'NAME', text: 'Go on as this group once the ports are open' },
  { name: 'mobility', text: 'Clients may move to another address (RFC 8016)' },
  { name: 'keep-address-family', short: 'K', text: 'The relay has the family of the client' },
  {
    name: 'allocation-default-address-family',
    short: 'A',
    value: 'ipv4|ipv6|keep',
    text: 'Family of a relay that asks for none (ipv4)',
  },
  { name: 'no-cli', text: `No telnet console: ${ALWAYS}` },
  { name: 'cli-ip', value: 'IP', text: 'Address of the console', missing: NO_CONSOLE },
  { name: 'cli-port', value: 'PORT', text: 'Port of the console', missing: NO_CONSOLE },
  { name: 'cli-password', value: 'PASSWORD', text: 'Password of the console', missing: NO_CONSOLE },
  { name: 'cli-max-output-sessions', value: 'N', text: 'Sessions shown by the console', missing: NO_CONSOLE },
  { name: 'web-admin', text: 'Web page', missing: NO_WEB },
  { name: 'web-admin-ip', value: 'IP', text: 'Address of the web page', missing: NO_WEB },
  { name: 'web-admin-port', value: 'PORT', text: 'Port of the web page', missing: NO_WEB },
  { name: 'web-admin-listen-on-workers', text: 'Web page on TURN ports', missing: NO_WEB },
  {
    name: 'server-relay',
    text: 'Let every peer send',
    missing: 'it lets anybody in; clients ask for permissions instead',
  },
  { name: 'ne', value: '1|2|3', text: 'Network engine', missing: 'Atoll has one; take it out' },
  { name: 'no-rfc5780', text: 'No NAT behavior discovery' },
  { name: 'no-stun-backward-compatibility', text: 'No answers to clients of RFC 3489, no MAPPED-ADDRESS' },
  { name: 'response-origin-only-with-rfc5780', text: `RESPONSE-ORIGIN only with RFC 5780: ${ALWAYS}` },
  { name: 'prometheus', text: 'Metrics for Prometheus' },
  { name: 'prometheus-port', value: 'PORT', text: 'Their port (9641)' },
  {
    name: 'prometheus-username-labels',
    text: 'A series for each user',
    missing: 'names of users do not go into metrics; take it out',
  },
];

/** Options of the command line only. */
const COMMAND_LINE: readonly Directive[] = [
  {
    name: 'config',
    short: 'c',
    value: 'FILE',
    text: 'Configuration (turnserver.conf in ., etc, /usr/local/etc or /etc)',
  },
  { name: 'no-config', short: 'n', text: 'Read no configuration' },
  { name: 'check', text: 'Say whether the configuration is sound, and end' },
  { name: 'ignore-unsupported', text: 'List the directives that Atoll does not have, and go on' },
  { name: 'json', text: 'Log as one JSON object per line' },
  { name: 'version', text: 'Print the version' },
  { name: 'help', short: 'h', text: 'Print this' },
];

const ALL = [...COMMAND_LINE, ...DIRECTIVES];

export function directiveNamed(name: string): Directive | undefined {
  return ALL.find((directive) => directive.name === name);
}

export function directiveOfLetter(letter: string): Directive | undefined {
  return ALL.find((directive) => directive.short === letter);
}

/** The help text. */
export function turnUsage(): string {
  const line = ({ name, short, value, isValueOptional, text }: Directive): string => {
    const flags = `${short === undefined ? '   ' : `-${short},`} --${name}${value === undefined ? '' : isValueOptional ? `[=${value}]` : ` ${value}`}`;
    return `  ${flags.padEnd(44)} ${text}\n`;
  };
  const known = ALL.filter(({ missing }) => missing === undefined);
  const missing = ALL.filter((directive) => directive.missing !== undefined);
  return `Usage: atoll turn [options]

A STUN and TURN server with the configuration and the options of coturn's turnserver.

${known.map(line).join('')}
Not in Atoll: an error that says what to do, unless --ignore-unsupported is given:
${missing.map(({ name, missing: why }) => `  ${`--${name}`.padEnd(34)} ${why}\n`).join('')}`;
}
