import { splitHostPort, UsageError } from '@atoll/base';
import { type AddressRange, classifyAddress, isInRange, parseRange } from './address-class.js';

/** Ports of an entry that names none: those of `http` and `https`. */
const DEFAULT_PORTS: readonly number[] = [80, 443];

/** One line of the operator's allow list: hosts on the local network that may be push services. */
interface AllowEntry {
  /** A name, lower case, or a range of addresses. */
  readonly host: string | AddressRange;
  readonly ports: readonly number[];
}

/**
 * Push services on the operator's own network that phones may name, although their addresses are private or they speak
 * no TLS: `ntfy.lan:8080`, `192.168.1.7`, `192.168.1.0/24:8080`, `[fd00::/64]:8443`. Without a port: 80 and 443.
 */
export class AllowList {
  private readonly entries: readonly AllowEntry[];

  /** Throws a usage error for an entry that cannot be read, or that would open what must never be reached. */
  constructor(texts: readonly string[]) {
    this.entries = texts.map(parseEntry);
  }

  /** Whether a host name, as the endpoint has it, is listed with this port. */
  allowsName(name: string, port: number): boolean {
    return this.entries.some(({ host, ports }) => host === name && ports.includes(port));
  }

  /** Whether an address (binary) is listed with this port. */
  allowsAddress(ip: string, port: number): boolean {
    return this.entries.some(
      ({ host, ports }) => typeof host !== 'string' && ports.includes(port) && isInRange(ip, host),
    );
  }

  /** Whether any address is listed with this port. */
  hasAddressesWith(port: number): boolean {
    return this.entries.some(({ host, ports }) => typeof host !== 'string' && ports.includes(port));
  }
}

function parseEntry(text: string): AllowEntry {
  const bare = parseRange(text);
  const { host, port } = bare === undefined ? splitHostPort(text) : { host: text, port: undefined };
  if (host === '' || port === 0 || Number.isNaN(port)) throw unreadable(text);
  const ports = port === undefined ? DEFAULT_PORTS : [port];
  const range = bare ?? parseRange(host);
  if (range === undefined) {
    // A name whose last label is a number is read as an IPv4 address by URL parsers (WHATWG URL 3.5).
    if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(host) || /(^|\.)(0x[0-9a-f]*|\d+)$/i.test(host)) throw unreadable(text);
    if (/(^|\.)localhost$/i.test(host)) throw neverAllowed(text);
    return { host: host.toLowerCase(), ports };
  }
  // Only the first address is looked at: what is special inside a wide range is refused again at each connection.
  const kind = classifyAddress(range.ip);
  if (kind !== 'public' && kind !== 'private') throw neverAllowed(text);
  return { host: range, ports };
}

function unreadable(text: string): UsageError {
  return new UsageError(
    `“${text}” cannot be an entry of the push allow list; write a host name, an address or a network, then :port if it is neither 80 nor 443.`,
  );
}

function neverAllowed(text: string): UsageError {
  return new UsageError(
    `“${text}” cannot be allowed for push: phones could make this machine talk to itself. Name a push service on this machine by its address on the local network.`,
  );
}
