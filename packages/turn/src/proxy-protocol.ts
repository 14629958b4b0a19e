import { Endpoint } from '@atoll/base';

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const HEADER_BYTES = 16;
/** Bytes of addresses and extensions taken; load balancers send far fewer. */
const MAX_BODY_BYTES = 4096;

/** What a PROXY protocol header of version 2 says about a connection. */
export interface ProxyHeader {
  /** Where the client is; undefined for the proxy's own checks (LOCAL) or an unknown family. */
  readonly source: Endpoint | undefined;
  readonly destination: Endpoint | undefined;
  /** Bytes of the whole header. */
  readonly length: number;
}

/**
 * Reads the header at the start of a connection from a load balancer (haproxy's proxy-protocol.txt, version 2).
 * Undefined when more bytes are needed, false when it is none. Never throws.
 */
export function decodeProxyHeader(bytes: Buffer): ProxyHeader | undefined | false {
  const known = Math.min(bytes.length, SIGNATURE.length);
  if (!bytes.subarray(0, known).equals(SIGNATURE.subarray(0, known))) return false;
  if (bytes.length < HEADER_BYTES) return undefined;
  const versionAndCommand = bytes[12] as number;
  if (versionAndCommand >> 4 !== 2 || (versionAndCommand & 15) > 1) return false;
  const body = bytes.readUInt16BE(14);
  if (body > MAX_BODY_BYTES) return false;
  const length = HEADER_BYTES + body;
  if (bytes.length < length) return undefined;
  const family = (bytes[13] as number) >> 4;
  const size = family === 1 ? 4 : family === 2 ? 16 : 0;
  const isLocal = (versionAndCommand & 15) === 0;
  if (isLocal || size === 0) return { source: undefined, destination: undefined, length };
  if (body < 2 * size + 4) return false;
  const at = HEADER_BYTES;
  const ports = at + 2 * size;
  return {
    source: Endpoint.fromBytes(bytes.subarray(at, at + size), bytes.readUInt16BE(ports)),
    destination: Endpoint.fromBytes(bytes.subarray(at + size, ports), bytes.readUInt16BE(ports + 2)),
    length,
  };
}
