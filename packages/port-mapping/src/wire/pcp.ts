import { asBuffer, binaryBytes, formatIp, parseIp } from '@atoll/base';
import type { Transport } from '../gateway.js';

const VERSION = 2;
const HEADER_BYTES = 24;
const MAP_BYTES = 36;
export const NONCE_BYTES = 12;
/** Longest message there is (RFC 6887 section 7). */
const MAX_MESSAGE_BYTES = 1100;
const ANNOUNCE = 0;
const MAP = 1;
const ANSWER = 0x80;
const PROTOCOLS = { udp: 17, tcp: 6 } as const;
const MAPPED_PREFIX = Buffer.from('00000000000000000000ffff', 'hex');

/** RFC 6887 section 7.4. */
export const PCP_RESULTS: readonly string[] = [
  'success',
  'unsupported version',
  'not authorized',
  'malformed request',
  'unsupported opcode',
  'unsupported option',
  'malformed option',
  'network failure',
  'no resources',
  'unsupported protocol',
  'quota exceeded',
  'cannot provide that external port',
  'address mismatch: another router is in between',
  'too many remote peers',
];

export interface PcpMapping {
  readonly nonce: Uint8Array;
  readonly transport: Transport;
  readonly internalPort: number;
  readonly externalPort: number;
  /** `0.0.0.0` asks for any. */
  readonly externalAddress: string;
}

/** The answer of a PCP server; lifetime and epoch in seconds. */
export interface PcpAnswer {
  readonly opcode: 'announce' | 'map';
  readonly result: number;
  readonly lifetime: number;
  readonly epoch: number;
  readonly mapping?: PcpMapping;
}

/** Header alone: asks whether a server is there, and its epoch (RFC 6887 section 14.1). */
export function encodeAnnounceRequest(client: string): Buffer {
  return header(ANNOUNCE, 0, client, HEADER_BYTES);
}

/**
 * Header `version, opcode, reserved 2, lifetime 4, client address 16`, then `nonce 12, protocol, reserved 3, internal
 * port 2, suggested external port 2, suggested external address 16` (RFC 6887 sections 7.1 and 11.1).
 */
export function encodeMapRequest(mapping: PcpMapping, lifetime: number, client: string): Buffer {
  const bytes = header(MAP, lifetime, client, HEADER_BYTES + MAP_BYTES);
  bytes.set(mapping.nonce, 24);
  bytes[36] = PROTOCOLS[mapping.transport];
  bytes.writeUInt16BE(mapping.internalPort, 40);
  bytes.writeUInt16BE(mapping.externalPort, 42);
  bytes.set(mappedAddress(mapping.externalAddress), 44);
  return bytes;
}

/** Returns the reason when it is no answer of PCP; options behind the answer are none of our business. */
export function decodePcpAnswer(bytes: Buffer): PcpAnswer | string {
  if (bytes.length < HEADER_BYTES || bytes.length > MAX_MESSAGE_BYTES) return 'wrong length';
  if (bytes[0] !== VERSION) return 'other version';
  const opcode = bytes.readUInt8(1) - ANSWER;
  if (opcode !== ANNOUNCE && opcode !== MAP) return 'no answer';
  const head = {
    opcode: opcode === MAP ? 'map' : 'announce',
    result: bytes.readUInt8(3),
    lifetime: bytes.readUInt32BE(4),
    epoch: bytes.readUInt32BE(8),
  } as const;
  if (opcode === ANNOUNCE) return head;
  if (bytes.length < HEADER_BYTES + MAP_BYTES) return 'too short';
  const protocol = bytes.readUInt8(36);
  if (protocol !== PROTOCOLS.udp && protocol !== PROTOCOLS.tcp) return 'other protocol';
  return {
    ...head,
    mapping: {
      nonce: Buffer.from(bytes.subarray(24, 24 + NONCE_BYTES)),
      transport: protocol === PROTOCOLS.udp ? 'udp' : 'tcp',
      internalPort: bytes.readUInt16BE(40),
      externalPort: bytes.readUInt16BE(42),
      externalAddress: addressOf(bytes.subarray(44, 60)),
    },
  };
}

function header(opcode: number, lifetime: number, client: string, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  bytes[0] = VERSION;
  bytes[1] = opcode;
  bytes.writeUInt32BE(lifetime, 4);
  bytes.set(mappedAddress(client), 8);
  return bytes;
}

/** 16 bytes of an address; an IPv4 address as `::ffff:a.b.c.d`. */
function mappedAddress(text: string): Buffer {
  const bytes = binaryBytes(parseIp(text) ?? '\0\0\0\0');
  return bytes.length === 16 ? bytes : Buffer.concat([MAPPED_PREFIX, bytes]);
}

function addressOf(bytes: Uint8Array): string {
  const buffer = asBuffer(bytes);
  const isMapped = buffer.subarray(0, 12).equals(MAPPED_PREFIX);
  return formatIp(buffer.latin1Slice(isMapped ? 12 : 0));
}
