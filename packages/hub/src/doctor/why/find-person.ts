import { errorMessage } from '@atoll/base';
import { type DhtBackend, type DhtNode, longIdKey, TypeId, type Value } from '@atoll/dht';
import { Certificate, InfoHash, nodeIdOf, PublicKey } from '@atoll/identity';
import { Reader } from '@atoll/msgpack';
import { type Lookup, NameClient, toAddress } from '@atoll/name-server';

/** Devices of one person that are looked at; an account has a handful. */
const MAX_DEVICES = 16;

/** What finding out about people needs. */
export interface WhyParts {
  readonly dht: Pick<DhtBackend, 'get'>;
  /** Asks the name server. */
  readonly lookup: (name: string) => Promise<Lookup>;
  /** Where a node of this id was last heard, and how long ago, ms. */
  readonly lastHeard: (
    id: InfoHash,
  ) => readonly { readonly endpoint: { readonly host: string }; readonly agoMs: number }[];
}

const LOOKUP_MS = 5000;

/** What a hub has for it: its node, and the URL of its name server if it has one. */
export function whyPartsOf(node: DhtNode, nameServer: string | undefined): WhyParts {
  const names =
    nameServer === undefined ? undefined : new NameClient({ server: nameServer, limitMs: LOOKUP_MS, cacheMs: 0 });
  return {
    dht: node,
    lookup: async (name) => names?.lookup(name) ?? { state: 'error', reason: 'there is no name server' },
    lastHeard: (id) => node.core.lastHeard(id),
  };
}

/** A device as the DHT shows it. */
export interface SeenDevice {
  /** First digits of its id, enough to tell a person's devices apart. */
  readonly device: string;
  readonly hasCertificate: boolean;
  readonly heard: { readonly address: string; readonly agoMs: number } | undefined;
}

/** What is known about somebody, or why nothing is. */
export type SeenPerson =
  | { readonly state: 'unknown' }
  | { readonly state: 'names-silent' | 'dht-silent'; readonly reason: string }
  | { readonly state: 'found'; readonly address: string; readonly devices: readonly SeenDevice[] };

/** Follows a name to a Jami id, to the devices that announce themselves, to where they were heard. */
export async function findPerson(text: string, parts: WhyParts, signal: AbortSignal): Promise<SeenPerson> {
  let address = toAddress(text);
  if (address === undefined) {
    const found = await parts.lookup(text);
    if (found.state === 'error') return { state: 'names-silent', reason: found.reason };
    if (found.state !== 'found') return { state: 'unknown' };
    address = found.address;
  }
  const id = InfoHash.parse(address);
  try {
    const values = await parts.dht.get(id, { signal });
    const announced = new Map<string, readonly InfoHash[]>();
    for (const value of values) {
      const keys = keysOfDevice(value, id);
      const [first] = keys;
      if (first !== undefined && announced.size < MAX_DEVICES) announced.set(first.toString(), keys);
    }
    const devices = await Promise.all([...announced.values()].map((keys) => lookAtDevice(keys, parts, signal)));
    return { state: 'found', address, devices };
  } catch (error) {
    return { state: 'dht-silent', reason: errorMessage(error) };
  }
}

/** Keys under which the device of an announcement puts its certificate (protocol/account.md 6.1, 7.1); empty when it is none. */
function keysOfDevice(value: Value, account: InfoHash): InfoHash[] {
  if (!value.isSigned || value.type !== 0 || !value.owner?.id.equals(account)) return [];
  const reader = new Reader(value.data);
  const keys: InfoHash[] = [];
  for (let pairs = reader.map(); pairs > 0 && !reader.failed; pairs--) {
    reader.key();
    if (reader.keyIs('dev')) keys.unshift(readHash(reader));
    else if (reader.keyIs('pk')) {
      const key = PublicKey.decode(Buffer.from(reader.blob()));
      if (key !== undefined) keys.push(longIdKey(key.longId));
    } else reader.skip();
  }
  return reader.failed ? [] : keys;
}

/** A hash as daemons write it: 20 bytes, or 40 hex digits. */
function readHash(reader: Reader): InfoHash {
  return reader.peek() === 'str' ? InfoHash.parse(reader.str()) : new InfoHash(reader.binary(InfoHash.bytes));
}

async function lookAtDevice(keys: readonly InfoHash[], parts: WhyParts, signal: AbortSignal): Promise<SeenDevice> {
  const device = (keys[0]?.toString() ?? '').slice(0, 8);
  const found = await Promise.all(keys.map((key) => parts.dht.get(key, { signal }).catch(() => [])));
  const certificate = found
    .flat()
    .filter(({ type }) => type === TypeId.certificate)
    .map(({ data }) => Certificate.decode(pemIn(data)))
    .find((each) => each !== undefined && keys[0]?.equals(each.id));
  const [heard] = certificate === undefined ? [] : parts.lastHeard(nodeIdOf(certificate));
  return {
    device,
    hasCertificate: certificate !== undefined,
    heard: heard === undefined ? undefined : { address: heard.endpoint.host, agoMs: heard.agoMs },
  };
}

/** The chain behind what stands in front of it (protocol/account.md 7.1). */
function pemIn(data: Buffer): Buffer {
  return data.subarray(Math.max(0, data.indexOf('-----BEGIN')));
}
