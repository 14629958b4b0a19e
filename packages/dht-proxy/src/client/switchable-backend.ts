import { AtollError } from '@atoll/base';
import {
  type DhtBackend,
  EventQueue,
  type FieldValues,
  type Health,
  type ListenEvent,
  type LookupOptions,
  type PutOptions,
  type Query,
  type Value,
  withSomeId,
} from '@atoll/dht';
import type { InfoHash, PublicKey } from '@atoll/identity';
import { ValueCache } from '../core/value-cache.js';

interface Listen {
  readonly key: InfoHash;
  readonly options: LookupOptions;
  readonly queue: EventQueue<ListenEvent>;
  readonly cache: ValueCache;
  /** Ends the listen on the present backend. */
  way: AbortController;
}

interface KeptPut {
  readonly key: InfoHash;
  readonly value: Value;
}

/**
 * A way to the DHT that changes between others while running: an account that goes from UDP to a proxy and back. Listens
 * go on, each value told once and those that went away meanwhile told as expired; permanent puts move along.
 */
export class SwitchableBackend implements DhtBackend {
  private current: DhtBackend;
  private readonly listens = new Set<Listen>();
  private readonly kept = new Map<string, KeptPut>();

  constructor(first: DhtBackend) {
    this.current = first;
  }

  /** What is in use now. */
  get backend(): DhtBackend {
    return this.current;
  }

  get health(): Health {
    return this.current.health;
  }

  /** Goes on by another way. The one before is left open: close it once this returned. */
  use(next: DhtBackend): void {
    const before = this.current;
    if (next === before) return;
    this.current = next;
    for (const { key, value } of this.kept.values()) {
      before.cancelPut(key, value.id);
      // It is kept by the backend even if the first attempt fails.
      next.put(key, value, { isPermanent: true }).catch(() => {});
    }
    for (const listen of this.listens) {
      listen.way.abort();
      listen.cache.doubt();
      this.run(listen);
    }
  }

  get(key: InfoHash, options?: LookupOptions): Promise<Value[]> {
    return this.current.get(key, options);
  }

  values(key: InfoHash, options?: LookupOptions): AsyncIterable<Value> {
    return this.current.values(key, options);
  }

  query(key: InfoHash, query: Query, options?: Pick<LookupOptions, 'signal'>): Promise<FieldValues[]> {
    return this.current.query(key, query, options);
  }

  async put(key: InfoHash, value: Value, options: PutOptions = {}): Promise<bigint> {
    const named = withSomeId(value);
    if (options.isPermanent) this.keep(key, named, options.signal);
    return this.current.put(key, named, options);
  }

  async putSigned(key: InfoHash, value: Value, options: PutOptions = {}): Promise<Value> {
    const signed = await this.current.putSigned(key, value, options);
    if (options.isPermanent) this.keep(key, signed, options.signal);
    return signed;
  }

  /** A sealed value that is permanent stays with the backend that sealed it until the switch is made again. */
  putEncrypted(key: InfoHash, value: Value, to: PublicKey | InfoHash, options: PutOptions = {}): Promise<bigint> {
    return this.current.putEncrypted(key, value, to, options);
  }

  cancelPut(key: InfoHash, id: bigint): boolean {
    this.kept.delete(nameOf(key, id));
    return this.current.cancelPut(key, id);
  }

  listen(key: InfoHash, options: LookupOptions = {}): AsyncIterable<ListenEvent> {
    options.signal?.throwIfAborted();
    const queue = new EventQueue<ListenEvent>(() => {
      this.listens.delete(listen);
      listen.way.abort();
      options.signal?.removeEventListener('abort', abort);
    });
    const listen: Listen = { key, options, queue, cache: new ValueCache(), way: new AbortController() };
    const abort = (): void => queue.end();
    options.signal?.addEventListener('abort', abort);
    this.listens.add(listen);
    this.run(listen);
    return queue;
  }

  private keep(key: InfoHash, value: Value, signal: AbortSignal | undefined): void {
    const name = nameOf(key, value.id);
    this.kept.set(name, { key, value });
    signal?.addEventListener('abort', () => this.kept.delete(name), { once: true });
  }

  private run(listen: Listen): void {
    const way = new AbortController();
    listen.way = way;
    const backend = this.current;
    this.pump(listen, backend, way.signal).catch((error) => {
      if (!way.signal.aborted) listen.queue.end(error);
    });
    if (listen.cache.isInDoubt) void this.settle(listen, backend, way.signal);
  }

  private async pump(listen: Listen, backend: DhtBackend, signal: AbortSignal): Promise<void> {
    const { query, filter } = listen.options;
    for await (const { values, isExpired } of backend.listen(listen.key, { query, filter, signal })) {
      if (signal.aborted) return;
      if (isExpired) this.tell(listen, values.map(({ id }) => listen.cache.remove(id)).filter(isValue), true);
      else this.added(listen, values);
    }
    if (!signal.aborted) throw new AtollError('DHT_LISTEN_ENDED', 'The way to the DHT was closed; listen again.');
  }

  /** What the new way does not have any more is gone. A get that fails proves nothing: the doubt stays. */
  private async settle(listen: Listen, backend: DhtBackend, signal: AbortSignal): Promise<void> {
    const { query, filter } = listen.options;
    const there = await backend.get(listen.key, { query, filter, signal }).catch(() => undefined);
    if (there === undefined || signal.aborted) return;
    this.added(listen, there);
    this.tell(listen, listen.cache.settle(), true);
  }

  private added(listen: Listen, values: readonly Value[]): void {
    this.tell(
      listen,
      values.filter((value) => listen.cache.add(value)),
      false,
    );
    this.tell(listen, listen.cache.trim(), true);
  }

  private tell(listen: Listen, values: readonly Value[], isExpired: boolean): void {
    if (values.length > 0) listen.queue.push({ values, isExpired });
  }
}

function nameOf(key: InfoHash, id: bigint): string {
  return `${key.binary}${id}`;
}

function isValue(value: Value | undefined): value is Value {
  return value !== undefined;
}
