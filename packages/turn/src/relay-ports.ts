import type { RandomSource } from '@atoll/base';

/** Ports tried for one relay before the answer is that there is no capacity. */
const MAX_ATTEMPTS = 1024;

export interface PortRange {
  readonly min: number;
  readonly max: number;
}

/** Ports of relays: chosen by chance, as RFC 8656 section 7.2 wants, among those not in use. */
export class RelayPorts {
  private readonly random: RandomSource;
  private readonly range: PortRange;
  /** By address. */
  private readonly used = new Map<string, Set<number>>();

  constructor({ random }: { readonly random: RandomSource }, range: PortRange) {
    this.random = random;
    this.range = range;
  }

  /** Ports to try at an address, in a random order of neighbors; only even ones where they have to be. */
  *candidates(host: string, isEven: boolean): Iterable<number> {
    const { min, max } = this.range;
    const count = max - min + 1;
    const start = this.random.uint32() % count;
    const used = this.usedAt(host);
    for (let i = 0; i < Math.min(count, MAX_ATTEMPTS); i++) {
      const port = min + ((start + i) % count);
      if (isEven && port % 2 !== 0) continue;
      if (!used.has(port)) yield port;
    }
  }

  isFree(host: string, port: number): boolean {
    return port <= this.range.max && !this.usedAt(host).has(port);
  }

  take(host: string, port: number): void {
    this.usedAt(host).add(port);
  }

  giveBack(host: string, port: number): void {
    this.usedAt(host).delete(port);
  }

  private usedAt(host: string): Set<number> {
    let used = this.used.get(host);
    if (used === undefined) {
      used = new Set();
      this.used.set(host, used);
    }
    return used;
  }
}
