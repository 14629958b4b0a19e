import type { Endpoint } from '@atoll/base';
import { keyCode, Reader, Writer } from '@atoll/msgpack';
import { decodeSocketAddress, encodeSocketAddress } from './socket-address.js';

/** Numbers of the value types that every OpenDHT node knows (protocol/dht.md 12.1). */
export const TypeId = {
  userData: 0,
  dhtMessage: 1,
  ipServiceAnnouncement: 2,
  imMessage: 3,
  trustRequest: 4,
  iceCandidates: 5,
  certificate: 8,
} as const;

/** Data of a DhtMessage: a service name and bytes for it. */
export interface DhtMessage {
  readonly service: string;
  readonly data: Buffer;
}

export function encodeDhtMessage(message: DhtMessage): Buffer {
  const w = new Writer();
  w.array(2);
  w.str(message.service);
  w.bin(message.data);
  return w.take();
}

export function decodeDhtMessage(data: Buffer): DhtMessage | undefined {
  const r = new Reader(data);
  if (r.array() < 2) return undefined;
  const message = { service: r.str(), data: Buffer.from(r.blob()) };
  return r.failed ? undefined : message;
}

/** Data of an IpServiceAnnouncement: where a service is. */
export function encodeIpServiceAnnouncement(endpoint: Endpoint): Buffer {
  const w = new Writer();
  w.bin(encodeSocketAddress(endpoint));
  return w.take();
}

export function decodeIpServiceAnnouncement(data: Buffer): Endpoint | undefined {
  const r = new Reader(data);
  const bytes = r.bin();
  return r.failed ? undefined : decodeSocketAddress(bytes);
}

/** Data of an ImMessage. `date` is in UNIX seconds; `status`: 0 none, 1 typing, 2 received, 3 read. */
export interface ImMessage {
  readonly id: bigint;
  readonly text: string;
  readonly date: number;
  readonly status: number;
  readonly dataType: string;
  readonly metadata: ReadonlyMap<string, string>;
}

export function encodeImMessage(message: ImMessage): Buffer {
  const w = new Writer();
  const hasMetadata = message.metadata.size > 0;
  w.map(5 + (hasMetadata ? 1 : 0));
  w.key('id');
  w.u64(message.id);
  w.key('msg');
  w.str(message.text);
  w.key('date');
  w.int(message.date);
  w.key('status');
  w.uint(message.status);
  w.key('datatype');
  w.str(message.dataType);
  if (hasMetadata) {
    w.key('metadatas');
    w.map(message.metadata.size);
    for (const [key, value] of message.metadata) {
      w.str(key);
      w.str(value);
    }
  }
  return w.take();
}

export function decodeImMessage(data: Buffer): ImMessage | undefined {
  const r = new Reader(data);
  const metadata = new Map<string, string>();
  const message = { id: 0n, text: '', date: 0, status: 0, dataType: '', metadata };
  for (let pairs = r.map(); pairs > 0 && !r.failed; pairs--) {
    const key = r.key();
    if (key === keyCode('id')) message.id = r.u64();
    else if (key === keyCode('msg')) message.text = r.str();
    else if (r.keyIs('date')) message.date = r.number();
    else if (r.keyIs('status')) message.status = r.uint();
    else if (r.keyIs('datatype')) message.dataType = r.str();
    else if (r.keyIs('metadatas')) {
      for (let left = r.map(); left > 0 && !r.failed; left--) {
        const name = r.str();
        metadata.set(name, r.str());
      }
    } else r.skip();
  }
  return r.failed ? undefined : message;
}

/** Data of a TrustRequest. */
export interface TrustRequest {
  readonly service: string;
  readonly conversationId: string;
  readonly payload: Buffer;
  readonly confirm: boolean;
}

export function encodeTrustRequest(request: TrustRequest): Buffer {
  const w = new Writer();
  w.map(4);
  w.key('service');
  w.str(request.service);
  w.key('conversationId');
  w.str(request.conversationId);
  w.key('payload');
  w.bin(request.payload);
  w.key('confirm');
  w.bool(request.confirm);
  return w.take();
}

export function decodeTrustRequest(data: Buffer): TrustRequest | undefined {
  const r = new Reader(data);
  const request = { service: '', conversationId: '', payload: Buffer.alloc(0), confirm: false };
  for (let pairs = r.map(); pairs > 0 && !r.failed; pairs--) {
    r.key();
    if (r.keyIs('service')) request.service = r.str();
    else if (r.keyIs('conversationId')) request.conversationId = r.str();
    else if (r.keyIs('payload')) request.payload = Buffer.from(r.blob());
    else if (r.keyIs('confirm')) request.confirm = r.bool();
    else r.skip();
  }
  return r.failed ? undefined : request;
}

/** Data of IceCandidates. */
export interface IceCandidates {
  readonly id: bigint;
  readonly ice: Buffer;
}

export function encodeIceCandidates(candidates: IceCandidates): Buffer {
  const w = new Writer();
  w.array(2);
  w.u64(candidates.id);
  w.bin(candidates.ice);
  return w.take();
}

export function decodeIceCandidates(data: Buffer): IceCandidates | undefined {
  const r = new Reader(data);
  if (r.array() < 2) return undefined;
  const candidates = { id: r.u64(), ice: Buffer.from(r.blob()) };
  return r.failed ? undefined : candidates;
}

/** Data of a certificate value: the PEM chain, leaf first, as one `bin` (protocol/dht.md 12.2). */
export function encodeCertificateData(pem: string): Buffer {
  const w = new Writer();
  w.bin(Buffer.from(pem));
  return w.take();
}

/** The PEM text or DER bytes in a certificate value, wrapped or raw. */
export function decodeCertificateData(data: Buffer): Buffer {
  const r = new Reader(data);
  if (r.peek() === 'bin') {
    const bytes = r.bin();
    if (!r.failed) return bytes;
  }
  const pemAt = data.indexOf('-----BEGIN CERTIFICATE-----');
  return pemAt > 0 ? data.subarray(pemAt) : data;
}
