import type { Value } from '@atoll/dht';

/** Values remembered of one key; beyond that the oldest counts as gone. */
const MAX_CACHED_VALUES = 4096;

interface CachedValue {
  value: Value;
  /** Told on the present way to the DHT, not only on an earlier one. */
  isConfirmed: boolean;
}

/**
 * What a listener was told of one key, kept while the way to the DHT changes under it: a stream that breaks and is
 * opened again, another proxy, a node instead of a proxy. Each value is told once; one that went away in between is told
 * as expired.
 */
export class ValueCache {
  private readonly entries = new Map<bigint, CachedValue>();

  get size(): number {
    return this.entries.size;
  }

  /** Values that are there as far as known. */
  get values(): readonly Value[] {
    return [...this.entries.values()].map(({ value }) => value);
  }

  /**
   * A value is there. True when listeners have to hear of it: it is new, a newer version of one that is known, or, on a
   * new way, something else under an id that is known.
   */
  add(value: Value): boolean {
    const known = this.entries.get(value.id);
    if (known === undefined) {
      this.entries.set(value.id, { value, isConfirmed: true });
      return true;
    }
    const isOther = !value.sameContent(known.value);
    const isNewer = isOther && (value.seq > known.value.seq || (!known.isConfirmed && value.seq === known.value.seq));
    known.isConfirmed = true;
    if (isNewer) known.value = value;
    return isNewer;
  }

  /** A value is gone; returns what was known of it. */
  remove(id: bigint): Value | undefined {
    const known = this.entries.get(id);
    this.entries.delete(id);
    return known?.value;
  }

  /** Takes out the oldest values above the bound: they count as gone. */
  trim(): Value[] {
    const gone: Value[] = [];
    for (const [id, { value }] of this.entries) {
      if (this.entries.size <= MAX_CACHED_VALUES) break;
      this.entries.delete(id);
      gone.push(value);
    }
    return gone;
  }

  /** The way to the DHT changed: what is known has to be told again to stay. */
  doubt(): void {
    for (const entry of this.entries.values()) entry.isConfirmed = false;
  }

  /** Whether something waits to be told again. */
  get isInDoubt(): boolean {
    for (const entry of this.entries.values()) if (!entry.isConfirmed) return true;
    return false;
  }

  /** Everything that is there was told on the new way: returns what is gone. */
  settle(): Value[] {
    const gone: Value[] = [];
    for (const [id, { value, isConfirmed }] of this.entries) {
      if (isConfirmed) continue;
      this.entries.delete(id);
      gone.push(value);
    }
    return gone;
  }
}
