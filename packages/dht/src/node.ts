import { lookup } from 'node:dns/promises';
import {
  AtollError,
  Endpoint,
  errorMessage,
  type Family,
  type Logger,
  silentLogger,
  splitHostPort,
  systemClock,
  systemRandom,
  UsageError,
} from '@atoll/base';
import { type Identity, type InfoHash, nodeIdOf, type PkId, type PublicKey } from '@atoll/identity';
import { type DatagramSocket, openDatagramSocket } from '@atoll/udp';
import type { DhtBackend, ListenEvent, LookupOptions, PutOptions } from './backend.js';
import { DhtCore, type DhtCoreOptions } from './core/dht-core.js';
import type { Connectivity, Health } from './core/health.js';
import type { StoredValue } from './core/storage.js';
import { EventQueue } from './event-queue.js';
import { LanDiscovery } from './lan-discovery.js';
import { NodeStateFile } from './node-state-file.js';
import { rehearse } from './rehearsal.js';
import { SecureLayer, withSomeId } from './secure.js';
import { type FieldValues, fieldsOf, Query, sameFields } from './wire/query.js';
import type { Value } from './wire/value.js';

/** Port of a DHT node when nothing else is said (protocol/dht.md 2). */
export const DEFAULT_PORT = 4222;
/** A node that received so many needs no rehearsal. */
const BUSY_DATAGRAMS = 1000;
/** The node cache is written so often, ms, so that a killed node finds its network again. */
const SAVE_EVERY_MS = 5 * 60_000;
/** A receive buffer that holds bursts of whole fragmented values. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;

export interface DhtNodeOptions extends Omit<DhtCoreOptions, 'families'> {
  /** UDP port for both families; 0 lets the system choose (or the state file remember). */
  readonly port?: number | undefined;
  /** Addresses to bind; all when empty. At most one of each family. */
  readonly addresses?: readonly string[] | undefined;
  /** `host`, `host:port`, `[v6]:port`. */
  readonly bootstrap?: readonly string[] | undefined;
  /** For signed and encrypted values; gives the node its id. */
  readonly identity?: Identity | undefined;
  /** State file (protocol/dht.md 22.1): read at start, written while running and at the end. */
  readonly statePath?: string | undefined;
  /** Look for others on the LAN, and be found. */
  readonly peerDiscovery?: boolean | undefined;
  readonly logger?: Logger | undefined;
  /** A value was stored here, by others or by this node. */
  readonly onStored?: ((stored: StoredValue) => void) | undefined;
  /** For tests of both ways: which UDP implementation to use. */
  readonly udp?: 'auto' | 'native' | 'dgram' | undefined;
}

/** Where a bootstrap list or a dhtnode user says a node is (protocol/dht.md 23). Throws a usage error. */
export function parseBootstrap(text: string): { host: string; port: number } {
  const { host, port } = splitHostPort(text.trim());
  if (host === '' || Number.isNaN(port)) {
    throw new UsageError(`“${text}” is no bootstrap address; write host, host:port or [IPv6]:port.`);
  }
  return { host, port: port === undefined || port === 0 ? DEFAULT_PORT : port };
}

/**
 * An OpenDHT node on UDP.
 *
 * ```ts
 * await using node = await DhtNode.open({ port: 4222, bootstrap: ['192.168.1.2:4222'] });
 * await node.put(InfoHash.of('greeting'), Value.plain({ data: 'hello' }));
 * for await (const { values } of node.listen(InfoHash.of('greeting'))) console.log(values.join());
 * ```
 */
export class DhtNode implements DhtBackend {
  readonly core: DhtCore;
  /** For signed and encrypted values, if it has one. */
  readonly identity: Identity | undefined;
  private readonly sockets = new Map<Family, DatagramSocket>();
  private readonly secure: SecureLayer;
  private readonly logger: Logger;
  private readonly bootstrapHosts: string[];
  private readonly stateFile: NodeStateFile | undefined;
  private readonly waitingForConnection = new Set<() => void>();
  private discovery: LanDiscovery | undefined;
  private timer: NodeJS.Timeout | undefined;
  private immediate: NodeJS.Immediate | undefined;
  private timerMs = Number.POSITIVE_INFINITY;
  private saveTimer: NodeJS.Timeout | undefined;
  private hasPublished = false;
  private isClosed = false;

  private constructor(options: DhtNodeOptions, stateFile: NodeStateFile | undefined, families: readonly Family[]) {
    this.logger = options.logger ?? silentLogger;
    this.identity = options.identity;
    this.bootstrapHosts = [...(options.bootstrap ?? [])];
    this.stateFile = stateFile;
    const idOfIdentity = options.identity === undefined ? undefined : nodeIdOf(options.identity.certificate);
    this.core = new DhtCore(
      {
        clock: systemClock,
        random: systemRandom,
        send: (bytes, to) => this.sockets.get(to.family)?.send(bytes, to),
        wakeAt: (dueMs) => this.arm(dueMs),
        tryBootstrap: () => void this.tryBootstrap(),
        onConnectivity: (family, now) => this.connectivityIs(family, now),
        onStored: options.onStored,
      },
      { ...options, id: stateFile?.state?.id ?? options.id ?? idOfIdentity, families },
    );
    this.secure = new SecureLayer(this.core, options.identity);
  }

  /** Binds, reads the state and starts to look for the network. Fails only when no family can be bound. */
  static async open(options: DhtNodeOptions = {}): Promise<DhtNode> {
    for (const text of options.bootstrap ?? []) parseBootstrap(text);
    const stateFile =
      options.statePath === undefined ? undefined : await NodeStateFile.read(options.statePath, options.logger);
    const bindings = bindingsOf(options.addresses ?? []);
    const node = new DhtNode(options, stateFile, [...bindings.keys()]);
    try {
      await node.bind(bindings, options, stateFile);
      await node.start(options, stateFile);
    } catch (error) {
      await node.close();
      throw error;
    }
    return node;
  }

  get id(): InfoHash {
    return this.core.id;
  }

  /** Bound ports, 0 for a family without socket. */
  get ports(): { readonly ipv4: number; readonly ipv6: number } {
    return { ipv4: this.sockets.get(4)?.local.port ?? 0, ipv6: this.sockets.get(6)?.local.port ?? 0 };
  }

  /** Whether datagrams go in batches. */
  get isBatched(): boolean {
    return [...this.sockets.values()].every((socket) => socket.isBatched);
  }

  /** Bytes of all datagrams since the start. */
  get traffic(): { readonly inBytes: number; readonly outBytes: number } {
    const sum = { inBytes: 0, outBytes: 0 };
    for (const { stats } of this.sockets.values()) {
      sum.inBytes += stats.receivedBytes;
      sum.outBytes += stats.sentBytes;
    }
    return sum;
  }

  get health(): Health {
    return this.core.health;
  }

  get connectivity(): ReadonlyMap<Family, Connectivity> {
    return this.core.connectivity;
  }

  /** Adds a bootstrap and tries it now. Throws a usage error when the text is no address. */
  bootstrap(text: string): void {
    parseBootstrap(text);
    this.bootstrapHosts.push(text);
    this.core.startBootstrap();
  }

  /** Starts or stops looking for others on the LAN and being found. */
  async setPeerDiscovery(isOn: boolean): Promise<void> {
    if (isOn && this.discovery === undefined) {
      this.discovery = await LanDiscovery.open(this.core, this.ports, this.logger);
    } else if (!isOn) {
      const { discovery } = this;
      this.discovery = undefined;
      await discovery?.close();
    }
  }

  /** Addresses or links changed. */
  connectivityChanged(): void {
    this.core.connectivityChanged();
    this.discovery?.connectivityChanged();
  }

  /** Makes the code of this process fast before anybody waits for it, unless enough came in already to have done so. */
  rehearse(): Promise<void> {
    return rehearse(() => !this.isClosed && this.core.stats.received < BUSY_DATAGRAMS);
  }

  /** Resolves once a family is connected; fails with the signal's reason. */
  connected(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const isUp = (): boolean => [...this.connectivity.values()].includes('connected');
      const stop = (): void => {
        this.waitingForConnection.delete(look);
        signal?.removeEventListener('abort', abort);
      };
      const look = (): void => {
        if (!isUp()) return;
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
    let cancel = (): void => {};
    const queue = new EventQueue<Value>(() => {
      cancel();
      options.signal?.removeEventListener('abort', abort);
    });
    const abort = (): void => queue.end(options.signal?.reason);
    options.signal?.addEventListener('abort', abort);
    let found = 0;
    cancel = this.core.get(key, options.query ?? Query.all, {
      onValues: (values) => {
        for (const value of values) {
          const accepted = accept(value);
          if (accepted === undefined) continue;
          found++;
          queue.push(accepted);
        }
        return true;
      },
      onDone: (ok) => queue.end(ok || found > 0 ? undefined : unreachable()),
    });
    return queue;
  }

  query(key: InfoHash, query: Query, options: Pick<LookupOptions, 'signal'> = {}): Promise<FieldValues[]> {
    const found: FieldValues[] = [];
    const add = (fields: readonly FieldValues[]): void => {
      for (const entry of fields) if (!found.some((known) => sameFields(known, entry))) found.push(entry);
    };
    // Nothing selected is everything; and what others cannot judge has to be judged here, on whole values.
    const isOfValues = query.select.length === 0 || !query.isSendable;
    return this.operation(options.signal, (resolve, reject) =>
      this.core.get(key, isOfValues ? new Query([], query.where) : query, {
        onValues: (values) => {
          if (isOfValues) add(values.map((value) => fieldsOf(value, query.select)));
          return true;
        },
        onFields: add,
        onDone: (ok) => (ok || found.length > 0 ? resolve(found) : reject(unreachable())),
      }),
    );
  }

  put(key: InfoHash, value: Value, options: PutOptions = {}): Promise<bigint> {
    const named = withSomeId(value);
    return this.operation(options.signal, (resolve, reject) => {
      const { isPermanent = false, createdUnixMs } = options;
      this.core.put(key, named, { isPermanent, ...(createdUnixMs === undefined ? {} : { createdUnixMs }) }, (ok) =>
        ok ? resolve(named.id) : reject(putFailed(key)),
      );
      return () => this.core.cancelPut(key, named.id);
    });
  }

  /** The value with the signature of this node, and a sequence number above that of one that is there. */
  sign(key: InfoHash, value: Value): Promise<Value> {
    return this.secure.sign(key, value);
  }

  /** The value signed by this node and encrypted for a key, which is looked for when only its id is given. */
  seal(value: Value, to: PublicKey | InfoHash | PkId): Promise<Value> {
    return this.secure.seal(value, to);
  }

  async putSigned(key: InfoHash, value: Value, options: PutOptions = {}): Promise<Value> {
    const signed = await this.sign(key, value);
    await this.put(key, signed, options);
    return signed;
  }

  async putEncrypted(
    key: InfoHash,
    value: Value,
    to: PublicKey | InfoHash | PkId,
    options: PutOptions = {},
  ): Promise<bigint> {
    return this.put(key, await this.seal(value, to), options);
  }

  cancelPut(key: InfoHash, id: bigint): boolean {
    return this.core.cancelPut(key, id);
  }

  listen(key: InfoHash, options: LookupOptions = {}): AsyncIterable<ListenEvent> {
    options.signal?.throwIfAborted();
    const accept = this.secure.acceptor(options.filter);
    let cancel: (() => void) | undefined;
    const queue = new EventQueue<ListenEvent>(() => {
      cancel?.();
      options.signal?.removeEventListener('abort', abort);
    });
    const abort = (): void => queue.end();
    options.signal?.addEventListener('abort', abort);
    cancel = this.core.listen(key, options.query ?? Query.all, (values, isExpired) => {
      const accepted = values.map(accept).filter((value) => value !== undefined);
      if (accepted.length > 0) queue.push({ values: accepted, isExpired });
      return true;
    });
    if (cancel === undefined)
      queue.end(new AtollError('DHT_BUSY', 'This node already looks for as many keys as it may.'));
    return queue;
  }

  /** The certificate with this id, from memory or the DHT (protocol/dht.md 19.2). */
  findCertificate(id: InfoHash | PkId): ReturnType<SecureLayer['findCertificate']> {
    return this.secure.findCertificate(id);
  }

  /** Hands every stored value on to the nodes nearest to it: before a planned end. */
  flush(): Promise<void> {
    return new Promise((resolve) => this.core.flushStorage(resolve));
  }

  /** Saves the state, ends all operations and closes the sockets. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    clearTimeout(this.timer);
    clearImmediate(this.immediate);
    clearInterval(this.saveTimer);
    await this.stateFile?.save(this.core, this.ports);
    await this.discovery?.close();
    this.core.close();
    await Promise.all([...this.sockets.values()].map((socket) => socket.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async bind(
    bindings: ReadonlyMap<Family, string | undefined>,
    options: DhtNodeOptions,
    stateFile: NodeStateFile | undefined,
  ): Promise<void> {
    const port = options.port ?? DEFAULT_PORT;
    let failure: unknown;
    for (const [family, address] of bindings) {
      const remembered = family === 4 ? stateFile?.ports.ipv4 : stateFile?.ports.ipv6;
      const wanted = port !== 0 ? [port] : [remembered, this.sockets.get(4)?.local.port, 0];
      for (const candidate of wanted) {
        if (candidate === undefined) continue;
        try {
          this.sockets.set(family, await this.openSocket(family, address, candidate, options));
          break;
        } catch (error) {
          failure = error;
        }
      }
    }
    const isIpv4PortTaken = this.sockets.get(4) === undefined && bindings.has(4) && this.sockets.size > 0;
    if (this.sockets.size === 0 || isIpv4PortTaken) throw failure;
  }

  private openSocket(
    family: Family,
    address: string | undefined,
    port: number,
    options: DhtNodeOptions,
  ): Promise<DatagramSocket> {
    return openDatagramSocket(
      {
        family,
        port,
        address,
        receiveBufferBytes: RECEIVE_BUFFER_BYTES,
        ...(options.udp === undefined ? {} : { implementation: options.udp }),
      },
      {
        receive: (bytes, from) => this.core.receive(bytes, from),
        batchEnd: () => {
          if (this.core.nextWakeMs <= systemClock.nowMs()) this.core.tick();
        },
        sendFailed: (code, to) => {
          // A datagram that is too large, or not permitted by a rule, says nothing about the peer being away.
          if (code !== 'EMSGSIZE') this.core.sendFailed(to);
        },
      },
    );
  }

  private async start(options: DhtNodeOptions, stateFile: NodeStateFile | undefined): Promise<void> {
    stateFile?.restore(this.core);
    if (stateFile !== undefined) {
      this.saveTimer = setInterval(() => void stateFile.save(this.core, this.ports), SAVE_EVERY_MS);
      this.saveTimer.unref();
      // A new id is told to people as soon as the node runs: it has to outlive a power loss from then on.
      if (stateFile.state === undefined) await stateFile.save(this.core, this.ports);
    }
    if (options.peerDiscovery) await this.setPeerDiscovery(true);
    if (this.bootstrapHosts.length > 0) this.core.startBootstrap();
    this.arm(this.core.nextWakeMs);
  }

  private async tryBootstrap(): Promise<void> {
    await Promise.all(
      this.bootstrapHosts.map(async (text) => {
        const { host, port } = parseBootstrap(text);
        const literal = Endpoint.from(host, port);
        if (literal !== undefined) {
          this.core.pingAddress(literal);
          return;
        }
        try {
          for (const { address } of await lookup(host, { all: true })) {
            const endpoint = Endpoint.from(address, port);
            if (endpoint !== undefined && !this.isClosed) this.core.pingAddress(endpoint);
          }
        } catch (error) {
          this.logger.warn(`The bootstrap ${host} has no address: ${errorMessage(error)}`);
        }
      }),
    );
  }

  private connectivityIs(family: Family, now: Connectivity): void {
    const states = this.connectivity;
    this.logger.warn(
      `Connectivity changed: IPv4: ${states.get(4) ?? 'disconnected'}, IPv6: ${states.get(6) ?? 'disconnected'}`,
      { family, now },
    );
    if (now === 'connected') {
      this.discovery?.settle();
      if (!this.hasPublished) {
        this.hasPublished = true;
        this.secure.publishCertificate();
      }
      void this.stateFile?.save(this.core, this.ports);
    } else if (![...states.values()].some((state) => state !== 'disconnected')) this.discovery?.connectivityChanged();
    for (const look of [...this.waitingForConnection]) look();
  }

  private arm(dueMs: number): void {
    if (this.isClosed || dueMs >= this.timerMs || dueMs === Number.POSITIVE_INFINITY) return;
    this.timerMs = dueMs;
    clearTimeout(this.timer);
    const waitMs = dueMs - systemClock.nowMs();
    // A timer takes a millisecond at least, which is long for an operation that begins now.
    if (waitMs <= 0) this.immediate ??= setImmediate(() => this.wake());
    else this.timer = setTimeout(() => this.wake(), Math.min(waitMs, 0x7fff_ffff));
  }

  private wake(): void {
    clearImmediate(this.immediate);
    this.immediate = undefined;
    this.timerMs = Number.POSITIVE_INFINITY;
    if (this.isClosed) return;
    this.core.tick();
    this.arm(this.core.nextWakeMs);
  }

  private operation<T>(
    signal: AbortSignal | undefined,
    begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => () => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      let cancel = (): void => {};
      const abort = (): void => {
        cancel();
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', abort, { once: true });
      const settle = (): void => signal?.removeEventListener('abort', abort);
      cancel = begin(
        (value) => {
          settle();
          resolve(value);
        },
        (error) => {
          settle();
          reject(error);
        },
      );
    });
  }
}

function bindingsOf(addresses: readonly string[]): Map<Family, string | undefined> {
  if (addresses.length === 0) {
    return new Map<Family, string | undefined>([
      [4, undefined],
      [6, undefined],
    ]);
  }
  const bindings = new Map<Family, string | undefined>();
  for (const address of addresses) {
    const family = Endpoint.from(address, 0)?.family;
    if (family === undefined) throw new UsageError(`“${address}” is no IP address to bind.`);
    // Several addresses of one family: listen on all of it.
    bindings.set(family, bindings.has(family) ? undefined : address);
  }
  return bindings;
}

function unreachable(): AtollError {
  return new AtollError('DHT_UNREACHABLE', 'No node of the DHT answered; check the bootstrap address and the network.');
}

function putFailed(key: InfoHash): AtollError {
  return new AtollError('DHT_PUT_FAILED', `No node of the DHT took the value for ${key}; check the network.`);
}
