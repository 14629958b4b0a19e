import { Endpoint } from '@atoll/base';
import { Certificate, InfoHash } from '@atoll/identity';
import {
  decodeCertificateData,
  decodeDhtMessage,
  decodeIpServiceAnnouncement,
  encodeIpServiceAnnouncement,
  TypeId,
} from '../wire/built-in-types.js';
import { Value } from '../wire/value.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** Largest value stored under the default policy, in bytes of {@link Value.sizeBytes}. */
export const MAX_VALUE_BYTES = 64 * 1024;

/** What a type says about storing and changing its values (protocol/dht.md 12.1). */
export interface ValueType {
  readonly id: number;
  readonly name: string;
  /** How long a value lives after it was put or refreshed, in ms. */
  readonly expirationMs: number;
  /** The value to store, possibly rewritten, or undefined to refuse. */
  store(key: InfoHash, value: Value, from: Endpoint): Value | undefined;
  /** The value to put in place of `old`, or undefined to refuse. */
  edit(key: InfoHash, old: Value, value: Value, from: Endpoint): Value | undefined;
}

const deny = (): undefined => undefined;

function storeBySize(_key: InfoHash, value: Value): Value | undefined {
  return value.sizeBytes <= MAX_VALUE_BYTES ? value : undefined;
}

/** A type whose signed values are checked and may be edited by their owner ("secure", protocol/dht.md 12.1). */
export function secureType(type: ValueType): ValueType {
  return {
    ...type,
    store(key, value, from) {
      if (!value.isSigned) return type.store(key, value, from);
      return value.verify() ? value : undefined;
    },
    edit(key, old, value, from) {
      if (!old.isSigned) return type.edit(key, old, value, from);
      if (!value.isSigned || value.owner === undefined || old.owner === undefined) return undefined;
      if (!value.owner.longId.equals(old.owner.longId) || !value.verify()) return undefined;
      if (value.seq > old.seq) return value;
      return value.seq === old.seq && value.signBytes().equals(old.signBytes()) ? value : undefined;
    },
  };
}

function storeDhtMessage(key: InfoHash, value: Value): Value | undefined {
  const message = decodeDhtMessage(value.data);
  return message !== undefined && message.service === '' ? undefined : storeBySize(key, value);
}

/** Only the port is believed: the address becomes the one that the announcement came from. */
function storeIpService(_key: InfoHash, value: Value, from: Endpoint): Value | undefined {
  const announced = decodeIpServiceAnnouncement(value.data);
  if (announced === undefined || announced.port === 0) return undefined;
  const seen = new Endpoint(from.ip, announced.port);
  return Value.plain({ id: value.id, type: TypeId.ipServiceAnnouncement, data: encodeIpServiceAnnouncement(seen) });
}

/** The key of newer peers for a certificate: SHA-1 of its 32-byte long id (protocol/dht.md 19.1). */
export function longIdKey(longId: { toBytes(): Buffer }): InfoHash {
  return InfoHash.of(longId.toBytes());
}

/** A certificate belongs at the keys of both generations, and nowhere else. */
function storeCertificate(key: InfoHash, value: Value): Value | undefined {
  if (value.sizeBytes > MAX_VALUE_BYTES) return undefined;
  const certificate = Certificate.decode(decodeCertificateData(value.data));
  if (certificate === undefined) return undefined;
  return certificate.id.equals(key) || longIdKey(certificate.longId).equals(key) ? value : undefined;
}

function editCertificate(key: InfoHash, old: Value, value: Value): Value | undefined {
  const before = Certificate.decode(decodeCertificateData(old.data));
  const after = Certificate.decode(decodeCertificateData(value.data));
  if (before === undefined || after === undefined || !before.longId.equals(after.longId)) return undefined;
  return storeCertificate(key, value);
}

function simple(id: number, name: string, expirationMs: number): ValueType {
  return secureType({ id, name, expirationMs, store: storeBySize, edit: deny });
}

/** The types that every node knows. */
export const BUILT_IN_TYPES: readonly ValueType[] = [
  simple(TypeId.userData, 'User data', 10 * MINUTE),
  secureType({
    id: TypeId.dhtMessage,
    name: 'DHT message',
    expirationMs: 5 * MINUTE,
    store: storeDhtMessage,
    edit: deny,
  }),
  {
    id: TypeId.ipServiceAnnouncement,
    name: 'Internet Service Announcement',
    expirationMs: 15 * MINUTE,
    store: storeIpService,
    edit: deny,
  },
  simple(TypeId.imMessage, 'IM message', 5 * MINUTE),
  simple(TypeId.trustRequest, 'Certificate trust request', 7 * DAY),
  simple(TypeId.iceCandidates, 'ICE candidates', MINUTE),
  {
    id: TypeId.certificate,
    name: 'Certificate',
    expirationMs: 7 * DAY,
    store: storeCertificate,
    edit: editCertificate,
  },
];

/** Types that nobody registered: kept like user data, never editable, signatures not looked at. */
const UNKNOWN_TYPE: ValueType = {
  id: -1,
  name: 'unknown',
  expirationMs: 10 * MINUTE,
  store: storeBySize,
  edit: deny,
};

/** The types of one node: the built-in ones and those an application added. */
export class ValueTypes {
  private readonly types = new Map<number, ValueType>();

  constructor(extra: readonly ValueType[] = []) {
    for (const type of [...BUILT_IN_TYPES, ...extra]) this.types.set(type.id, type);
  }

  of(value: Value): ValueType {
    return this.types.get(value.type) ?? UNKNOWN_TYPE;
  }
}
