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
/** Messages of which only parts came: anybody can send those, under any address. The oldest gives way. */
const MAX_EARLY_MESSAGES = 64;
/** One message may announce this much; more is not a message of this protocol. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** Under reassembly at once, messages and bytes, from all peers together. */
const MAX_MESSAGES = 512;
const MAX_TOTAL_BYTES = 32 * 1024 * 1024;
/** Of which messages that nobody here asked for: half, so that answers always find room. */
const MAX_UNASKED_MESSAGES = MAX_MESSAGES / 2;
const MAX_UNASKED_BYTES = MAX_TOTAL_BYTES / 2;
/** And unasked ones from one address, so that one peer cannot take all the room. */
const MAX_MESSAGES_PER_ADDRESS = 64;
const MAX_BYTES_PER_ADDRESS = 4 * 1024 * 1024;
/** What an announced value counts beside its size: many small ones are no way around the limits. */
const SLOT_BYTES = 32;
/** Separate pieces of one value: an honest one has at most 52 slices. */
const MAX_RANGES = 64;

interface Slot {
  readonly bytes: Buffer;
  readonly ranges: { from: number; to: number }[];
}

interface Assembly {
  readonly from: Endpoint;
  readonly header: Message;
  readonly isAsked: boolean;
  readonly startedMs: number;
  lastMs: number;
  readonly sizes: readonly number[];
  /** Made when the first slice of a value comes. */
  readonly slots: Map<number, Slot>;
  missing: number;
  /** What it counts against the limits. */
  readonly bytes: number;
}

interface EarlyParts {
  readonly startedMs: number;
  lastMs: number;
  readonly parts: ValuePart[];
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
  private readonly early = new Map<string, EarlyParts>();
  private readonly perAddress = new Map<string, { messages: number; bytes: number }>();
  private readonly unasked = { messages: 0, bytes: 0 };
  private totalBytes = 0;
  private earlyBytes = 0;
  private readonly onDrop: (reason: ReassemblyDrop) => void;

  constructor(onDrop: (reason: ReassemblyDrop) => void = () => {}) {
    this.onDrop = onDrop;
  }

  /** Messages being put together. */
  get size(): number {
    return this.assemblies.size + this.early.size;
  }

  /** Bytes held, or announced, for them. */
  get heldBytes(): number {
    return this.totalBytes + this.earlyBytes;
  }

  /**
   * A header with sizes. Returns the whole message if its parts came first. `isAsked`: it answers a request of ours, and
   * strangers cannot have taken its room.
   */
  begin(header: Message, from: Endpoint, nowMs: number, isAsked = false): Message | undefined {
    const key = assemblyKey(from, header.tid);
    const known = this.assemblies.get(key);
    if (known !== undefined) {
      // The same request again: its parts follow again too.
      known.lastMs = nowMs;
      return undefined;
    }
    const sizes = header.valueSizes ?? [];
    const missing = sizes.reduce((sum, size) => sum + size, 0);
    const bytes = missing + SLOT_BYTES * sizes.length;
    if (bytes > MAX_MESSAGE_BYTES) {
      this.onDrop('too large');
      return undefined;
    }
    if (!this.hasRoom(from, bytes, isAsked)) {
      this.onDrop('no room');
      return undefined;
    }
    const assembly: Assembly = {
      from,
      header: keepHeader(header),
      isAsked,
      startedMs: nowMs,
      lastMs: nowMs,
      sizes,
      slots: new Map(),
      missing,
      bytes,
    };
    this.assemblies.set(key, assembly);
    this.account(assembly, 1);
    const early = this.takeEarly(key);
    for (const part of early?.parts ?? []) this.fill(assembly, part);
    return this.finish(key, assembly);
  }

  /** Parts, of a message whose header came or may still come. Returns the message when it is whole. */
  add(message: Message, from: Endpoint, nowMs: number): Message | undefined {
    const key = assemblyKey(from, message.tid);
    const assembly = this.assemblies.get(key);
    if (assembly === undefined) {
      this.keepEarly(key, message.parts ?? [], nowMs);
      return undefined;
    }
    for (const part of message.parts ?? []) if (this.fill(assembly, part)) assembly.lastMs = nowMs;
    return this.finish(key, assembly);
  }

  /** Whether the header of this transaction has come: its parts are then free of rate limits. */
  expects(from: Endpoint, tid: number): boolean {
    return this.assemblies.has(assemblyKey(from, tid));
  }

  /** Drops what takes too long; returns when to look again, in ms of the clock. */
  expire(nowMs: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const [key, assembly] of this.assemblies) {
      const due = dueMs(assembly);
      if (due <= nowMs) {
        this.onDrop('incomplete');
        this.close(key, assembly);
      } else next = Math.min(next, due);
    }
    for (const [key, early] of this.early) {
      const due = dueMs(early);
      if (due <= nowMs) {
        this.onDrop('incomplete');
        this.takeEarly(key);
      } else next = Math.min(next, due);
    }
    return next;
  }

  private hasRoom(from: Endpoint, bytes: number, isAsked: boolean): boolean {
    if (this.assemblies.size >= MAX_MESSAGES || this.totalBytes + bytes > MAX_TOTAL_BYTES) return false;
    if (isAsked) return true;
    const ofAddress = this.perAddress.get(from.ip);
    return (
      this.unasked.messages < MAX_UNASKED_MESSAGES &&
      this.unasked.bytes + bytes <= MAX_UNASKED_BYTES &&
      (ofAddress?.messages ?? 0) < MAX_MESSAGES_PER_ADDRESS &&
      (ofAddress?.bytes ?? 0) + bytes <= MAX_BYTES_PER_ADDRESS
    );
  }

  private keepEarly(key: string, parts: readonly ValuePart[], nowMs: number): void {
    let early = this.early.get(key);
    if (early === undefined) {
      if (this.early.size >= MAX_EARLY_MESSAGES) {
        const [oldest] = this.early.keys();
        if (oldest !== undefined) this.takeEarly(oldest);
        this.onDrop('no room');
      }
      early = { startedMs: nowMs, lastMs: nowMs, parts: [], bytes: 0 };
      this.early.set(key, early);
    }
    for (const part of parts) {
      const { length } = part.bytes;
      if (early.parts.length >= MAX_EARLY_PARTS || early.bytes + length > MAX_EARLY_BYTES) {
        this.onDrop('too large');
        this.takeEarly(key);
        return;
      }
      early.parts.push({ ...part, bytes: Buffer.from(part.bytes) });
      early.bytes += length;
      this.earlyBytes += length;
      early.lastMs = nowMs;
    }
  }

  private takeEarly(key: string): EarlyParts | undefined {
    const early = this.early.get(key);
    if (early === undefined) return undefined;
    this.early.delete(key);
    this.earlyBytes -= early.bytes;
    return early;
  }

  private close(key: string, assembly: Assembly): void {
    this.assemblies.delete(key);
    this.account(assembly, -1);
  }

  private account({ bytes, isAsked, from }: Assembly, sign: 1 | -1): void {
    this.totalBytes += sign * bytes;
    if (isAsked) return;
    this.unasked.messages += sign;
    this.unasked.bytes += sign * bytes;
    const ofAddress = this.perAddress.get(from.ip) ?? { messages: 0, bytes: 0 };
    ofAddress.messages += sign;
    ofAddress.bytes += sign * bytes;
    if (ofAddress.messages > 0) this.perAddress.set(from.ip, ofAddress);
    else this.perAddress.delete(from.ip);
  }

  private fill(assembly: Assembly, part: ValuePart): boolean {
    const size = assembly.sizes[part.index] ?? 0;
    const to = part.offset + part.bytes.length;
    if (part.bytes.length === 0 || to > size) {
      this.onDrop('out of range');
      return false;
    }
    let slot = assembly.slots.get(part.index);
    if (slot === undefined) {
      slot = { bytes: Buffer.allocUnsafe(size), ranges: [] };
      assembly.slots.set(part.index, slot);
    }
    if (slot.ranges.some((range) => part.offset < range.to && range.from < to)) return false;
    const before = slot.ranges.at(-1);
    if (before !== undefined && before.to === part.offset) before.to = to;
    else if (slot.ranges.length < MAX_RANGES) slot.ranges.push({ from: part.offset, to });
    else {
      this.onDrop('out of range');
      return false;
    }
    part.bytes.copy(slot.bytes, part.offset);
    assembly.missing -= part.bytes.length;
    return true;
  }

  private finish(key: string, assembly: Assembly): Message | undefined {
    const { header } = assembly;
    if (assembly.missing > 0) return undefined;
    this.close(key, assembly);
    const values: Value[] = [];
    for (let index = 0; index < assembly.sizes.length; index++) {
      const slot = assembly.slots.get(index);
      if (slot === undefined) continue;
      const value = Value.decode(slot.bytes);
      if (value === undefined) return undefined;
      values.push(value);
    }
    header.values = [...(header.values ?? []), ...values];
    header.valueSizes = undefined;
    return header;
  }
}

function dueMs({ startedMs, lastMs }: { readonly startedMs: number; readonly lastMs: number }): number {
  return Math.min(startedMs + TOTAL_MS, lastMs + GAP_MS);
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
