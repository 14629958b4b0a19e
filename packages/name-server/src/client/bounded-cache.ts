interface Entry<V> {
  readonly value: V;
  readonly untilMs: number;
}

export interface BoundedCacheOptions {
  readonly maxEntries: number;
  /** How long an entry is good, ms. */
  readonly lifeMs: number;
}

/** A cache whose entries end, and which forgets the oldest when it is full. */
export class BoundedCache<V> {
  private readonly nowMs: () => number;
  private readonly options: BoundedCacheOptions;
  private readonly entries = new Map<string, Entry<V>>();

  constructor(components: { readonly nowMs: () => number }, options: BoundedCacheOptions) {
    this.nowMs = components.nowMs;
    this.options = options;
  }

  get(key: string): V | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.untilMs > this.nowMs()) return entry.value;
    this.entries.delete(key);
    return undefined;
  }

  /** The newest answer wins. */
  set(key: string, value: V): void {
    this.entries.delete(key);
    if (this.entries.size >= this.options.maxEntries) {
      const [oldest] = this.entries.keys();
      if (oldest !== undefined) this.entries.delete(oldest);
    }
    this.entries.set(key, { value, untilMs: this.nowMs() + this.options.lifeMs });
  }

  delete(key: string): void {
    this.entries.delete(key);
  }

  get size(): number {
    return this.entries.size;
  }
}
