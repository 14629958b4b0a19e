/** Addresses remembered at a time; of more, the one longest quiet is forgotten. */
const MAX_HEARD = 1024;

/** When addresses were last heard of, in a bounded table: for telling a person whether his device came through. */
export class HeardLately {
  private readonly times = new Map<string, number>();
  private newest: string | undefined;

  hear(address: string, nowMs: number): void {
    // Set anew, so that the map is in the order of time and the oldest goes first. The newest stands last already.
    if (address !== this.newest && !this.times.delete(address) && this.times.size >= MAX_HEARD) {
      const [oldest] = this.times.keys();
      if (oldest !== undefined) this.times.delete(oldest);
    }
    this.times.set(address, nowMs);
    this.newest = address;
  }

  /** Undefined when it was never heard, or is forgotten. */
  heardMs(address: string): number | undefined {
    return this.times.get(address);
  }

  get size(): number {
    return this.times.size;
  }
}
