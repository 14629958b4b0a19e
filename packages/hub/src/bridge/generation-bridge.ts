import type { Clock } from '@atoll/base';
import { type DhtCore, decodeCertificateData, Query, type StoredValue, TypeId, type Value } from '@atoll/dht';
import { Certificate, InfoHash } from '@atoll/identity';
import { type DeviceKeys, deviceKeys, type Generation, otherGeneration } from './device-keys.js';

/** Devices that are bridged; of one more, the address that brought most loses its oldest. */
const MAX_DEVICES = 1024;
/** Bytes of a value that is copied: a chain of three certificates of 4,096 bits has 5,700, a request 2,100. */
const MAX_COPY_BYTES = 16 * 1024;
/** Requests copied for one device within {@link REMEMBER_MS}, and for all together. */
const MAX_COPIES_PER_DEVICE = 256;
const MAX_COPIES = 4096;
/** A request is known again for so long, ms: twice the ten minutes that it lives on the nodes that store it. */
const REMEMBER_MS = 20 * 60_000;
/** Certificates that were put again, and devices that are gone, are looked for so often, ms. */
const TICK_MS = 10 * 60_000;

/** What the bridge uses of a DHT node. */
export type BridgedDht = Pick<DhtCore, 'listen' | 'put' | 'storage' | 'scheduler'>;

/** Devices by the generation at whose key their certificate was seen first, and values copied since the start. */
export interface BridgeCounts {
  readonly older: number;
  readonly newer: number;
  readonly copied: number;
}

interface Device {
  readonly keys: DeviceKeys;
  readonly generation: Generation;
  /** Address whose node put the certificate; empty for one that came through this node itself. */
  readonly source: string;
  readonly stops: readonly (() => void)[];
  /** When the certificate that was copied had been put, ms of the clock. */
  certificateMs: number;
  expiresMs: number;
  /** Requests copied and remembered. */
  copies: number;
}

/**
 * Lets two generations of Jami meet that look for each other under different DHT keys: copies device certificates and
 * connection requests, unchanged, between the keys of one and of the other. Requests stay signed and sealed.
 *
 * No clock, sockets or files: it works on the node that it is given, and hears from it what is stored there.
 */
export class GenerationBridge {
  private readonly dht: BridgedDht;
  private readonly clock: Clock;
  private readonly devices = new Map<string, Device>();
  private readonly perSource = new Map<string, Set<string>>();
  /** Requests that were copied, by device and content, oldest first; when each may be forgotten. */
  private readonly copies = new Map<string, { readonly device: Device; readonly untilMs: number }>();
  private readonly job;
  private readonly maxDevices: number;
  private copied = 0;
  /** The bridge's own puts are heard of, too. */
  private isPutting = false;

  constructor(components: { readonly dht: BridgedDht; readonly clock: Clock }, maxDevices = MAX_DEVICES) {
    const { dht, clock } = components;
    this.dht = dht;
    this.clock = clock;
    this.maxDevices = maxDevices;
    this.job = dht.scheduler.at(clock.nowMs() + TICK_MS, () => this.tick());
    // What others put here tells the generation; of what this node put itself, a part are copies of an earlier run.
    const stored = [...dht.storage.all()].filter(({ value }) => value.type === TypeId.certificate);
    for (const each of stored) if (each.from !== undefined) this.stored(each);
    for (const each of stored) if (each.from === undefined) this.stored(each);
  }

  get counts(): BridgeCounts {
    let older = 0;
    for (const { generation } of this.devices.values()) if (generation === 'older') older++;
    return { older, newer: this.devices.size - older, copied: this.copied };
  }

  /** The node stored a value: a certificate makes its device known. */
  stored(stored: StoredValue): void {
    const { key, value, from } = stored;
    if (this.isPutting || value.type !== TypeId.certificate || value.sizeBytes > MAX_COPY_BYTES) return;
    const certificate = Certificate.decode(decodeCertificateData(value.data));
    // A device's certificate is issued by its account; any node of the DHT has one of its own.
    if (certificate?.issuer === undefined) return;
    const name = certificate.longId.binary;
    const known = this.devices.get(name);
    if (known === undefined) {
      const keys = deviceKeys(certificate.publicKey);
      const generation = keys.older.certificate.equals(key) ? 'older' : 'newer';
      this.add(name, keys, generation, from?.ip ?? '');
    } else if (!known.keys[known.generation].certificate.equals(key)) return;
    const device = this.devices.get(name);
    if (device !== undefined) this.copyCertificate(device, stored);
  }

  /** Ends all listening. Copies expire where they are. */
  close(): void {
    this.dht.scheduler.cancel(this.job);
    for (const name of [...this.devices.keys()]) this.forget(name);
  }

  private add(name: string, keys: DeviceKeys, generation: Generation, source: string): void {
    if (this.devices.size >= this.maxDevices) this.makeRoom();
    const stops: (() => void)[] = [];
    const device: Device = {
      keys,
      generation,
      source,
      stops,
      certificateMs: Number.NEGATIVE_INFINITY,
      expiresMs: Number.NEGATIVE_INFINITY,
      copies: 0,
    };
    this.devices.set(name, device);
    const names = this.perSource.get(source) ?? new Set();
    this.perSource.set(source, names.add(name));
    for (const from of ['older', 'newer'] as const) {
      const stop = this.dht.listen(keys[from].requests, Query.all, (values, isExpired) => {
        if (!isExpired) for (const value of values) this.copyRequest(name, device, from, value);
        return true;
      });
      if (stop !== undefined) stops.push(stop);
    }
  }

  /** The certificate to the other key, to expire with the original. What others put there is left as it is. */
  private copyCertificate(device: Device, { value, createdMs, expiresMs }: StoredValue): void {
    device.expiresMs = Math.max(device.expiresMs, expiresMs);
    const hasCopied = device.certificateMs !== Number.NEGATIVE_INFINITY;
    device.certificateMs = createdMs;
    const key = device.keys[otherGeneration(device.generation)].certificate;
    const there = this.dht.storage.get(key, value.id);
    if (there !== undefined && !hasCopied && (there.from !== undefined || there.value.equals(value))) return;
    this.put(key, value, createdMs);
  }

  private copyRequest(name: string, device: Device, from: Generation, value: Value): void {
    if (!value.isEncrypted || value.sizeBytes > MAX_COPY_BYTES) return;
    const nowMs = this.clock.nowMs();
    this.forgetCopies(nowMs);
    const copy = name + InfoHash.of(value.packed).binary;
    if (this.copies.has(copy)) return;
    if (device.copies >= MAX_COPIES_PER_DEVICE || this.copies.size >= MAX_COPIES) return;
    device.copies++;
    this.copies.set(copy, { device, untilMs: nowMs + REMEMBER_MS });
    const key = device.keys[otherGeneration(from)].requests;
    // The other hub of this LAN, or the sender itself, may have put it there already.
    if (this.dht.storage.get(key, value.id) !== undefined) return;
    this.put(key, value, this.dht.storage.get(device.keys[from].requests, value.id)?.createdMs ?? nowMs);
  }

  private put(key: InfoHash, value: Value, createdMs: number): void {
    this.copied++;
    this.isPutting = true;
    try {
      const createdUnixMs = this.clock.unixMs() - (this.clock.nowMs() - createdMs);
      this.dht.put(key, value, { createdUnixMs }, () => {});
    } finally {
      this.isPutting = false;
    }
  }

  private tick(): void {
    const nowMs = this.clock.nowMs();
    this.forgetCopies(nowMs);
    for (const [name, device] of this.devices) {
      // A daemon puts its certificate again before it expires, which the node takes as a sign of life of the one it has.
      for (const stored of this.dht.storage.valuesOf(device.keys[device.generation].certificate)) {
        if (stored.createdMs > device.certificateMs) this.stored(stored);
      }
      if (device.expiresMs <= nowMs) this.forget(name);
    }
    this.dht.scheduler.move(this.job, nowMs + TICK_MS);
  }

  private forgetCopies(nowMs: number): void {
    for (const [copy, { device, untilMs }] of this.copies) {
      if (untilMs > nowMs) return;
      device.copies--;
      this.copies.delete(copy);
    }
  }

  /** Who brought most loses its oldest; what came through this node itself is bounded there and goes last. */
  private makeRoom(): void {
    let largest: Set<string> | undefined;
    for (const [source, names] of this.perSource) {
      if (source !== '' && names.size > (largest?.size ?? 0)) largest = names;
    }
    const [oldest] = largest ?? this.devices.keys();
    if (oldest !== undefined) this.forget(oldest);
  }

  private forget(name: string): void {
    const device = this.devices.get(name);
    if (device === undefined) return;
    for (const stop of device.stops) stop();
    this.devices.delete(name);
    const names = this.perSource.get(device.source);
    names?.delete(name);
    if (names?.size === 0) this.perSource.delete(device.source);
  }
}
