import type { InfoHash } from '@atoll/identity';
import type { NodeRecord } from './node-record.js';
import type { Search } from './search.js';

/** The searches of one family in the order of their keys, so that a new node finds those near it (protocol/dht.md 18.2). */
export class SearchIndex {
  private readonly byKey = new Map<string, Search>();
  private readonly sorted: Search[] = [];

  get size(): number {
    return this.byKey.size;
  }

  get(key: InfoHash): Search | undefined {
    return this.byKey.get(key.binary);
  }

  [Symbol.iterator](): IterableIterator<Search> {
    return this.byKey.values();
  }

  add(search: Search): void {
    this.byKey.set(search.key.binary, search);
    this.sorted.splice(this.position(search.key), 0, search);
  }

  remove(search: Search): void {
    if (!this.byKey.delete(search.key.binary)) return;
    this.sorted.splice(this.position(search.key), 1);
  }

  /** Offers a node to the searches on both sides of its id, until one on each side has no use for it. */
  offer(node: NodeRecord, nowMs: number): void {
    if (this.sorted.length === 0) return;
    const at = this.position(node.id);
    for (let i = at; i < this.sorted.length; i++) if (!(this.sorted[i] as Search).offer(node, nowMs)) break;
    for (let i = at - 1; i >= 0; i--) if (!(this.sorted[i] as Search).offer(node, nowMs)) break;
  }

  private position(key: InfoHash): number {
    let low = 0;
    let high = this.sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.sorted[middle] as Search).key.binary < key.binary) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
