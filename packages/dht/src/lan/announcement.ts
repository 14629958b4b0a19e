import { InfoHash } from '@atoll/identity';
import { Reader, Writer } from '@atoll/msgpack';

/** Name of the DHT service in announcements (protocol/peer-discovery.md 2.1). */
export const DHT_SERVICE = 'dht';
/** Services in one announcement; more is not an announcement of this protocol. */
const MAX_SERVICES = 64;

/** What the question to the group looks like: msgpack `"q"`. */
export const QUERY: Buffer = Buffer.from([0xa1, 0x71]);

/** A packet of peer discovery: a question, or services with their objects as msgpack. */
export type DiscoveryPacket =
  | { readonly kind: 'query' }
  | { readonly kind: 'announcement'; readonly services: ReadonlyMap<string, Buffer> };

/** Writes all services of this process as one map, keys in byte order (protocol/peer-discovery.md 2). */
export function encodeAnnouncement(services: ReadonlyMap<string, Buffer>): Buffer {
  const w = new Writer(256);
  w.map(services.size);
  for (const name of [...services.keys()].sort()) {
    w.str(name);
    w.raw(services.get(name) ?? Buffer.from([0xc0]));
  }
  return w.take();
}

/** Reads a packet; the objects are copies. Returns the reason when it is none. */
export function decodeDiscovery(bytes: Buffer): DiscoveryPacket | string {
  const r = new Reader(bytes);
  if (r.peek() === 'str') {
    const text = r.str();
    return r.failed || text !== 'q' ? 'text that is no query' : { kind: 'query' };
  }
  const count = r.map();
  if (count > MAX_SERVICES) return 'too many services';
  const services = new Map<string, Buffer>();
  for (let left = count; left > 0 && !r.failed; left--) {
    if (r.peek() !== 'str') {
      r.skip();
      r.skip();
      continue;
    }
    const name = r.str();
    const from = r.at;
    r.skip();
    if (!r.failed) services.set(name, Buffer.from(r.slice(from)));
  }
  return r.failure ?? { kind: 'announcement', services };
}

/** What the DHT service says: who listens on which port of which network. */
export interface DhtAnnouncement {
  readonly id: InfoHash;
  readonly port: number;
  readonly networkId: number;
}

export function encodeDhtAnnouncement({ id, port, networkId }: DhtAnnouncement): Buffer {
  const w = new Writer(64);
  w.array(3);
  w.binary(id.binary);
  w.uint(port);
  w.uint(networkId);
  return w.take();
}

export function decodeDhtAnnouncement(bytes: Buffer): DhtAnnouncement | undefined {
  const r = new Reader(bytes);
  if (r.array() < 3) return undefined;
  const announcement = {
    id: new InfoHash(r.binary(InfoHash.bytes)),
    port: r.uintUpTo(0xffff),
    networkId: r.uintUpTo(0xffff_ffff),
  };
  return r.failed || announcement.id.isZero || announcement.port === 0 ? undefined : announcement;
}
