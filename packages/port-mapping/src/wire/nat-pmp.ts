import type { Transport } from '../gateway.js';

/** Port of NAT-PMP and PCP servers; clients hear announcements one below, in the group of all hosts (RFC 6886 1.1). */
export const SERVER_PORT = 5351;
export const ANNOUNCEMENT_PORT = 5350;
export const ANNOUNCEMENT_GROUP = '224.0.0.1';

const VERSION = 0;
const OPCODES = { udp: 1, tcp: 2 } as const;
const ANSWER = 128;

/** RFC 6886 section 3.5. */
export const NAT_PMP_RESULTS: readonly string[] = [
  'success',
  'unsupported version',
  'not authorized',
  'network failure',
  'out of resources',
  'unsupported opcode',
];

/** The answer of a NAT-PMP server, its epoch in seconds. */
export interface NatPmpAnswer {
  readonly result: number;
  readonly epoch: number;
  /** Of an address request that succeeded. */
  readonly externalAddress?: string;
  /** Of a mapping request that succeeded; `lifetime` in seconds. */
  readonly mapping?: {
    readonly transport: Transport;
    readonly internalPort: number;
    readonly externalPort: number;
    readonly lifetime: number;
  };
}

/** `version 0, opcode 0`: asks for the external address. */
export function encodeAddressRequest(): Buffer {
  return Buffer.from([VERSION, 0]);
}

/** `version, opcode, reserved 2, internal port 2, suggested external port 2, lifetime 4` (RFC 6886 section 3.3). */
export function encodeMapRequest(
  transport: Transport,
  internalPort: number,
  externalPort: number,
  lifetime: number,
): Buffer {
  const bytes = Buffer.alloc(12);
  bytes[0] = VERSION;
  bytes[1] = OPCODES[transport];
  bytes.writeUInt16BE(internalPort, 4);
  bytes.writeUInt16BE(externalPort, 6);
  bytes.writeUInt32BE(lifetime, 8);
  return bytes;
}

/**
 * `version, opcode + 128, result 2, epoch 4`, then `address 4` or `internal port 2, external port 2, lifetime 4`.
 * Returns the reason when it is no answer of NAT-PMP.
 */
export function decodeNatPmpAnswer(bytes: Buffer): NatPmpAnswer | string {
  if (bytes.length < 8) return 'too short';
  if (bytes[0] !== VERSION) return 'other version';
  const opcode = bytes.readUInt8(1) - ANSWER;
  const head = { result: bytes.readUInt16BE(2), epoch: bytes.readUInt32BE(4) };
  if (opcode < 0 || opcode > 2) return 'no answer';
  if (head.result !== 0) return head;
  if (opcode === 0) {
    return bytes.length < 12 ? 'too short' : { ...head, externalAddress: bytes.subarray(8, 12).join('.') };
  }
  if (bytes.length < 16) return 'too short';
  return {
    ...head,
    mapping: {
      transport: opcode === OPCODES.udp ? 'udp' : 'tcp',
      internalPort: bytes.readUInt16BE(8),
      externalPort: bytes.readUInt16BE(10),
      lifetime: bytes.readUInt32BE(12),
    },
  };
}
