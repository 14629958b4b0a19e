import { InfoHash } from '@atoll/identity';

/**
 * The DHT key that a path segment means, as sent, without percent-decoding: its first forty characters when they are
 * hex digits and not all zero, else the hash of its bytes (protocol/dht-proxy.md 4). Same rule as for a person's text.
 */
export function keyOfSegment(segment: string): InfoHash {
  const parsed = InfoHash.parse(segment);
  return parsed.isZero ? InfoHash.of(Buffer.from(segment, 'latin1')) : parsed;
}
