import type { Endpoint } from '@atoll/base';
import type { Message, ValuePart } from '../wire/message.js';
import { PART_BYTES } from '../wire/message-encoder.js';
import { Value } from '../wire/value.js';

/** Dropped when the first packet is older than this, in ms (protocol/dht.md 9). */
const TOTAL_MS = 10_000;
/** Dropped when nothing came for this long, in ms. */
const GAP_MS = 3_000;
/** Parts that came before their header: bytes kept of one message. */
const MAX_EARLY_BYTES = (56 + 64) * 1024 + 32;
const MAX_EARLY_PARTS = Math.floor(MAX_EARLY_BYTES / PART_BYTES) + 2;
/** One message may announce this much; more is not a message of this protocol. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** Under reassembly at once, messages and bytes, from all peers together. */
const MAX_MESSAGES = 512;
const MAX_TOTAL_BYTES = 32 * 1024 * 1024;
/** And from one address, so that one peer cannot take all the room. */
const MAX_MESSAGES_PER_ADDRESS = 64;

interface Slot {
  readonly bytes: Buffer;
  /** One flag per byte range of {@link PART_BYTES}, or explicit ranges where slices differ. */
  readonly ranges: { from: number; to: number }[];
  filled: number;
}

interface Assembly {
  readonly from: Endpoint;
  readonly startedMs: number;
  lastMs: number;
  header: Message | undefined;
  slots: Slot[];
  missing: number;
  early: ValuePart[];
  earlyBytes: number;
  bytes: number;
}

/** Why a part or header was not taken, for counting. */
export type ReassemblyDrop = 'too large' | 'no room' | 'out of range' | 'incomplete';

/**
 * Puts fragmented values together, in any order and also when parts overtake their header (protocol/dht.md 9).
 * Keyed by sender and transaction, bounded in time, in messages and in bytes.
 */
export class Reassembly {
  private readonly assemblies = new Map<string, Assembly>();
  private readonly perAddress = new Map<string, number>();
  private totalBytes = 0;
  private readonly onDrop: (reason: ReassemblyDrop) => void;

  constructor(onDrop: (reason: ReassemblyDrop) => void = () => {}) {
    this.onDrop = onDrop;
  }

  /** Messages being put together. */
  get size(): number {
    return this.assemblies.size;
  }

  /** Bytes held for them. */
  get heldBytes(): number {
    return this.totalBytes;
  }

  /** A header with sizes. Returns the whole message if its parts came first. */
  begin(header: Message, from: Endpoint, nowMs: number): Message | undefined {
    const key = assemblyKey(from, header.tid);
    const sizes = header.valueSizes ?? [];
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    if (bytes > MAX_MESSAGE_BYTES) {
      this.onDrop('too large');
      return undefined;
    }
    let assembly = this.assemblies.get(key);
    if (assembly?.header !== undefined) {
      // The same request again: its parts follow again too.
      assembly.lastMs = nowMs;
      return undefined;
    }
    if (assembly === undefined) {
      assembly = this.open(key, from, nowMs);
      if (assembly === undefined) return undefined;
    }
    if (this.totalBytes + bytes > MAX_TOTAL_BYTES) {
      this.onDrop('no room');
      this.close(key, assembly);
      return undefined;
    }
    assembly.header = keepHeader(header);
    assembly.lastMs = nowMs;
    assembly.slots = sizes.map((size) => ({ bytes: Buffer.allocUnsafe(size), ranges: [], filled: 0 }));
    assembly.missing = bytes;
    this.account(assembly, bytes);
    const { early } = assembly;
    assembly.early = [];
    this.account(assembly, -assembly.earlyBytes);
    assembly.earlyBytes = 0;
    for (const part of early) this.fill(assembly, part);
    return this.finish(key, assembly);
  }

  /** Parts. `mayBeEarly` says whether to keep parts of a transaction whose header has not come yet. */
  add(message: Message, from: Endpoint, nowMs: number): Message | undefined {
    const key = assemblyKey(from, message.tid);
    let assembly = this.assemblies.get(key);
    if (assembly === undefined) {
      assembly = this.open(key, from, nowMs);
      if (assembly === undefined) return undefined;
    }
    for (const part of message.parts ?? []) {
      if (assembly.header !== undefined) {
        if (this.fill(assembly, part)) assembly.lastMs = nowMs;
        continue;
      }
      const bytes = part.bytes.length;
      if (assembly.early.length >= MAX_EARLY_PARTS || assembly.earlyBytes + bytes > MAX_EARLY_BYTES) {
        this.onDrop('too large');
        this.close(key, assembly);
        return undefined;
      }
      if (this.totalBytes + bytes > MAX_TOTAL_BYTES) {
        this.onDrop('no room');
        return undefined;
      }
      assembly.early.push({ ...part, bytes: Buffer.from(part.bytes) });
      assembly.earlyBytes += bytes;
      assembly.lastMs = nowMs;
      this.account(assembly, bytes);
    }
    return assembly.header === undefined ? undefined : this.finish(key, assembly);
  }

  /** Whether the header of this transaction has come: its parts are then free of rate limits. */
  expects(from: Endpoint, tid: number): boolean {
    return this.assemblies.get(assemblyKey(from, tid))?.header !== undefined;
  }

  /** Drops what takes too long; returns when to look again, in ms of the clock. */
  expire(nowMs: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const [key, assembly] of this.assemblies) {
      const due = Math.min(assembly.startedMs + TOTAL_MS, assembly.lastMs + GAP_MS);
      if (due <= nowMs) {
        this.onDrop('incomplete');
        this.close(key, assembly);
      } else next = Math.min(next, due);
    }
    return next;
  }

  private open(key: string, from: Endpoint, nowMs: number): Assembly | undefined {
    const ofAddress = this.perAddress.get(from.ip) ?? 0;
    if (this.assemblies.size >= MAX_MESSAGES || ofAddress >= MAX_MESSAGES_PER_ADDRESS) {
      this.onDrop('no room');
      return undefined;
    }
    this.perAddress.set(from.ip, ofAddress + 1);
    const assembly: Assembly = {
      from,
      startedMs: nowMs,
      lastMs: nowMs,
      header: undefined,
      slots: [],
      missing: 0,
      early: [],
      earlyBytes: 0,
      bytes: 0,
    };
    this.assemblies.set(key, assembly);
    return assembly;
  }

  private close(key: string, assembly: Assembly): void {
    this.assemblies.delete(key);
    this.totalBytes -= assembly.bytes;
    const left = (this.perAddress.get(assembly.from.ip) ?? 1) - 1;
    if (left > 0) this.perAddress.set(assembly.from.ip, left);
    else this.perAddress.delete(assembly.from.ip);
  }

  private account(assembly: Assembly, bytes: number): void {
    assembly.bytes += bytes;
    this.totalBytes += bytes;
  }

  private fill(assembly: Assembly, part: ValuePart): boolean {
    const slot = assembly.slots[part.index];
    const to = part.offset + part.bytes.length;
    if (slot === undefined || part.bytes.length === 0 || to > slot.bytes.length) {
      this.onDrop('out of range');
      return false;
    }
    if (slot.ranges.some((range) => part.offset < range.to && range.from < to)) return false;
    part.bytes.copy(slot.bytes, part.offset);
    const before = slot.ranges.at(-1);
    if (before !== undefined && before.to === part.offset) before.to = to;
    else slot.ranges.push({ from: part.offset, to });
    slot.filled += part.bytes.length;
    assembly.missing -= part.bytes.length;
    return true;
  }

  private finish(key: string, assembly: Assembly): Message | undefined {
    const { header } = assembly;
    if (header === undefined || assembly.missing > 0) return undefined;
    this.close(key, assembly);
    const values: Value[] = [];
    for (const { bytes } of assembly.slots) {
      if (bytes.length === 0) continue;
      const value = Value.decode(bytes);
      if (value === undefined) return undefined;
      values.push(value);
    }
    header.values = [...(header.values ?? []), ...values];
    header.valueSizes = undefined;
    return header;
  }
}

function assemblyKey(from: Endpoint, tid: number): string {
  return `${from.key}${tid}`;
}

/** The header outlives its datagram: what are views become copies. */
function keepHeader(header: Message): Message {
  if (header.nodes4 !== undefined) header.nodes4 = Buffer.from(header.nodes4);
  if (header.nodes6 !== undefined) header.nodes6 = Buffer.from(header.nodes6);
  return header;
}
