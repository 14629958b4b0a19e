import { Endpoint } from '@atoll/base';
import {
  decodeCertificateData,
  decodeDhtAnnouncement,
  decodeDhtMessage,
  decodeDiscovery,
  decodeIceCandidates,
  decodeImMessage,
  decodeIpServiceAnnouncement,
  decodeMessage,
  decodeNodeBlob,
  decodeNodeExport,
  decodeQuery,
  decodeSocketAddress,
  decodeState,
  decodeTrustRequest,
  encodeQuery,
  encodeSocketAddress,
  encodeState,
  type Message,
  Reassembly,
  Value,
} from '@atoll/dht';
import { Reader, Writer } from '@atoll/msgpack';
import { recorded } from '../corpus.js';
import { type FuzzTarget, holds } from '../fuzz-target.js';

const packets = (): Buffer[] => [...recorded('packets', 'hex'), ...recorded('probes', 'hex', 'request_hex')];
const values = (): Buffer[] => [...recorded('values', 'packed'), ...recorded('builtin_types', 'packed_value')];
const writer = new Writer();

function runMessage(input: Buffer): void {
  const message = decodeMessage(input);
  if (typeof message === 'string') {
    // Reasons are counted by name: they must come from a fixed set, not from what a stranger wrote.
    holds(message.length < 100, () => `a reason of ${message.length} characters`);
    return;
  }
  holds(message.id.binary.length === 20 && message.key.binary.length === 20, () => 'an id that is no id');
  holds(message.token.length <= 64, () => `a token of ${message.token.length} bytes`);
  for (const size of message.valueSizes ?? []) holds(size <= 65_568, () => `a value of ${size} bytes is announced`);
  for (const value of message.values ?? []) checkValue(value);
}

function checkValue(value: Value): void {
  const { packed } = value;
  const again = Value.decode(packed);
  holds(again !== undefined, () => 'a packed value is not a value');
  holds(again.packed.equals(packed), () => 'packing a value is not stable');
  holds(again.equals(value) && again.sizeBytes === value.sizeBytes, () => 'a value read again is another one');
  holds(value.data.length + (value.cypher?.length ?? 0) <= packed.length, () => 'a value is larger than its bytes');
}

function runQuery(input: Buffer): void {
  const reader = new Reader(input);
  const query = decodeQuery(reader);
  if (reader.failed) return;
  query.isSatisfiedBy(query);
  query.toString();
  encodeQuery(writer.reset(), query);
  const packed = writer.take();
  const second = new Reader(packed);
  const again = decodeQuery(second);
  holds(!second.failed && again.toString() === query.toString(), () => `“${query}” reads as “${again}”`);
}

function runState(input: Buffer): void {
  const state = decodeState(input);
  if (state === undefined) return;
  const packed = encodeState(state);
  const again = decodeState(packed);
  holds(again !== undefined && again.values.length === state.values.length, () => 'a state written again is another');
}

function runSocketAddress(input: Buffer): void {
  const endpoint = decodeSocketAddress(input);
  if (endpoint === undefined) return;
  const again = decodeSocketAddress(encodeSocketAddress(endpoint));
  holds(again?.key === endpoint.key, () => `${endpoint} is read as ${again}`);
  const text = Endpoint.from(endpoint.host, endpoint.port);
  holds(text?.ip === endpoint.ip, () => `the text of ${endpoint} is read as ${text}`);
}

function runBlob(input: Buffer): void {
  for (const family of [4, 6] as const) {
    const nodes = decodeNodeBlob(family, input);
    if (nodes === undefined) continue;
    holds(nodes.length * (family === 4 ? 26 : 38) === input.length, () => 'nodes were lost');
    for (const { id, endpoint } of nodes)
      holds(id.binary.length === 20 && endpoint.port >= 0, () => 'a node that is none');
  }
  const exported = decodeNodeExport(input);
  holds(exported === undefined || exported.id.binary.length === 20, () => 'an export that is none');
}

function runBuiltInTypes(input: Buffer): void {
  decodeDhtMessage(input);
  decodeIpServiceAnnouncement(input);
  decodeImMessage(input);
  decodeTrustRequest(input);
  decodeIceCandidates(input);
  decodeCertificateData(input);
}

function runDiscovery(input: Buffer): void {
  decodeDiscovery(input);
  const announced = decodeDhtAnnouncement(input);
  holds(announced === undefined || announced.id.binary.length === 20, () => 'an announcement that is none');
}

let reassembly = new Reassembly();
let nowMs = 0;

/** Headers and parts in any order, from a few peers, with time passing. */
const runReassembly: FuzzTarget['run'] = (input, random) => {
  const message = decodeMessage(input);
  if (typeof message === 'string') return;
  const from = new Endpoint(`\x0a\0\0${String.fromCharCode(random.below(8))}`, 4222 + random.below(3));
  // Few transactions, so that headers and parts meet.
  message.tid = random.below(6);
  nowMs += random.below(3) === 0 ? random.below(400) : 0;
  let whole: Message | undefined;
  if (message.kind === 'part') whole = reassembly.add(message, from, nowMs);
  else if (message.valueSizes !== undefined) whole = reassembly.begin(message, from, nowMs);
  for (const value of whole?.values ?? []) checkValue(value);
  if (random.below(20) === 0) reassembly.expire(nowMs);
  holds(
    reassembly.size <= 512 && reassembly.heldBytes <= 32 * 1024 * 1024,
    () => `holds ${reassembly.heldBytes} bytes`,
  );
  holds(reassembly.heldBytes >= 0, () => 'counts wrongly');
  if (reassembly.size === 0) holds(reassembly.heldBytes === 0, () => 'bytes without messages');
};

export const targets: FuzzTarget[] = [
  { name: 'dht-message', weight: 25, corpus: packets, run: runMessage },
  {
    name: 'dht-value',
    weight: 8,
    corpus: values,
    run: (input) => {
      const value = Value.decode(input);
      if (value !== undefined) checkValue(value);
    },
  },
  { name: 'dht-query', weight: 5, corpus: () => recorded('queries', 'packed', 'query', 'hex'), run: runQuery },
  { name: 'dht-node-blob', weight: 4, corpus: () => [...blobs(), ...recorded('node_export', 'packed')], run: runBlob },
  { name: 'dht-socket-address', weight: 3, corpus: addresses, run: runSocketAddress },
  { name: 'dht-state-file', weight: 1, corpus: () => recorded('state_files', 'file_hex'), run: runState },
  { name: 'dht-built-in-types', weight: 5, corpus: () => recorded('builtin_types', 'data'), run: runBuiltInTypes },
  { name: 'dht-lan-discovery', weight: 3, corpus: () => recorded('peer_discovery', 'hex'), run: runDiscovery },
  {
    name: 'dht-reassembly',
    weight: 6,
    corpus: () => packets().filter(isFragment),
    run: runReassembly,
    begin: () => {
      reassembly = new Reassembly();
    },
  },
];

function isFragment(packet: Buffer): boolean {
  const message = decodeMessage(packet);
  return typeof message !== 'string' && (message.kind === 'part' || message.valueSizes !== undefined);
}

function blobs(): Buffer[] {
  return packets().flatMap((packet) => {
    const message = decodeMessage(packet);
    return typeof message === 'string' ? [] : [message.nodes4, message.nodes6].filter((blob) => blob !== undefined);
  });
}

function addresses(): Buffer[] {
  const texts = ['192.0.2.9', '127.0.0.1', '2001:db8::9', 'fe80::1', '::ffff:192.0.2.1'];
  return texts.flatMap((text) => {
    const endpoint = Endpoint.from(text, 4222);
    return endpoint === undefined ? [] : [encodeSocketAddress(endpoint)];
  });
}
