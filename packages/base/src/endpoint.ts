import { isIP } from 'node:net';
import { binaryString } from './binary.js';

/** Address family: 4 or 6. */
export type Family = 4 | 6;

/**
 * An IP address and a port, with the address as a binary string (one character per byte, 4 or 16), so that endpoints
 * and addresses compare and hash as plain strings.
 */
export class Endpoint {
  /** The address, one character (0..255) per byte: 4 for IPv4, 16 for IPv6. */
  readonly ip: string;
  /** Port, 0..65535. */
  readonly port: number;
  /** IPv6 zone (interface index) of a link-local address, else 0. */
  readonly scopeId: number;
  /** Equal for equal endpoints only; a key for maps. */
  readonly key: string;

  constructor(ip: string, port: number, scopeId = 0) {
    this.ip = ip;
    this.port = port;
    this.scopeId = scopeId;
    const key = ip + String.fromCharCode(port >> 8, port & 0xff);
    this.key = scopeId === 0 ? key : `${key}%${scopeId}`;
  }

  get family(): Family {
    return this.ip.length === 4 ? 4 : 6;
  }

  /** The address as text, with the zone where there is one. */
  get host(): string {
    const text = formatIp(this.ip);
    return this.scopeId === 0 ? text : `${text}%${this.scopeId}`;
  }

  /** `1.2.3.4:4222` or `[2001:db8::1]:4222`. */
  toString(): string {
    return this.family === 4 ? `${this.host}:${this.port}` : `[${this.host}]:${this.port}`;
  }

  /** Same address, other port. */
  withPort(port: number): Endpoint {
    return port === this.port ? this : new Endpoint(this.ip, port, this.scopeId);
  }

  /** From the text of an address; undefined when it is none. A v4-mapped IPv6 address becomes the IPv4 address. */
  static from(host: string, port: number): Endpoint | undefined {
    const [address = '', zone] = host.split('%');
    const ip = parseIp(address);
    if (ip === undefined) return undefined;
    const scopeId = zone !== undefined && /^\d+$/.test(zone) ? Number(zone) : 0;
    return new Endpoint(ip, port, ip.length === 4 ? 0 : scopeId);
  }

  /** From the 4 or 16 bytes of an address. A v4-mapped IPv6 address becomes the IPv4 address. */
  static fromBytes(bytes: Uint8Array, port: number, scopeId = 0): Endpoint {
    const ip = unmap(binaryString(bytes));
    return new Endpoint(ip, port, ip.length === 4 ? 0 : scopeId);
  }
}

const MAPPED_PREFIX = `${'\0'.repeat(10)}\xff\xff`;

function unmap(ip: string): string {
  return ip.length === 16 && ip.startsWith(MAPPED_PREFIX) ? ip.slice(12) : ip;
}

/** Binary address (4 or 16 characters) of an address text, or undefined. */
export function parseIp(text: string): string | undefined {
  const version = isIP(text);
  if (version === 4) return String.fromCharCode(...text.split('.').map(Number));
  if (version !== 6) return undefined;
  let rest = text.split('%')[0] ?? '';
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(rest);
  if (dotted) {
    const [a = 0, b = 0, c = 0, d = 0] = (dotted[2] ?? '').split('.').map(Number);
    rest = `${dotted[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const [head = '', tail] = rest.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const middle = new Array<number>(8 - before.length - after.length).fill(0);
  return unmap([...before, ...middle, ...after].map((group) => String.fromCharCode(group >> 8, group & 0xff)).join(''));
}

/** Text of a binary address; IPv6 in the shortest form (RFC 5952). */
export function formatIp(ip: string): string {
  if (ip.length === 4) {
    return `${ip.charCodeAt(0)}.${ip.charCodeAt(1)}.${ip.charCodeAt(2)}.${ip.charCodeAt(3)}`;
  }
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((ip.charCodeAt(i) << 8) | ip.charCodeAt(i + 1));
  let bestAt = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > bestLength) {
      bestAt = i;
      bestLength = end - i;
    }
    if (end > i) i = end;
  }
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return bestAt < 0 ? hex(0, 8) : `${hex(0, bestAt)}::${hex(bestAt + bestLength, 8)}`;
}

/**
 * Splits `host:port` the way OpenDHT does (protocol/dht.md 23): `[v6]:port`, `[v6]`, `host:port`, `host`; several
 * colons without brackets are a bare IPv6 address. The port is undefined when absent; NaN when it is not a number.
 */
export function splitHostPort(text: string): { host: string; port: number | undefined } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  const toPort = (port: string | undefined): number | undefined =>
    port === undefined || port === ''
      ? undefined
      : /^\d{1,5}$/.test(port) && Number(port) <= 65535
        ? Number(port)
        : Number.NaN;
  if (bracketed) return { host: bracketed[1] ?? '', port: toPort(bracketed[2]) };
  const colon = text.indexOf(':');
  if (colon < 0 || text.indexOf(':', colon + 1) >= 0) return { host: text, port: undefined };
  return { host: text.slice(0, colon), port: toPort(text.slice(colon + 1)) };
}
