import { parseIp } from '@atoll/base';

/**
 * What an address is to somebody who must not be sent to the wrong place.
 *
 * - `public`: a unicast address of the Internet;
 * - `private`: of a local network (RFC 1918, RFC 6598, RFC 4193): the operator may allow it;
 * - anything else is never a push service: the machine itself, its link, the cloud's metadata service, groups, ranges
 *   for documentation and protocols, and IPv6 addresses that are an IPv4 address in disguise.
 */
export type AddressClass =
  | 'public'
  | 'private'
  | 'loopback'
  | 'unspecified'
  | 'link-local'
  | 'metadata'
  | 'multicast'
  | 'reserved'
  | 'disguised';

/** Addresses in a row: those whose first `bits` are those of `ip` (binary, 4 or 16 characters). */
export interface AddressRange {
  readonly ip: string;
  readonly bits: number;
}

/** From `192.168.1.0/24`, `fd00::/8` or a single address; undefined when it is none, or has bits set behind its length. */
export function parseRange(text: string): AddressRange | undefined {
  const [address = '', length, ...more] = text.split('/');
  const ip = parseIp(address);
  if (ip === undefined || more.length > 0 || address.includes('%')) return undefined;
  const most = ip.length * 8;
  if (length === undefined) return { ip, bits: most };
  if (!/^\d{1,3}$/.test(length) || Number(length) > most) return undefined;
  const bits = Number(length);
  const isClean = [...ip].every((character, at) => (character.charCodeAt(0) & ~maskByte(bits, at) & 0xff) === 0);
  return isClean ? { ip, bits } : undefined;
}

/** Whether an address (binary) is in a range. */
export function isInRange(ip: string, range: AddressRange): boolean {
  if (ip.length !== range.ip.length) return false;
  for (let at = 0; at * 8 < range.bits; at++) {
    if (((ip.charCodeAt(at) ^ range.ip.charCodeAt(at)) & maskByte(range.bits, at)) !== 0) return false;
  }
  return true;
}

function maskByte(bits: number, at: number): number {
  const here = Math.max(0, Math.min(8, bits - at * 8));
  return (0xff << (8 - here)) & 0xff;
}

/**
 * The special ranges of IPv4 and IPv6 (IANA's special-purpose registries), the first that fits decides. What is in
 * none: `public` for IPv4, `reserved` for IPv6, of which only 2000::/3 is handed out.
 */
const RANGES: readonly (readonly [AddressClass, readonly string[]])[] = [
  // AWS, GCP, Azure, OpenStack and others at 169.254.169.254 (with all of its link); Alibaba; Azure's wire server;
  // Oracle; AWS over IPv6; GCP over IPv6.
  [
    'metadata',
    ['169.254.169.0/24', '100.100.100.200', '168.63.129.16', '192.0.0.192', 'fd00:ec2::/32', 'fd20:ce::/32'],
  ],
  ['unspecified', ['0.0.0.0/8', '::']],
  ['loopback', ['127.0.0.0/8', '::1']],
  ['link-local', ['169.254.0.0/16', 'fe80::/10', 'fec0::/10']],
  ['multicast', ['224.0.0.0/4', 'ff00::/8']],
  ['private', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7']],
  [
    'reserved',
    [
      '192.0.0.0/24',
      '192.0.2.0/24',
      '192.31.196.0/24',
      '192.52.193.0/24',
      '192.88.99.0/24',
      '192.175.48.0/24',
      '198.18.0.0/15',
      '198.51.100.0/24',
      '203.0.113.0/24',
      '240.0.0.0/4',
      '100::/64',
      '2001:2::/48',
      '2001:db8::/32',
      '3fff::/20',
      '5f00::/16',
    ],
  ],
  // IPv4-compatible and IPv4-translated, NAT64 of a local network, Teredo and the rest of 2001::/23, 6to4.
  ['disguised', ['::/96', '::ffff:0:0:0/96', '64:ff9b:1::/48', '2001::/23', '2002::/16']],
];

const SPECIAL = RANGES.flatMap(([kind, texts]) =>
  texts.map((text) => {
    const range = parseRange(text);
    if (range === undefined) throw new Error(`${text} is no range`);
    return { kind, range };
  }),
);
const NAT64 = { ip: parseIp('64:ff9b::') ?? '', bits: 96 };
const GLOBAL_UNICAST = { ip: parseIp('2000::') ?? '', bits: 3 };
/** Interface identifiers of ISATAP (RFC 5214 6.1) and what follows them: an IPv4 address. */
const ISATAP = ['\x00\x00\x5e\xfe', '\x02\x00\x5e\xfe'];
const MAPPED = `${'\0'.repeat(10)}\xff\xff`;

/** Class of an address (binary, 4 or 16 characters; a v4-mapped one is taken as the IPv4 address it stands for). */
export function classifyAddress(ip: string): AddressClass {
  if (ip.length === 16 && ip.startsWith(MAPPED)) return classifyAddress(ip.slice(12));
  const special = SPECIAL.find(({ range }) => isInRange(ip, range));
  if (special !== undefined) return special.kind;
  if (ip.length === 4) return 'public';
  if (ip.length !== 16) return 'reserved';
  // A network without IPv4 reaches IPv4 hosts through these: good when the host inside is good.
  if (isInRange(ip, NAT64)) return classifyAddress(ip.slice(12)) === 'public' ? 'public' : 'disguised';
  if (ISATAP.includes(ip.slice(8, 12))) return 'disguised';
  return isInRange(ip, GLOBAL_UNICAST) ? 'public' : 'reserved';
}
