import { binaryBytes, Endpoint } from '@atoll/base';

const AF_INET = 2;
const AF_INET6 = 10;

/**
 * An endpoint as the raw Linux `sockaddr_in` (16 bytes) or `sockaddr_in6` (28 bytes) that OpenDHT stores in values and
 * files: family little-endian, port big-endian (protocol/dht.md 12.2).
 */
export function encodeSocketAddress(endpoint: Endpoint): Buffer {
  const isIpv4 = endpoint.family === 4;
  const bytes = Buffer.alloc(isIpv4 ? 16 : 28);
  bytes.writeUInt16LE(isIpv4 ? AF_INET : AF_INET6, 0);
  bytes.writeUInt16BE(endpoint.port, 2);
  binaryBytes(endpoint.ip).copy(bytes, isIpv4 ? 4 : 8);
  if (!isIpv4) bytes.writeUInt32LE(endpoint.scopeId, 24);
  return bytes;
}

/** Reads what {@link encodeSocketAddress} writes; undefined when the bytes are none. */
export function decodeSocketAddress(bytes: Buffer): Endpoint | undefined {
  if (bytes.length === 16 && bytes.readUInt16LE(0) === AF_INET) {
    return Endpoint.fromBytes(bytes.subarray(4, 8), bytes.readUInt16BE(2));
  }
  if (bytes.length === 28 && bytes.readUInt16LE(0) === AF_INET6) {
    return Endpoint.fromBytes(bytes.subarray(8, 24), bytes.readUInt16BE(2), bytes.readUInt32LE(24));
  }
  return undefined;
}
