import { asBuffer, Endpoint, type Family } from '@atoll/base';
import { InfoHash } from '@atoll/identity';
import type { Writer } from '@atoll/msgpack';

/** A node and where it was seen. */
export interface NodeAddress {
  readonly id: InfoHash;
  readonly endpoint: Endpoint;
}

const RECORD_BYTES = { 4: 26, 6: 38 } as const;

/** Writes nodes as one `bin`: id, address, port in network order (protocol/dht.md 4). */
export function encodeNodeBlob(writer: Writer, family: Family, nodes: readonly NodeAddress[]): void {
  writer.binHeader(nodes.length * RECORD_BYTES[family]);
  for (const { id, endpoint } of nodes) {
    writer.rawBinary(id.binary);
    writer.rawBinary(endpoint.ip);
    writer.rawUint16(endpoint.port);
  }
}

/** Reads a node blob; undefined when its length fits no number of records. */
export function decodeNodeBlob(family: Family, bytes: Uint8Array): NodeAddress[] | undefined {
  const size = RECORD_BYTES[family];
  if (bytes.length % size !== 0) return undefined;
  const blob = asBuffer(bytes);
  const nodes: NodeAddress[] = [];
  for (let at = 0; at < blob.length; at += size) {
    const id = new InfoHash(blob.latin1Slice(at, at + 20));
    const endpoint = new Endpoint(blob.latin1Slice(at + 20, at + size - 2), blob.readUInt16BE(at + size - 2));
    nodes.push({ id, endpoint });
  }
  return nodes;
}
