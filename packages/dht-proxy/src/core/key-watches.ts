import type { ListenCallback, Value } from '@atoll/dht';
import type { InfoHash } from '@atoll/identity';
import { encodeValueJson } from '../wire/value-json.js';

/** Values remembered per key for those who join later; a key with more is spam. */
const MAX_KNOWN = 4096;

/** Values that came or went under a key. */
export class WatchEvent {
  readonly values: readonly Value[];
  readonly isExpired: boolean;
  private linesMade: string[] | undefined;

  constructor(values: readonly Value[], isExpired: boolean) {
    this.values = values;
    this.isExpired = isExpired;
  }

  /** One line per value, as a listener's stream has it; made once however many streams there are. */
  get lines(): readonly string[] {
    this.linesMade ??= this.values.map((value) => `${encodeValueJson(value, this.isExpired)}\n`);
    return this.linesMade;
  }
}

/** Somebody who hears of a key. */
export interface Watcher {
  /** Values came or went; those there at the start come as the first event. */
  changed(event: WatchEvent): void;
  /** The node is gone: nothing more will be heard. Not called after {@link KeyWatches.unwatch}. */
  ended(): void;
}

/** How the node is listened to: returns a function that ends it, or undefined when the node has no room. */
export type ListenOnNode = (key: InfoHash, callback: ListenCallback) => (() => void) | undefined;

interface KeyWatch {
  readonly watchers: Set<Watcher>;
  readonly known: Map<bigint, Value>;
  cancel: (() => void) | undefined;
}

/**
 * Everybody who listens through this proxy: one listen on the DHT per key, however many watch it
 * (protocol/dht-proxy.md 8). Values pass as they are, encrypted ones unopened (trap 1); signed ones only if the
 * signature holds, as the original does it.
 */
export class KeyWatches {
  private readonly listen: ListenOnNode;
  private readonly keys = new Map<string, KeyWatch>();

  constructor(listen: ListenOnNode) {
    this.listen = listen;
  }

  /** Keys that are listened to. */
  get size(): number {
    return this.keys.size;
  }

  /** Values known under a key that is watched, as far as they were told. */
  known(key: InfoHash): readonly Value[] {
    return [...(this.keys.get(key.binary)?.known.values() ?? [])];
  }

  /** Starts to hear of a key. False when the node cannot listen to it. */
  watch(key: InfoHash, watcher: Watcher): boolean {
    const current = this.keys.get(key.binary);
    if (current !== undefined) {
      current.watchers.add(watcher);
      if (current.known.size > 0) watcher.changed(new WatchEvent([...current.known.values()], false));
      return true;
    }
    const watch: KeyWatch = { watchers: new Set([watcher]), known: new Map(), cancel: undefined };
    this.keys.set(key.binary, watch);
    watch.cancel = this.listen(key, (values, isExpired) => {
      this.changed(watch, values, isExpired);
      return true;
    });
    if (watch.cancel === undefined) {
      this.keys.delete(key.binary);
      return false;
    }
    // What is known is told at once, and may be all that the watcher wanted.
    if (watch.watchers.size === 0) watch.cancel();
    return true;
  }

  /** Hears no more; the last one ends the listen on the DHT. */
  unwatch(key: InfoHash, watcher: Watcher): void {
    const watch = this.keys.get(key.binary);
    if (watch === undefined || !watch.watchers.delete(watcher) || watch.watchers.size > 0) return;
    this.keys.delete(key.binary);
    watch.cancel?.();
  }

  /** The node is gone: everybody is told, nobody is kept. */
  endAll(): void {
    const watches = [...this.keys.values()];
    this.keys.clear();
    for (const watch of watches) {
      watch.cancel?.();
      for (const watcher of [...watch.watchers]) watcher.ended();
    }
  }

  private changed(watch: KeyWatch, values: readonly Value[], isExpired: boolean): void {
    const told = isExpired ? values.filter((value) => watch.known.delete(value.id)) : values.filter(isTrue);
    if (told.length === 0) return;
    if (!isExpired) {
      for (const value of told) if (watch.known.size < MAX_KNOWN) watch.known.set(value.id, value);
    }
    const event = new WatchEvent(told, isExpired);
    for (const watcher of [...watch.watchers]) watcher.changed(event);
  }
}

/** Whether a value may be passed on: not signed, encrypted, or signed as its owner would. */
export function isTrue(value: Value): boolean {
  return !value.isSigned || value.verify();
}
