import { type Clock, Endpoint } from '@atoll/base';
import { AddressLimits } from '@atoll/http';

/** Bounds on what clients of a proxy may ask for; the table of docs/limits.md. */
export interface ProxyLimits {
  /** Open listens of one client address, and of all. */
  readonly listensPerAddress: number;
  readonly listens: number;
  /** Bytes of values put through this proxy that its node holds. */
  readonly storedBytes: number;
  /**
   * Puts per second of one client address, and of all; ten times as many may come at once. Every 4 kB of a value count
   * as one more.
   */
  readonly putsPerSecondPerAddress: number;
  readonly putsPerSecond: number;
  /** Gets and puts under way of one client address, and of all. */
  readonly operationsPerAddress: number;
  readonly operations: number;
  /** Permanent puts of one client address, and of all. */
  readonly permanentPutsPerAddress: number;
  readonly permanentPuts: number;
  /** Body of a request. */
  readonly bodyBytes: number;
  /** Packed value; the DHT itself takes no more than 64 kB. */
  readonly valueBytes: number;
  /** Lines that wait for one slow listener, and for all. */
  readonly queuedBytesPerListen: number;
  readonly queuedBytes: number;
  /** A listener that takes nothing for so long is dropped, ms. */
  readonly slowListenerMs: number;
}

export const DEFAULT_PROXY_LIMITS: ProxyLimits = {
  // A whole school may sit behind one address: two hundred phones with forty keys each.
  listensPerAddress: 8192,
  listens: 65_536,
  storedBytes: 536_870_912,
  putsPerSecondPerAddress: 100,
  putsPerSecond: 1000,
  operationsPerAddress: 512,
  operations: 4096,
  permanentPutsPerAddress: 8192,
  permanentPuts: 131_072,
  bodyBytes: 262_144,
  valueBytes: 65_536,
  queuedBytesPerListen: 262_144,
  queuedBytes: 67_108_864,
  slowListenerMs: 60_000,
};

/** Puts that may come at once, in seconds of the rate. */
const BURST_SECONDS = 10;
/** So many bytes of a value count as one put more. */
const BYTES_PER_PUT = 4096;

/** Why something was refused: the HTTP status and a sentence. */
export interface Refusal {
  readonly status: number;
  readonly reason: string;
}

/** What limits are counted by: a whole IPv4 address, or the /64 of an IPv6 one. */
export function addressBucketOf(remoteAddress: string): string {
  if (!remoteAddress.includes(':')) return remoteAddress;
  const ip = Endpoint.from(remoteAddress, 0)?.ip;
  if (ip === undefined) return remoteAddress;
  return ip.length === 4 ? ip : ip.slice(0, 8);
}

/** How many of something are open, of one address and in all. */
class OpenCount {
  private readonly counts = new Map<string, number>();
  total = 0;

  of(address: string): number {
    return this.counts.get(address) ?? 0;
  }

  enter(address: string): void {
    this.total++;
    this.counts.set(address, this.of(address) + 1);
  }

  leave(address: string): void {
    this.total--;
    const count = this.of(address) - 1;
    if (count <= 0) this.counts.delete(address);
    else this.counts.set(address, count);
  }
}

/** Who may do what now. */
export class LimitKeeper {
  readonly limits: ProxyLimits;
  readonly listens = new OpenCount();
  readonly operations = new OpenCount();
  private readonly addressPuts: AddressLimits;
  private readonly allPuts: AddressLimits;

  constructor(clock: Clock, limits: ProxyLimits) {
    this.limits = limits;
    const rate = (perSecond: number): AddressLimits =>
      new AddressLimits({ nowMs: () => clock.nowMs() }, { perSecond, burst: perSecond * BURST_SECONDS });
    this.addressPuts = rate(limits.putsPerSecondPerAddress);
    this.allPuts = rate(limits.putsPerSecond);
  }

  refuseListen(address: string): Refusal | undefined {
    const { listens, listensPerAddress } = this.limits;
    if (this.listens.total >= listens) return busy(`this proxy already holds its ${listens} listens`);
    if (this.listens.of(address) >= listensPerAddress)
      return tooMany(`your address already holds its ${listensPerAddress} listens`);
    return undefined;
  }

  refuseOperation(address: string): Refusal | undefined {
    const { operations, operationsPerAddress } = this.limits;
    if (this.operations.total >= operations) return busy(`this proxy already works on ${operations} requests`);
    if (this.operations.of(address) >= operationsPerAddress)
      return tooMany(`${operationsPerAddress} requests of your address are already under way`);
    return undefined;
  }

  /** Counts a put of so many bytes. */
  refusePut(address: string, valueBytes = 0): Refusal | undefined {
    const { putsPerSecond, putsPerSecondPerAddress } = this.limits;
    const cost = 1 + Math.floor(valueBytes / BYTES_PER_PUT);
    if (!this.addressPuts.take(address, cost))
      return tooMany(`your address may put ${putsPerSecondPerAddress} values per second`);
    if (!this.allPuts.take('', cost)) return busy(`this proxy takes ${putsPerSecond} values per second`);
    return undefined;
  }

  refuseStorage(storedBytes: number): Refusal | undefined {
    return storedBytes < this.limits.storedBytes ? undefined : busy('this proxy holds as many values as it may');
  }

  refusePermanentPut(ofAddress: number, total: number): Refusal | undefined {
    const { permanentPuts, permanentPutsPerAddress } = this.limits;
    if (total >= permanentPuts) return busy(`this proxy already keeps its ${permanentPuts} permanent puts`);
    if (ofAddress >= permanentPutsPerAddress)
      return tooMany(`your address already has its ${permanentPutsPerAddress} permanent puts`);
    return undefined;
  }
}

function tooMany(reason: string): Refusal {
  return { status: 429, reason: `Too much: ${reason}.` };
}

function busy(reason: string): Refusal {
  return { status: 503, reason: `Too busy: ${reason}.` };
}
