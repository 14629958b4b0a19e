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
  private readonly used = new Set<string>();

  constructor({ random }: { readonly random: RandomSource }, range: PortRange) {
    this.random = random;
    this.range = range;
  }

  /** Ports to try at an address, in a random order of neighbors; only even ones where they have to be. */
  *candidates(host: string, isEven: boolean): Iterable<number> {
    const { min, max } = this.range;
    const count = max - min + 1;
    const start = this.random.uint32() % count;
    for (let i = 0; i < Math.min(count, MAX_ATTEMPTS); i++) {
      const port = min + ((start + i) % count);
      if (isEven && port % 2 !== 0) continue;
      if (!this.used.has(key(host, port))) yield port;
    }
  }

  isFree(host: string, port: number): boolean {
    return port <= this.range.max && !this.used.has(key(host, port));
  }

  take(host: string, port: number): void {
    this.used.add(key(host, port));
  }

  giveBack(host: string, port: number): void {
    this.used.delete(key(host, port));
  }
}

function key(host: string, port: number): string {
  return `${host} ${port}`;
}
