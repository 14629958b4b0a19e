import { systemClock, systemRandom } from '@atoll/base';
import {
  type Connectivity,
  type DhtBackend,
  EventQueue,
  type FieldValues,
  fieldsOf,
  type Health,
  type ListenEvent,
  type LookupOptions,
  type PutOptions,
  Query,
  SecureLayer,
  type Value,
  type ValueTransport,
  withSomeId,
} from '@atoll/dht';
import { type Identity, InfoHash, type PkId, type PublicKey } from '@atoll/identity';
import { ProxyLink } from '../core/proxy-link.js';
import { RealTimeScheduler } from '../real-time-scheduler.js';
import type { NodeInfo } from '../wire/node-info.js';
import type { PutOwner } from '../wire/requests.js';
import { type ClientTls, HttpExchange } from './http-exchange.js';
import { KeptPuts } from './kept-puts.js';
import { ListenSession } from './listen-session.js';
import { askInfo, ProxyRequests } from './proxy-requests.js';
import { parseProxies } from './proxy-url.js';

/** A working proxy is asked again so often: with the time to wait for its answer, less than a minute, ms. */
const CHECK_MS = 30_000;
/** With pushes nothing is open that could be dead, and the phone sleeps, ms. */
const CHECK_WITH_PUSH_MS = 15 * 60_000;
const SESSION_CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const SESSION_LENGTH = 8;

/** How this client is woken: token, platform and topic as the phone's system gave them. */
export type PushSettings = Pick<PutOwner, 'token' | 'platform' | 'topic' | 'clientId'>;

export interface ProxyClientOptions {
  /** One proxy or several, tried in this order: `http://host:port`, as {@link parseProxies} reads them. */
  readonly proxies: string;
  /** For signed and encrypted values; a proxy opens nothing. */
  readonly identity?: Identity | undefined;
  /** Listen by pushes instead of by streams. */
  readonly push?: PushSettings | undefined;
  readonly tls?: ClientTls | undefined;
  /** A proxy that works is asked again so often, ms. */
  readonly checkMs?: number | undefined;
  readonly onConnectivity?: ((now: Connectivity, before: Connectivity) => void) | undefined;
}

/**
 * A way to the DHT through a proxy (protocol/dht-proxy.md 16), which stands in for a node: nothing is open but HTTP.
 *
 * ```ts
 * await using dht = new ProxyClient({ proxies: 'http://192.168.1.2:8080' });
 * await dht.put(InfoHash.of('greeting'), Value.plain({ data: 'hello' }));
 * for await (const { values } of dht.listen(InfoHash.of('greeting'))) console.log(values.join());
 * ```
 */
export class ProxyClient implements DhtBackend {
  private readonly exchange: HttpExchange;
  private readonly time = new RealTimeScheduler();
  private readonly link: ProxyLink;
  private readonly requests: ProxyRequests;
  private readonly secure: SecureLayer;
  private readonly puts: KeptPuts;
  private readonly sessions = new Map<string, ListenSession>();
  private readonly sessionId: string;
  private readonly waitingForConnection = new Set<() => void>();
  private pushSettings: PushSettings | undefined;
  private isClosed = false;

  /** Starts to ask the first proxy at once. Throws a usage error when the proxies are none. */
  constructor(options: ProxyClientOptions) {
    const proxies = parseProxies(options.proxies);
    this.exchange = new HttpExchange(options.tls);
    this.pushSettings = options.push;
    this.sessionId = Array.from(
      systemRandom.bytes(SESSION_LENGTH),
      (byte) => SESSION_CHARACTERS[byte % SESSION_CHARACTERS.length],
    ).join('');
    const parts = { clock: systemClock, scheduler: this.time.scheduler, random: systemRandom };
    this.puts = new KeptPuts({ ...parts, put: ({ key, value }) => this.requests.put(key, value, true) });
    this.link = new ProxyLink(
      {
        ...parts,
        ask: (proxy) => askInfo(this.exchange, proxy),
        onChange: (now, before) => {
          options.onConnectivity?.(now, before);
          for (const look of [...this.waitingForConnection]) look();
        },
        onConnected: () => {
          this.puts.renewAll();
          for (const session of this.sessions.values()) session.start();
        },
        onLost: () => {
          for (const session of this.sessions.values()) session.pause();
        },
      },
      {
        proxies,
        checkMs: options.checkMs ?? (options.push === undefined ? CHECK_MS : CHECK_WITH_PUSH_MS),
      },
    );
    this.requests = new ProxyRequests({
      exchange: this.exchange,
      link: this.link,
      attempts: proxies.length + 1,
      pushOwner: () => this.pushOwner,
    });
    this.secure = new SecureLayer(this.transport(), options.identity);
    this.link.checkSoon();
  }

  get health(): Health {
    return this.link.health;
  }

  /** `connected` when the proxy in use answers and its node has good nodes. */
  get connectivity(): Connectivity {
    return this.link.status;
  }

  /** The proxy in use, as an origin. */
  get proxy(): string {
    return this.link.proxy;
  }

  /** What the proxy in use said last of its node and of our address. */
  get info(): NodeInfo | undefined {
    return this.link.info;
  }

  /** Addresses or links changed: ask now. */
  connectivityChanged(): void {
    this.link.checkSoon();
  }

  /** Resolves once a proxy is of use; fails with the signal's reason. */
  connected(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        this.waitingForConnection.delete(look);
        signal?.removeEventListener('abort', abort);
      };
      const look = (): void => {
        if (this.link.status !== 'connected') return;
        stop();
        resolve();
      };
      const abort = (): void => {
        stop();
        reject(signal?.reason);
      };
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      signal?.addEventListener('abort', abort);
      this.waitingForConnection.add(look);
      look();
    });
  }

  async get(key: InfoHash, options: LookupOptions = {}): Promise<Value[]> {
    const values: Value[] = [];
    for await (const value of this.values(key, options)) values.push(value);
    return values;
  }

  values(key: InfoHash, options: LookupOptions = {}): AsyncIterable<Value> {
    options.signal?.throwIfAborted();
    const accept = this.secure.acceptor(options.filter);
    const controller = new AbortController();
    const queue = new EventQueue<Value>(() => {
      controller.abort();
      options.signal?.removeEventListener('abort', abort);
    });
    const abort = (): void => queue.end(options.signal?.reason);
    options.signal?.addEventListener('abort', abort);
    const onValue = (value: Value): void => {
      if (options.query !== undefined && !options.query.matches(value)) return;
      const accepted = accept(value);
      if (accepted !== undefined) queue.push(accepted);
    };
    this.requests.look(key, controller.signal, onValue).then(
      () => queue.end(),
      (error) => queue.end(error),
    );
    return queue;
  }

  /** A proxy has no queries: whole values are fetched, and the fields taken out here. */
  async query(key: InfoHash, query: Query, options: Pick<LookupOptions, 'signal'> = {}): Promise<FieldValues[]> {
    const found: FieldValues[] = [];
    const where = new Query([], query.where);
    await this.requests.look(key, options.signal, (value) => {
      if (where.matches(value)) found.push(fieldsOf(value, query.select));
    });
    return found;
  }

  async put(key: InfoHash, value: Value, options: PutOptions = {}): Promise<bigint> {
    options.signal?.throwIfAborted();
    // The id is chosen here, so that a put that is sent again is the same put.
    const named = withSomeId(value);
    const isPermanent = options.isPermanent ?? false;
    if (isPermanent) this.puts.keep(key, named);
    try {
      await this.requests.put(key, named, isPermanent, options.signal);
    } catch (error) {
      if (!options.signal?.aborted) throw error;
      this.puts.drop(key, named.id);
      throw options.signal.reason;
    }
    return named.id;
  }

  async putSigned(key: InfoHash, value: Value, options: PutOptions = {}): Promise<Value> {
    const signed = await this.secure.sign(key, value);
    await this.put(key, signed, options);
    return signed;
  }

  async putEncrypted(
    key: InfoHash,
    value: Value,
    to: PublicKey | InfoHash | PkId,
    options: PutOptions = {},
  ): Promise<bigint> {
    return this.put(key, await this.secure.seal(value, to), options);
  }

  /** Stops renewing; the proxy itself keeps announcing it until its day is over (protocol/dht-proxy.md 9.1). */
  cancelPut(key: InfoHash, id: bigint): boolean {
    return this.puts.drop(key, id);
  }

  listen(key: InfoHash, options: LookupOptions = {}): AsyncIterable<ListenEvent> {
    options.signal?.throwIfAborted();
    let leave = (): void => {};
    const queue = new EventQueue<ListenEvent>(() => {
      leave();
      options.signal?.removeEventListener('abort', abort);
    });
    const abort = (): void => queue.end();
    options.signal?.addEventListener('abort', abort);
    leave = this.sessionOf(key).add(queue, options);
    return queue;
  }

  /** Puts our certificate where others look for it, for as long as the client runs (protocol/dht.md 19.1). */
  publishCertificate(): void {
    this.secure.publishCertificate();
  }

  /** Other push settings, or none: every listen changes between streams and subscriptions at once. */
  setPush(settings: PushSettings | undefined): void {
    for (const session of this.sessions.values()) session.stop();
    this.pushSettings = settings;
    if (this.link.status !== 'connected') return;
    for (const session of this.sessions.values()) session.start();
    this.puts.renewAll();
  }

  /** A push of the proxy reached the phone: its data, all strings (protocol/dht-proxy.md 16.5). */
  pushReceived(data: Readonly<Record<string, string>>): void {
    const { s, timeout, vid, key, exp } = data;
    if (s !== undefined && s !== '' && s !== this.sessionId) return;
    const session = this.sessions.get(InfoHash.parse(timeout ?? key ?? '').binary);
    if (timeout !== undefined) {
      if (vid !== undefined && vid !== '') this.puts.renewOne(InfoHash.parse(timeout), idOf(vid));
      else session?.start();
    } else if (exp !== undefined && exp !== '') session?.expire([idOf(exp)]);
    else session?.refetch();
  }

  /** Ends every listen and request. Permanent puts live on at the proxy until their day is over. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    this.link.stop();
    for (const session of this.sessions.values()) session.pause();
    this.sessions.clear();
    this.time.close();
    this.exchange.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private sessionOf(key: InfoHash): ListenSession {
    const known = this.sessions.get(key.binary);
    if (known !== undefined) return known;
    const session = new ListenSession(key, {
      clock: systemClock,
      scheduler: this.time.scheduler,
      random: systemRandom,
      secure: this.secure,
      send: (request, handler) => this.exchange.send(this.link.proxy, request, handler),
      fetch: (wanted, signal) => this.requests.fetch(wanted, signal),
      pushOwner: () => this.pushOwner,
      onBroken: (fault, isRefused) => {
        if (isRefused) this.link.failed(this.link.proxy, fault);
        else this.link.checkSoon();
      },
      onUnused: (unused) => {
        unused.stop();
        this.sessions.delete(unused.key.binary);
      },
    });
    this.sessions.set(key.binary, session);
    if (this.link.status === 'connected') session.start();
    return session;
  }

  /** How the secure layer looks for certificates and versions, and puts the certificate. */
  private transport(): ValueTransport {
    return {
      get: (key, query, handler) => {
        const controller = new AbortController();
        const onValue = (value: Value): void => {
          if (query.matches(value) && handler.onValues?.([value]) === false) controller.abort();
        };
        this.requests.look(key, controller.signal, onValue).then(
          () => handler.onDone?.(true),
          () => handler.onDone?.(controller.signal.aborted),
        );
        return () => controller.abort();
      },
      put: (key, value, options, onDone) => {
        this.put(key, value, options).then(
          () => onDone(true),
          () => onDone(false),
        );
      },
      announced: (key, id) => this.puts.get(key, id),
    };
  }

  private get pushOwner(): PutOwner | undefined {
    return this.pushSettings === undefined ? undefined : { ...this.pushSettings, sessionId: this.sessionId };
  }
}

function idOf(text: string): bigint {
  return /^\d{1,20}$/.test(text) ? BigInt(text) : 0n;
}
