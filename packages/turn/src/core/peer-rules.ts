import { type Endpoint, formatIp, parseIp } from '@atoll/base';

/** A range of addresses of one family, both ends included, as binary strings. */
export interface AddressRange {
  readonly first: string;
  readonly last: string;
}

/** Reads `10.0.0.1`, `10.0.0.0-10.0.0.255` or `10.0.0.0/24`, IPv6 alike; undefined when it is none. */
export function parseAddressRange(text: string): AddressRange | undefined {
  const [left = '', right] = text.split('-').map((part) => part.trim());
  if (right !== undefined) {
    const first = parseIp(left);
    const last = parseIp(right);
    if (first === undefined || last === undefined || first.length !== last.length || last < first) return undefined;
    return { first, last };
  }
  const [host = '', bits] = left.split('/');
  const ip = parseIp(host);
  if (ip === undefined) return undefined;
  if (bits === undefined) return { first: ip, last: ip };
  const prefix = /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
  if (!(prefix <= 8 * ip.length)) return undefined;
  const edge = (filling: number): string =>
    Array.from(ip, (character, index) => {
      const keep = Math.max(0, Math.min(8, prefix - 8 * index));
      const mask = (0xff << (8 - keep)) & 0xff;
      return String.fromCharCode((character.charCodeAt(0) & mask) | (filling & ~mask & 0xff));
    }).join('');
  return { first: edge(0), last: edge(0xff) };
}

/** As `10.0.0.1` or `10.0.0.0-10.0.0.255`. */
export function formatAddressRange({ first, last }: AddressRange): string {
  return first === last ? formatIp(first) : `${formatIp(first)}-${formatIp(last)}`;
}

function ranges(...texts: string[]): AddressRange[] {
  return texts.map((text) => {
    const range = parseAddressRange(text);
    if (range === undefined) throw new Error(`${text} is no address range`);
    return range;
  });
}

const LOOPBACK = ranges('127.0.0.0/8', '::1');
const UNSPECIFIED = ranges('0.0.0.0/8', '::');
const MULTICAST = ranges('224.0.0.0-255.255.255.255', 'ff00::/8');
/** Never a peer unless allowed by name: link-local, and where clouds serve credentials. */
const DENIED = ranges(
  '169.254.0.0/16',
  'fe80::/10',
  'fd00:ec2::254',
  'fd20:ce::254',
  '100.100.100.200',
  '192.0.0.192',
  '168.63.129.16',
);
/** Prefixes of IPv6 addresses that lead to an IPv4 address: bytes in front of it (NAT64, 6to4, IPv4-compatible). */
const EMBEDDED: readonly { range: AddressRange; at: number }[] = [
  { range: ranges('64:ff9b::/96')[0] as AddressRange, at: 12 },
  { range: ranges('2002::/16')[0] as AddressRange, at: 2 },
  { range: ranges('::/96')[0] as AddressRange, at: 12 },
];

export interface PeerRuleOptions {
  readonly allowed: readonly AddressRange[];
  readonly denied: readonly AddressRange[];
  readonly allowsLoopback: boolean;
  readonly allowsMulticast: boolean;
}

/**
 * Which addresses may be peers. Loopback, the unspecified address and multicast never, unless an option says so; of the
 * rest what is allowed by name, then nothing that is denied by name, link-local or a cloud's metadata service.
 */
export class PeerRules {
  private options: PeerRuleOptions;
  private readonly own = new Set<string>();

  constructor(options: PeerRuleOptions) {
    this.options = options;
  }

  /** Replaces the ranges, e.g. after the user store was read again. */
  setRanges(allowed: readonly AddressRange[], denied: readonly AddressRange[]): void {
    this.options = { ...this.options, allowed, denied };
  }

  /** A listener of the server itself: never a peer at this port, for data would come back as requests. */
  addOwn(listener: Endpoint): void {
    this.own.add(listener.key);
  }

  removeOwn(listener: Endpoint): void {
    this.own.delete(listener.key);
  }

  /** Whether an address may be a peer. */
  allowsAddress(ip: string): boolean {
    const { allowed, denied, allowsLoopback, allowsMulticast } = this.options;
    const embedded = ip.length === 16 && ip !== LOOPBACK[1]?.first ? embeddedIpv4(ip) : undefined;
    if (embedded !== undefined && !this.allowsAddress(embedded)) return false;
    if (isIn(ip, UNSPECIFIED)) return false;
    if (!allowsLoopback && isIn(ip, LOOPBACK)) return false;
    if (!allowsMulticast && isIn(ip, MULTICAST)) return false;
    if (isIn(ip, allowed)) return true;
    return !isIn(ip, denied) && !isIn(ip, DENIED);
  }

  /** Whether a transport address may be a peer. */
  allows(peer: Endpoint): boolean {
    return !this.own.has(peer.key) && this.allowsAddress(peer.ip);
  }

  /** Whether it is a listener of the server itself. */
  isOwn(peer: Endpoint): boolean {
    return this.own.has(peer.key);
  }
}

function embeddedIpv4(ip: string): string | undefined {
  const found = EMBEDDED.find(({ range }) => ip >= range.first && ip <= range.last);
  return found === undefined ? undefined : ip.slice(found.at, found.at + 4);
}

function isIn(ip: string, list: readonly AddressRange[]): boolean {
  for (const { first, last } of list) {
    if (ip.length === first.length && ip >= first && ip <= last) return true;
  }
  return false;
}
