import { channel } from 'node:diagnostics_channel';
import { type Clock, Endpoint, type Family, type RandomSource, Scheduler } from '@atoll/base';
import { InfoHash } from '@atoll/identity';
import { decodeMessage, type Message } from '../wire/message.js';
import { MessageEncoder } from '../wire/message-encoder.js';
import { decodeNodeBlob, type NodeAddress } from '../wire/node-blob.js';
import type { Query } from '../wire/query.js';
import type { Value } from '../wire/value.js';
import { BlockList, isLoopback, isMartian } from './address-filter.js';
import { BootstrapTimer } from './bootstrap.js';
import { Families, type FamilyState } from './families.js';
import { AnswerRatio, type Connectivity, deriveHealth, type Health } from './health.js';
import type { ListenCallback } from './listen-group.js';
import { DEFAULT_LISTENER_LIMITS, type ListenerLimits, RemoteListeners } from './listeners.js';
import { LostNodes } from './lost-nodes.js';
import { NodeRecord } from './node-record.js';
import { type AnnounceOptions, type GetHandler, MAINTAIN_STORAGE_MS, Operations } from './operations.js';
import { Pacer } from './pacer.js';
import { PublicAddress } from './public-address.js';
import { DEFAULT_RATE_LIMITS, RateLimiter, type RateLimits } from './rate-limiter.js';
import { Reassembly } from './reassembly.js';
import { RequestEngine } from './requests.js';
import { BUCKET_NODES, type Confirm, type RoutingTable } from './routing-table.js';
import type { Search } from './search.js';
import { RequestServer } from './server.js';
import { DEFAULT_STORAGE_LIMITS, Storage, type StorageLimits, type StoredValue } from './storage.js';
import { Tokens } from './tokens.js';
import { Upkeep } from './upkeep.js';
import { type ValueType, ValueTypes } from './value-types.js';

/** What a core is fed with. */
export interface DhtCoreComponents {
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Sends one datagram. The bytes are valid only during the call. */
  readonly send: (bytes: Buffer, to: Endpoint) => void;
  /** The scheduler's next job became earlier than it was: arm the real timer. */
  readonly wakeAt?: (dueMs: number) => void;
  /** The bootstrap addresses should be tried: resolve them and call {@link DhtCore.pingAddress}. */
  readonly tryBootstrap?: () => void;
  /** A family's connectivity changed. */
  readonly onConnectivity?: (family: Family, now: Connectivity, before: Connectivity) => void;
  /** A value was stored here, by others or by this node: a new one, or one with new content. */
  readonly onStored?: ((stored: StoredValue) => void) | undefined;
}

export interface DhtCoreOptions {
  /** Node id; random when left out. */
  readonly id?: InfoHash | undefined;
  /** 0 is the public network. */
  readonly networkId?: number | undefined;
  /** Families with a socket. */
  readonly families?: readonly Family[] | undefined;
  /** Asks and listens, but stores nothing for others and is not given out to them. */
  readonly isClient?: boolean | undefined;
  /** A node that is always there: renews listens seldom. */
  readonly isPublicStable?: boolean | undefined;
  /** Serves newcomers: far buckets split too. */
  readonly isBootstrap?: boolean | undefined;
  /** Hands stored values on to nearer nodes as they appear (protocol/dht.md 12.7). */
  readonly maintainsStorage?: boolean | undefined;
  readonly rateLimits?: RateLimits | undefined;
  readonly storageLimits?: StorageLimits | undefined;
  readonly listenerLimits?: ListenerLimits | undefined;
  /** Value types beyond the built-in ones. */
  readonly types?: readonly ValueType[] | undefined;
  /** Searches per family; more operations on other keys fail. */
  readonly maxSearches?: number | undefined;
}

/** A node whose id begins to be used at another address is asked whether it is still there, at most so often, in ms. */
const CHALLENGE_EVERY_MS = 2 * 60_000;
const USER_AGENT = 'at1';

const dropChannel = channel('atoll:dht:drop');
const storeChannel = channel('atoll:dht:store');
const connectivityChannel = channel('atoll:dht:connectivity');

/**
 * One OpenDHT node without sockets, clock or files (protocol/dht.md): feed it datagrams, tell it the time, and it says
 * what to send. The same code runs on sockets, in the simulation and under the fuzzer.
 */
export class DhtCore {
  readonly id: InfoHash;
  readonly networkId: number;
  readonly scheduler: Scheduler;
  readonly storage: Storage;
  readonly types: ValueTypes;
  /** Counters, in numbers of datagrams. */
  readonly stats = { received: 0, sent: 0, requests: 0, replies: 0, errors: 0, parts: 0 };
  /** Datagrams dropped, by reason. */
  readonly drops = new Map<string, number>();
  private readonly parts: DhtCoreComponents;
  private readonly options: DhtCoreOptions;
  private readonly families: Families;
  private readonly operations: Operations;
  private readonly upkeep: Upkeep;
  private readonly encoder: MessageEncoder;
  private readonly engine: RequestEngine;
  private readonly pacer: Pacer;
  private readonly server: RequestServer;
  private readonly reassembly: Reassembly;
  private readonly tokens: Tokens;
  private readonly limiter: RateLimiter;
  private readonly blocked = new BlockList();
  private readonly remoteListeners: RemoteListeners;
  private readonly reported: Record<Family, PublicAddress> = { 4: new PublicAddress(), 6: new PublicAddress() };
  private readonly bootstrapTimer: BootstrapTimer;
  private readonly answers = new AnswerRatio();
  private readonly lost: LostNodes;
  private readonly reassemblyJob;
  private isClosed = false;

  constructor(components: DhtCoreComponents, options: DhtCoreOptions = {}) {
    const { clock, random } = components;
    this.parts = components;
    this.options = options;
    const idGiven = options.id;
    this.id = idGiven === undefined || idGiven.isZero ? new InfoHash(random.bytes(20).latin1Slice()) : idGiven;
    this.networkId = options.networkId ?? 0;
    this.types = new ValueTypes(options.types);
    this.scheduler = new Scheduler(components.wakeAt);
    this.encoder = new MessageEncoder({
      id: this.id,
      networkId: this.networkId,
      isClient: options.isClient ?? false,
      userAgent: USER_AGENT,
    });
    const send = (bytes: Buffer, to: Endpoint): void => {
      this.stats.sent++;
      components.send(bytes, to);
    };
    this.pacer = new Pacer(clock, this.scheduler, send);
    this.tokens = new Tokens(random);
    this.limiter = new RateLimiter(options.rateLimits ?? DEFAULT_RATE_LIMITS);
    this.remoteListeners = new RemoteListeners(options.listenerLimits ?? DEFAULT_LISTENER_LIMITS);
    this.reassembly = new Reassembly((reason) => this.drop(`fragments: ${reason}`));
    this.engine = new RequestEngine({
      clock,
      random,
      scheduler: this.scheduler,
      pacer: this.pacer,
      send,
      onNodeExpired: (node) => this.nodeExpired(node),
    });
    this.lost = new LostNodes({ clock, scheduler: this.scheduler, ping: (node) => this.ping(node) });
    this.storage = new Storage(
      {
        clock,
        scheduler: this.scheduler,
        types: this.types,
        onStored: (stored) => this.stored(stored),
        onRemoved: (stored) => this.removed(stored),
      },
      options.storageLimits ?? DEFAULT_STORAGE_LIMITS,
    );
    this.server = new RequestServer({
      ownId: this.id,
      clock,
      encoder: this.encoder,
      engine: this.engine,
      pacer: this.pacer,
      tokens: this.tokens,
      storage: this.storage,
      listeners: this.remoteListeners,
      types: this.types,
      send,
      table: (family) => this.families.get(family)?.table,
      onPushDropped: () => this.drop('push: too much waits'),
      onUpdate: (node, message) => {
        if (message.socketId !== undefined) node.sockets?.get(message.socketId)?.receive(message);
      },
    });
    const onNoToken = (node: NodeRecord): void => void this.blocked.add(node.endpoint);
    const ping = (node: NodeRecord): void => this.ping(node);
    const { scheduler, storage, types, engine, encoder } = this;
    this.families = new Families(
      {
        ownId: this.id,
        clock,
        random,
        scheduler,
        engine,
        encoder,
        types,
        ping,
        onNoToken,
        onOutOfReach: (family) => this.connectivityChanged(family),
      },
      { isPublicStable: options.isPublicStable ?? false, maxSearches: options.maxSearches },
      options.families ?? [4, 6],
    );
    const { families } = this;
    this.operations = new Operations({ ownId: this.id, clock, scheduler, families, storage, types });
    this.upkeep = new Upkeep({
      ownId: this.id,
      clock,
      random,
      scheduler,
      families,
      engine,
      encoder,
      listeners: this.remoteListeners,
      ping,
      onNoToken,
      onSwept: () => this.updateConnectivity(),
    });
    this.bootstrapTimer = new BootstrapTimer(clock, this.scheduler, () => components.tryBootstrap?.());
    this.reassemblyJob = this.scheduler.at(Number.POSITIVE_INFINITY, () => this.expireFragments());
    this.every(
      () => this.tokens.nextRotationMs(),
      () => this.tokens.rotate(),
    );
    if (options.maintainsStorage)
      this.every(
        () => MAINTAIN_STORAGE_MS,
        () => this.operations.handOnStorage(false),
      );
  }

  // ---------------------------------------------------------------- datagrams and time

  /** One datagram from the network. The bytes may be reused after the call. */
  receive(bytes: Buffer, from: Endpoint): void {
    this.stats.received++;
    if (isMartian(from)) return this.drop('martian source');
    if (this.blocked.has(from)) return this.drop('blocked source');
    const state = this.families.get(from.family);
    if (state === undefined) return this.drop('family not in use');
    const message = decodeMessage(bytes);
    if (typeof message === 'string') return this.drop(`malformed: ${message}`);
    if (message.networkId !== this.networkId) return this.drop('other network');
    const nowMs = this.parts.clock.nowMs();
    if (message.kind === 'part') {
      this.receivePart(message, from, state, nowMs);
      return;
    }
    if (message.id.isZero || message.id.binary === this.id.binary) return this.drop('no sender or ourselves');
    if (!isAnswer(message) && !this.limiter.accept(from, nowMs)) return this.drop('rate limit');
    if (message.valueSizes !== undefined) this.receiveHeader(message, from, state, nowMs);
    else this.process(message, from, state, nowMs);
  }

  /** Does everything that is due by now. */
  tick(): void {
    this.scheduler.runDue(this.parts.clock.nowMs());
  }

  /** When {@link tick} is next needed, ms of the clock. */
  get nextWakeMs(): number {
    return this.scheduler.nextDueMs;
  }

  /** A datagram could not be sent: the network, host or family is out of reach. */
  sendFailed(to: Endpoint): void {
    this.engine.sendFailed(to);
  }

  // ---------------------------------------------------------------- joining

  /** Starts to look for the network through {@link DhtCoreComponents.tryBootstrap}. */
  startBootstrap(): void {
    this.bootstrapTimer.start();
  }

  /** Pings an address whose node is not known: a bootstrap. */
  pingAddress(endpoint: Endpoint): void {
    if (isMartian(endpoint) || this.families.get(endpoint.family) === undefined) return;
    this.engine.pingAddress(
      endpoint,
      (tid) => this.encoder.ping(tid),
      // An answer is taken in as a whole first: in the middle of it the node is not known yet.
      (answered) => {
        if (!answered) this.updateConnectivity();
      },
    );
    this.updateConnectivity();
  }

  /** A node was heard about: on the LAN, from a file, from another node. */
  insertNode(id: InfoHash, endpoint: Endpoint): void {
    const state = this.families.get(endpoint.family);
    if (state === undefined || id.isZero || id.equals(this.id) || isMartian(endpoint)) return;
    const nowMs = this.parts.clock.nowMs();
    const node = state.cache.get(id, endpoint, nowMs);
    if (node === undefined) return;
    this.newNode(state, node, 0, nowMs);
    this.updateConnectivity();
  }

  /** Addresses or links changed: everybody is asked anew (protocol/dht.md 17). */
  connectivityChanged(family?: Family): void {
    for (const state of this.families) {
      if (family !== undefined && family !== state.family) continue;
      for (const bucket of state.table.buckets) bucket.timeMs = Number.NEGATIVE_INFINITY;
      state.cache.resetAll();
      this.reported[state.family].clear();
      for (const search of state.searches) search.stepSoon();
    }
    this.upkeep.confirmNow();
    this.updateConnectivity();
  }

  // ---------------------------------------------------------------- operations

  /** Looks for values under a key. Returns a function that ends it. */
  get(key: InfoHash, query: Query, handler: GetHandler): () => void {
    return this.operations.get(key, query, handler);
  }

  /** See {@link Operations.put}. */
  put(key: InfoHash, value: Value, options: AnnounceOptions, onDone: (ok: boolean) => void): void {
    this.operations.put(key, value, options, onDone);
  }

  /** Stops announcing a value and forgets it here; copies elsewhere expire. False when it was not announced. */
  cancelPut(key: InfoHash, id: bigint): boolean {
    return this.operations.cancelPut(key, id);
  }

  /** The value that is being announced under an id. */
  announced(key: InfoHash, id: bigint): Value | undefined {
    return this.operations.announced(key, id);
  }

  /** Hears of values under a key, now and later. Returns a function that ends it, or undefined when there is no room. */
  listen(key: InfoHash, query: Query, callback: ListenCallback): (() => void) | undefined {
    return this.operations.listen(key, query, callback);
  }

  // ---------------------------------------------------------------- what is known

  /** Connectivity per family. */
  get connectivity(): ReadonlyMap<Family, Connectivity> {
    return new Map([...this.families].map(({ family, connectivity }) => [family, connectivity]));
  }

  /** Offline, degraded or online, with the reason: derived from answers, not from the process running. */
  get health(): Health {
    let good = 0;
    const nowMs = this.parts.clock.nowMs();
    for (const { table } of this.families) good += table.count(nowMs).good;
    return deriveHealth(this.connectivity, good, this.answers.share);
  }

  /** Our addresses as others see them, most votes first; binary strings. */
  publicAddresses(family: Family): readonly string[] {
    return this.reported[family].addresses;
  }

  table(family: Family): RoutingTable | undefined {
    return this.families.get(family)?.table;
  }

  /** Searches of a family, for those who look into the node. */
  searches(family: Family): Iterable<Search> {
    return this.families.get(family)?.searches ?? [];
  }

  /** Nodes remembered in a family. */
  cachedNodes(family: Family): number {
    return this.families.get(family)?.cache.size ?? 0;
  }

  /** When a node of an address (binary) was heard last, ms of the clock; undefined when none is known. */
  heardMs(ip: string): number | undefined {
    let lastMs = Number.NEGATIVE_INFINITY;
    for (const { endpoint, timeMs } of this.families.get(ip.length === 4 ? 4 : 6)?.cache ?? []) {
      if (endpoint.ip === ip && timeMs > lastMs) lastMs = timeMs;
    }
    return lastMs === Number.NEGATIVE_INFINITY ? undefined : lastMs;
  }

  /** Where nodes of this id were heard, and how long ago, ms; the latest first. */
  lastHeard(id: InfoHash): { readonly endpoint: Endpoint; readonly agoMs: number }[] {
    const nowMs = this.parts.clock.nowMs();
    return [...this.families]
      .flatMap(({ cache }) => [...cache.withId(id)])
      .filter(({ timeMs }) => Number.isFinite(timeMs))
      .map(({ endpoint, timeMs }) => ({ endpoint, agoMs: nowMs - timeMs }))
      .sort((a, b) => a.agoMs - b.agoMs);
  }

  /** Remote nodes that listen to a key here. */
  listenerCount(key: InfoHash): number {
    return this.remoteListeners.countOf(key);
  }

  /** Keys that remote nodes listen to here, with those who do, for those who look into the node. */
  remoteListenersByKey(): IterableIterator<readonly [InfoHash, readonly NodeRecord[]]> {
    return this.remoteListeners.byKey();
  }

  /** Keys that this node itself listens to, with how many do. */
  localListeners(): IterableIterator<readonly [InfoHash, number]> {
    return this.operations.localListeners();
  }

  /** Numbers of what this node keeps, each of them bounded. */
  get sizes(): Readonly<Record<string, number>> {
    let nodes = 0;
    let searches = 0;
    for (const state of this.families) {
      nodes += state.cache.size;
      searches += state.searches.size;
    }
    return {
      nodes,
      searches,
      keys: this.storage.keyCount,
      values: this.storage.valueCount,
      remoteBytes: this.storage.storedRemoteBytes,
      remoteListeners: this.remoteListeners.size,
      requests: this.engine.size,
      requestBytes: this.engine.heldBytes,
      fragments: this.reassembly.size,
      fragmentBytes: this.reassembly.heldBytes,
      limiters: this.limiter.size,
      blocked: this.blocked.size,
      lostNodes: this.lost.size,
      jobs: this.scheduler.size,
      listenGroups: this.operations.listenedKeys,
    };
  }

  /** Good nodes for a state file: our own bucket first, IPv4 then IPv6, then the others (protocol/dht.md 22.1). */
  exportNodes(): NodeAddress[] {
    const nowMs = this.parts.clock.nowMs();
    const own: NodeAddress[] = [];
    const others: NodeAddress[] = [];
    for (const { table } of this.families) {
      const ownIndex = table.ownIndex;
      table.buckets.forEach((bucket, index) => {
        for (const node of bucket.nodes) if (node.isGood(nowMs)) (index === ownIndex ? own : others).push(node);
      });
    }
    return [...own, ...others];
  }

  /**
   * Announces every stored value to the nodes nearest to it, whoever put it: before a shutdown, so that nothing that
   * was entrusted to us is lost with us (protocol/dht.md 12.7).
   */
  flushStorage(onDone: () => void): void {
    const pending = this.operations.handOnStorage(true, () => {
      if (--open === 0) onDone();
    });
    let open = pending + 1;
    if (--open === 0) onDone();
  }

  /** Ends everything; operations fail. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.operations.close();
    this.engine.close();
    this.scheduler.clear();
  }

  // ---------------------------------------------------------------- receiving

  private receivePart(message: Message, from: Endpoint, state: FamilyState, nowMs: number): void {
    this.stats.parts++;
    if (!this.reassembly.expects(from, message.tid) && !this.limiter.accept(from, nowMs))
      return this.drop('rate limit');
    const whole = this.reassembly.add(message, from, nowMs);
    this.armFragments(nowMs);
    if (whole !== undefined) this.process(whole, from, state, nowMs);
  }

  private receiveHeader(message: Message, from: Endpoint, state: FamilyState, nowMs: number): void {
    if (message.kind === 'reply') {
      // Only what we asked for, from where we asked: nobody may make us hold memory.
      const node = state.cache.find(message.id, from);
      const request = node === undefined ? undefined : this.engine.peek(node, message.tid);
      const isSocket = node?.sockets?.has(message.tid) ?? false;
      if (node === undefined || (request === undefined && !isSocket)) {
        return this.drop('fragments: unasked');
      }
      if (request !== undefined) request.hasHeader = true;
      node.heard(nowMs, from);
    } else if (!this.mayBringParts(message, from, state)) {
      // Nothing is held for it; it gets the answer that it would get without its parts.
      this.process(message, from, state, nowMs);
      return;
    }
    const whole = this.reassembly.begin(message, from, nowMs, message.kind === 'reply');
    this.armFragments(nowMs);
    if (whole !== undefined) this.process(whole, from, state, nowMs);
  }

  /** A put shows by its token, and a push by our socket, that its sender is at its address. */
  private mayBringParts(message: Message, from: Endpoint, state: FamilyState): boolean {
    if (message.kind === 'put') return this.tokens.isValid(message.token, from);
    if (message.kind !== 'update') return false;
    for (const node of state.cache.withId(message.id)) if (this.provesItself(message, node)) return true;
    return false;
  }

  private process(message: Message, from: Endpoint, state: FamilyState, nowMs: number): void {
    const node = state.cache.find(message.id, from) ?? this.newSender(message, from, state, nowMs);
    if (node === undefined) {
      // Answered all the same, but not remembered.
      if (!isAnswer(message)) this.server.handle(message, new NodeRecord(message.id, from, this.parts.random), from);
      return;
    }
    const wasLost = node.isExpired;
    node.heard(nowMs, from);
    node.isClient = message.isClient;
    if (wasLost) this.nodeReturned(node, state, nowMs);
    switch (message.kind) {
      case 'reply':
        this.stats.replies++;
        this.processReply(message, node, from, state, nowMs);
        return;
      case 'error':
        this.stats.errors++;
        this.processError(message, node, state, nowMs);
        return;
      case 'legacyUpdate':
        node.sockets?.get(message.tid)?.receive(message);
        return;
      default:
        this.stats.requests++;
        if (!node.isClient) this.newNode(state, node, 1, nowMs);
        this.server.handle(message, node, from);
    }
  }

  /** Only the node itself knows the numbers of what we asked it and of what we listen to there. */
  private provesItself(message: Message, node: NodeRecord): boolean {
    if (message.kind === 'reply' || message.kind === 'error') return this.engine.peek(node, message.tid) !== undefined;
    return message.kind === 'update' && (node.sockets?.has(message.socketId ?? 0) ?? false);
  }

  /**
   * Who sends a message from an address where its id was not known. A node that shows that it is one we know has moved,
   * and is followed (protocol/dht.md 28, trap 19). Anybody else is somebody new, even under an id that is known: perhaps
   * that node started anew, perhaps a stranger uses its id. Neither takes the place of the other; where nobody answers
   * any more, that one is given up.
   */
  private newSender(message: Message, from: Endpoint, state: FamilyState, nowMs: number): NodeRecord | undefined {
    let isKnownId = false;
    for (const other of state.cache.withId(message.id)) {
      if (this.provesItself(message, other)) return other;
      isKnownId = true;
    }
    if (!isKnownId) return state.cache.add(message.id, from, nowMs);
    if (isAnswer(message) && !this.engine.isPinged(from, message.tid)) {
      this.drop('answer from elsewhere');
      return undefined;
    }
    const node = state.cache.add(message.id, from, nowMs);
    if (node === undefined) {
      this.drop('too many addresses of one id');
      return undefined;
    }
    for (const other of state.cache.withId(message.id)) {
      if (other === node) continue;
      // Where the one was looked for, the other may have what is sought.
      if (!message.isClient) for (const search of [...(other.searches ?? [])]) search.insert(node, nowMs);
      if (other.isExpired || other.challengedMs > nowMs - CHALLENGE_EVERY_MS) continue;
      other.challengedMs = nowMs;
      this.ping(other);
    }
    return node;
  }

  private processReply(message: Message, node: NodeRecord, from: Endpoint, state: FamilyState, nowMs: number): void {
    const request = this.engine.take(node, message.tid);
    if (request === undefined) {
      if (this.engine.takeAddressPing(message.tid)) {
        this.heardReply(message, node, state, nowMs);
        this.updateConnectivity();
        return;
      }
      const socket = node.sockets?.get(message.tid);
      if (socket !== undefined) socket.receive(message);
      else if (!node.isClient) this.newNode(state, node, 1, nowMs);
      return;
    }
    this.heardReply(message, node, state, nowMs);
    if (!this.learnNodes(message, from, nowMs)) {
      request.handler.onExpired?.();
      return;
    }
    request.handler.onReply(message);
    if (state.connectivity !== 'connected') this.updateConnectivity();
  }

  private heardReply(message: Message, node: NodeRecord, state: FamilyState, nowMs: number): void {
    node.answered(nowMs);
    this.answers.record(true);
    if (message.reportedIp !== undefined) {
      this.reported[message.reportedIp.length === 4 ? 4 : 6].report(message.reportedIp);
    }
    if (!node.isClient) this.newNode(state, node, 2, nowMs);
  }

  private processError(message: Message, node: NodeRecord, state: FamilyState, nowMs: number): void {
    const request = this.engine.take(node, message.tid);
    if (request === undefined) return this.drop('error without request');
    this.heardReply(message, node, state, nowMs);
    if (request.handler.onError !== undefined) request.handler.onError(message);
    else request.handler.onExpired?.();
  }

  /** Takes in the nodes of an answer. False when the lists are damaged. */
  private learnNodes(message: Message, from: Endpoint, nowMs: number): boolean {
    for (const family of [4, 6] as const) {
      const blob = family === 4 ? message.nodes4 : message.nodes6;
      if (blob === undefined) continue;
      const nodes = decodeNodeBlob(family, blob);
      if (nodes === undefined) return false;
      const state = this.families.get(family);
      if (state === undefined) continue;
      for (const { id, endpoint } of nodes.slice(0, 2 * BUCKET_NODES)) {
        if (id.equals(this.id) || id.isZero) continue;
        const reachable =
          isLoopback(endpoint) && from.family === family
            ? new Endpoint(from.ip, endpoint.port, from.scopeId)
            : endpoint;
        if (isMartian(reachable) || this.blocked.has(reachable)) continue;
        const node = state.cache.get(id, reachable, nowMs);
        if (node === undefined) continue;
        if (node.revive(nowMs) && node.searches !== undefined) {
          for (const search of node.searches) search.stepSoon();
        }
        this.newNode(state, node, 0, nowMs);
      }
    }
    return true;
  }

  private newNode(state: FamilyState, node: NodeRecord, confirm: Confirm, nowMs: number): void {
    const isNew = state.table.offer(node, confirm, nowMs, this.options.isBootstrap);
    if (!isNew && confirm === 1) return;
    if (isNew || confirm === 0) state.searches.offer(node, nowMs);
    if (isNew && confirm < 2) this.upkeep.confirmSoon(nowMs);
    if (isNew && state.connectivity !== 'connected') this.updateConnectivity();
  }

  private drop(reason: string): void {
    // Reasons are a fixed set of sentences of ours, so this map is bounded.
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1);
    if (dropChannel.hasSubscribers) dropChannel.publish({ node: this.id.toString(), reason });
  }

  private armFragments(nowMs: number): void {
    if (this.reassemblyJob.dueMs === Number.POSITIVE_INFINITY && this.reassembly.size > 0) {
      this.scheduler.move(this.reassemblyJob, nowMs + 1000);
    }
  }

  private expireFragments(): void {
    const nowMs = this.parts.clock.nowMs();
    const next = this.reassembly.expire(nowMs);
    if (next !== Number.POSITIVE_INFINITY) this.scheduler.move(this.reassemblyJob, Math.max(next, nowMs + 100));
  }

  private stored(stored: StoredValue): void {
    this.server.pushStored(stored.key, stored.value);
    this.operations.stored(stored);
    if (storeChannel.hasSubscribers) {
      storeChannel.publish({ node: this.id.toString(), key: stored.key.toString(), id: stored.value.id });
    }
    this.parts.onStored?.(stored);
  }

  private removed(stored: StoredValue): void {
    this.server.pushIds(stored.key, 'exp', [stored.value.id]);
    this.operations.removed(stored);
  }

  // ---------------------------------------------------------------- upkeep

  private ping(node: NodeRecord): void {
    const tid = node.nextTid();
    const packet = Buffer.from(this.encoder.ping(tid));
    this.engine.send(node, tid, 'ping', [packet], { onReply: () => {} });
  }

  private nodeExpired(node: NodeRecord): void {
    this.answers.record(false);
    this.lost.add(node);
    if (node.searches !== undefined) for (const search of [...node.searches]) search.nodeExpired(node);
    this.updateConnectivity();
  }

  /** A node that was given up speaks again: searches count on it once more. */
  private nodeReturned(node: NodeRecord, state: FamilyState, nowMs: number): void {
    this.lost.remove(node);
    if (node.isClient) return;
    // All of them: one that knew it says nothing about one that began when it was away.
    for (const search of state.searches) if (search.offer(node, nowMs)) search.stepSoon();
    if (node.searches !== undefined) for (const search of [...node.searches]) search.nodeReturned(node);
  }

  private updateConnectivity(): void {
    if (this.isClosed) return;
    const nowMs = this.parts.clock.nowMs();
    let isAnyUp = false;
    for (const state of this.families) {
      const isTrying = (): boolean => state.table.hasAlive() || this.engine.isPingingAddresses(state.family);
      const now: Connectivity = state.table.hasGood(nowMs) ? 'connected' : isTrying() ? 'connecting' : 'disconnected';
      if (now !== 'disconnected') isAnyUp = true;
      const before = state.connectivity;
      if (now === before) continue;
      state.connectivity = now;
      if (now === 'connected') {
        this.bootstrapTimer.stop();
        for (const search of state.searches) search.stepSoon();
      }
      this.parts.onConnectivity?.(state.family, now, before);
      if (connectivityChannel.hasSubscribers) {
        connectivityChannel.publish({ node: this.id.toString(), family: state.family, now, before });
      }
    }
    if (!isAnyUp && this.parts.tryBootstrap !== undefined) this.bootstrapTimer.restart();
  }

  private every(waitMs: () => number, run: () => void): void {
    const job = this.scheduler.at(this.parts.clock.nowMs() + waitMs(), () => {
      run();
      this.scheduler.move(job, this.parts.clock.nowMs() + waitMs());
    });
  }
}

function isAnswer({ kind }: Message): boolean {
  return kind === 'reply' || kind === 'error' || kind === 'legacyUpdate';
}
