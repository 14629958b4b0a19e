import {
  type AttributeCodec,
  address,
  decodeErrorCode,
  encodeErrorCode,
  errorCode,
  familyNumber,
  familyOf,
  flag,
  opaque,
  text,
  uint8,
  uint16,
  uint32,
  uint64,
  xorAddress,
} from './attribute-codec.js';
import { FINGERPRINT, MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256 } from './message.js';

/** An entry of PASSWORD-ALGORITHMS (RFC 8489 section 14.11). */
export interface PasswordAlgorithm {
  /** 1 is MD5, 2 is SHA-256 (RFC 8489 section 18.5). */
  readonly number: number;
  readonly parameters: Uint8Array;
}

/** ADDRESS-ERROR-CODE (RFC 8656 section 18.12): one of two families could not be had. */
interface AddressErrorCode {
  readonly family: 4 | 6;
  readonly code: number;
  readonly reason: string;
}

/** ICMP (RFC 8656 section 18.13). */
export interface IcmpError {
  readonly type: number;
  readonly code: number;
  /** E.g. the MTU of the next hop. */
  readonly data: number;
}

/** What CHANGE-REQUEST asks for (RFC 5780 section 7.2). */
export interface ChangeRequest {
  readonly changesAddress: boolean;
  readonly changesPort: boolean;
}

function family(type: number, name: string): AttributeCodec<4 | 6> {
  return {
    type,
    name,
    encode: (value) => Buffer.from([familyNumber(value), 0, 0, 0]),
    decode: (value) => (value.length === 4 ? familyOf(value[0]) : undefined),
  };
}

const unknownAttributes: AttributeCodec<readonly number[]> = {
  type: 0x000a,
  name: 'UNKNOWN-ATTRIBUTES',
  encode(types) {
    const bytes = Buffer.alloc(2 * types.length);
    types.forEach((type, index) => {
      bytes.writeUInt16BE(type, 2 * index);
    });
    return bytes;
  },
  decode(value) {
    if (value.length % 2 !== 0) return undefined;
    return Array.from({ length: value.length / 2 }, (_, index) => value.readUInt16BE(2 * index));
  },
};

function encodeAlgorithm({ number, parameters }: PasswordAlgorithm): Buffer {
  const bytes = Buffer.alloc(4 + ((parameters.length + 3) & ~3));
  bytes.writeUInt16BE(number, 0);
  bytes.writeUInt16BE(parameters.length, 2);
  bytes.set(parameters, 4);
  return bytes;
}

function decodeAlgorithms(value: Buffer): PasswordAlgorithm[] | undefined {
  const algorithms: PasswordAlgorithm[] = [];
  for (let at = 0; at < value.length; ) {
    if (at + 4 > value.length) return undefined;
    const length = value.readUInt16BE(at + 2);
    if (at + 4 + length > value.length) return undefined;
    algorithms.push({ number: value.readUInt16BE(at), parameters: value.subarray(at + 4, at + 4 + length) });
    at += 4 + ((length + 3) & ~3);
  }
  return algorithms.length > 0 ? algorithms : undefined;
}

const addressErrorCode = (type: number, name: string): AttributeCodec<AddressErrorCode> => ({
  type,
  name,
  encode(value) {
    const bytes = encodeErrorCode(value.code, value.reason);
    bytes[0] = familyNumber(value.family);
    return bytes;
  },
  decode(value) {
    const code = decodeErrorCode(value);
    const of = familyOf(value[0]);
    if (code === undefined || of === undefined) return undefined;
    return { family: of, code, reason: value.subarray(4).toString('utf8') };
  },
});

/**
 * Every attribute of RFC 8489, 8656, 6062, 8016, 5780, 7635 and 8445, of the older RFC 3489, 5389 and 5766 where they
 * differ, and ORIGIN of draft-johnston-tram-stun-origin.
 */
export const Attribute = {
  // RFC 8489
  mappedAddress: address(0x0001, 'MAPPED-ADDRESS'),
  username: text(0x0006, 'USERNAME', 513),
  messageIntegrity: opaque(MESSAGE_INTEGRITY, 'MESSAGE-INTEGRITY', 20),
  errorCode: errorCode(0x0009, 'ERROR-CODE'),
  unknownAttributes,
  realm: text(0x0014, 'REALM', 763),
  nonce: text(0x0015, 'NONCE', 763),
  messageIntegritySha256: {
    type: MESSAGE_INTEGRITY_SHA256,
    name: 'MESSAGE-INTEGRITY-SHA256',
    encode: (value: Uint8Array) => value,
    decode: (value: Buffer) =>
      value.length >= 16 && value.length <= 32 && value.length % 4 === 0 ? (value as Uint8Array) : undefined,
  },
  passwordAlgorithm: {
    type: 0x001d,
    name: 'PASSWORD-ALGORITHM',
    encode: encodeAlgorithm,
    decode(value: Buffer): PasswordAlgorithm | undefined {
      const algorithms = decodeAlgorithms(value);
      return algorithms?.length === 1 ? algorithms[0] : undefined;
    },
  },
  userhash: opaque(0x001e, 'USERHASH', 32),
  xorMappedAddress: xorAddress(0x0020, 'XOR-MAPPED-ADDRESS'),
  passwordAlgorithms: {
    type: 0x8002,
    name: 'PASSWORD-ALGORITHMS',
    encode: (value: readonly PasswordAlgorithm[]) => Buffer.concat(value.map(encodeAlgorithm)),
    decode: decodeAlgorithms as (value: Buffer) => readonly PasswordAlgorithm[] | undefined,
  },
  alternateDomain: text(0x8003, 'ALTERNATE-DOMAIN', 255),
  software: text(0x8022, 'SOFTWARE', 763),
  alternateServer: address(0x8023, 'ALTERNATE-SERVER'),
  fingerprint: uint32(FINGERPRINT, 'FINGERPRINT'),
  // RFC 8656
  channelNumber: uint16(0x000c, 'CHANNEL-NUMBER'),
  lifetime: uint32(0x000d, 'LIFETIME'),
  xorPeerAddress: xorAddress(0x0012, 'XOR-PEER-ADDRESS'),
  data: opaque(0x0013, 'DATA'),
  xorRelayedAddress: xorAddress(0x0016, 'XOR-RELAYED-ADDRESS'),
  requestedAddressFamily: family(0x0017, 'REQUESTED-ADDRESS-FAMILY'),
  evenPort: {
    type: 0x0018,
    name: 'EVEN-PORT',
    /** True when the next higher port is to be reserved too. */
    encode: (reservesNext: boolean) => Buffer.from([reservesNext ? 0x80 : 0]),
    decode: (value: Buffer): boolean | undefined => (value.length === 1 ? (value.readUInt8() & 0x80) !== 0 : undefined),
  },
  requestedTransport: uint8(0x0019, 'REQUESTED-TRANSPORT'),
  dontFragment: flag(0x001a, 'DONT-FRAGMENT'),
  reservationToken: opaque(0x0022, 'RESERVATION-TOKEN', 8),
  additionalAddressFamily: family(0x8000, 'ADDITIONAL-ADDRESS-FAMILY'),
  addressErrorCode: addressErrorCode(0x8001, 'ADDRESS-ERROR-CODE'),
  icmp: {
    type: 0x8004,
    name: 'ICMP',
    encode({ type, code, data }: IcmpError): Buffer {
      const bytes = Buffer.alloc(8);
      bytes.writeUInt16BE(0, 0);
      bytes.writeUInt16BE(((type & 0x7f) << 9) | (code & 0x1ff), 2);
      bytes.writeUInt32BE(data >>> 0, 4);
      return bytes;
    },
    decode(value: Buffer): IcmpError | undefined {
      if (value.length !== 8) return undefined;
      const both = value.readUInt16BE(2);
      return { type: both >> 9, code: both & 0x1ff, data: value.readUInt32BE(4) };
    },
  },
  // RFC 6062
  connectionId: uint32(0x002a, 'CONNECTION-ID'),
  // RFC 8016
  mobilityTicket: opaque(0x8030, 'MOBILITY-TICKET'),
  // RFC 5780
  changeRequest: {
    type: 0x0003,
    name: 'CHANGE-REQUEST',
    encode: ({ changesAddress, changesPort }: ChangeRequest) =>
      Buffer.from([0, 0, 0, (changesAddress ? 4 : 0) | (changesPort ? 2 : 0)]),
    decode(value: Buffer): ChangeRequest | undefined {
      if (value.length !== 4) return undefined;
      const bits = value.readUInt32BE();
      return { changesAddress: (bits & 4) !== 0, changesPort: (bits & 2) !== 0 };
    },
  },
  padding: opaque(0x0026, 'PADDING'),
  responsePort: uint16(0x0027, 'RESPONSE-PORT'),
  cacheTimeout: uint32(0x8027, 'CACHE-TIMEOUT'),
  responseOrigin: address(0x802b, 'RESPONSE-ORIGIN'),
  otherAddress: address(0x802c, 'OTHER-ADDRESS'),
  // RFC 7635
  accessToken: opaque(0x001b, 'ACCESS-TOKEN'),
  thirdPartyAuthorization: text(0x802e, 'THIRD-PARTY-AUTHORIZATION', 255),
  // RFC 8445
  priority: uint32(0x0024, 'PRIORITY'),
  useCandidate: flag(0x0025, 'USE-CANDIDATE'),
  iceControlled: uint64(0x8029, 'ICE-CONTROLLED'),
  iceControlling: uint64(0x802a, 'ICE-CONTROLLING'),
  // draft-johnston-tram-stun-origin
  origin: text(0x802f, 'ORIGIN', 763),
  // RFC 3489
  responseAddress: address(0x0002, 'RESPONSE-ADDRESS'),
  sourceAddress: address(0x0004, 'SOURCE-ADDRESS'),
  changedAddress: address(0x0005, 'CHANGED-ADDRESS'),
  password: opaque(0x0007, 'PASSWORD'),
  reflectedFrom: address(0x000b, 'REFLECTED-FROM'),
  oldXorMappedAddress: xorAddress(0x8020, 'XOR-MAPPED-ADDRESS (before RFC 5389)'),
  // The drafts of RFC 8656, and coturn before 2025, had other numbers.
  draftAdditionalAddressFamily: family(0x8032, 'ADDITIONAL-ADDRESS-FAMILY (draft)'),
  draftAddressErrorCode: addressErrorCode(0x8033, 'ADDRESS-ERROR-CODE (draft)'),
  // Reserved by RFC 5766; older drafts and clients of theirs.
  bandwidth: uint32(0x0010, 'BANDWIDTH'),
  timerVal: uint32(0x0021, 'TIMER-VAL'),
} as const;

/** Whether a receiver that does not know the attribute must refuse the message (RFC 8489 section 14). */
export function isComprehensionRequired(type: number): boolean {
  return type < 0x8000;
}
