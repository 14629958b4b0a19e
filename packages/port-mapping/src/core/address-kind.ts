import { parseIp } from '@atoll/base';

/** What an external address says of the way to the Internet. */
export type AddressKind =
  /** Reached from everywhere. */
  | 'public'
  /** That of a network at home or at work: another router follows (RFC 1918). */
  | 'private'
  /** That of a provider's own network: the provider's router follows (RFC 6598). */
  | 'carrier'
  /** The router is not connected. */
  | 'none';

/** The kind of an IPv4 address. */
export function addressKind(text: string): AddressKind {
  const ip = parseIp(text);
  if (ip === undefined || ip.length !== 4) return 'none';
  const [a = 0, b = 0] = [ip.charCodeAt(0), ip.charCodeAt(1)];
  if (a === 0 || a === 127 || a >= 224) return 'none';
  if (a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168)) return 'private';
  // DS-Lite's own range is the provider's as well (RFC 6333).
  if ((a === 100 && b >= 64 && b < 128) || text.startsWith('192.0.0.')) return 'carrier';
  if (a === 169 && b === 254) return 'none';
  return 'public';
}
