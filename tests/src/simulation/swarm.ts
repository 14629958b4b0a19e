import type { Endpoint } from '@atoll/base';
import { DhtCore, type DhtCoreOptions, decodeMessage, decodeNodeBlob, Query, type Value } from '@atoll/dht';
import { compareDistance, InfoHash } from '@atoll/identity';
import { SeededRandom, type VirtualHost, VirtualNetwork, type VirtualSocket } from '@atoll/testkit';

const PORT = 4222;
/** Nodes that a newcomer is told of. */
const BOOTSTRAP_NODES = 3;

export interface SwarmOptions {
  readonly seed?: number;
  readonly loss?: number;
  readonly delayMs?: readonly [number, number];
  /** For every core. */
  readonly core?: DhtCoreOptions;
}

/** What a get found. */
export interface GetResult {
  readonly values: Value[];
  readonly ok: boolean;
  /** ms from the question to the end. */
  readonly tookMs: number;
}

/** One lookup as the wire saw it. */
export interface LookupTrace {
  /** Requests one after the other that led to the nearest node. */
  hops: number;
  /** Requests sent, repeated ones too. */
  messages: number;
  /** Whether the node nearest to the key of all was among those that answered. */
  foundNearest: boolean;
}

/** A DHT core on a host of the virtual network. */
export class SwarmNode {
  readonly core: DhtCore;
  readonly host: VirtualHost;
  readonly socket: VirtualSocket;
  readonly bornMs: number;
  isAlive = true;
  /** Sees every datagram that goes out or comes in. */
  tap: ((bytes: Buffer, peer: Endpoint, isOut: boolean) => void) | undefined = undefined;
  private readonly swarm: Swarm;
  private readonly wake: (dueMs: number) => void;

  constructor(swarm: Swarm, options: DhtCoreOptions, address?: string, port = PORT) {
    const { world } = swarm;
    this.swarm = swarm;
    this.bornMs = world.clock.nowMs();
    this.host = world.host(address === undefined ? {} : { address });
    this.socket = this.host.open(port, (bytes, from) => {
      this.tap?.(bytes, from, false);
      this.core.receive(bytes, from);
    });
    let armed = (_dueMs: number): void => {};
    this.core = new DhtCore(
      {
        clock: world.clock,
        random: world.random.fork(),
        send: (bytes, to) => {
          this.tap?.(bytes, to, true);
          this.socket.send(bytes, to);
        },
        wakeAt: (dueMs) => armed(dueMs),
        tryBootstrap: () => swarm.introduce(this),
      },
      { families: [4], ...options },
    );
    this.wake = this.host.alarm(() => {
      this.core.tick();
      this.wake(this.core.nextWakeMs);
    });
    armed = this.wake;
    this.wake(this.core.nextWakeMs);
  }

  get endpoint(): Endpoint {
    return this.socket.endpoint;
  }

  get isConnected(): boolean {
    return this.core.connectivity.get(4) === 'connected';
  }

  /** Puts and calls back with whether it was taken. */
  put(key: InfoHash, value: Value, isPermanent = false, onDone: (ok: boolean) => void = () => {}): void {
    this.core.put(key, value, { isPermanent }, onDone);
  }

  /** Looks a key up; the callback hears the end. */
  get(key: InfoHash, onDone: (result: GetResult) => void): void {
    const startMs = this.swarm.world.clock.nowMs();
    const values: Value[] = [];
    this.core.get(key, Query.all, {
      onValues: (found) => {
        values.push(...found);
        return true;
      },
      onDone: (ok) => onDone({ values, ok, tookMs: this.swarm.world.clock.nowMs() - startMs }),
    });
  }

  /** Looks a key up and follows the lookup on the wire. */
  trace(key: InfoHash, onDone: (trace: LookupTrace) => void): void {
    const depthOf = new Map<string, number>();
    const nearest = this.swarm.nearest(key, 1)[0];
    let best: { id: InfoHash; depth: number } | undefined;
    let messages = 0;
    this.tap = (bytes, peer, isOut) => {
      const message = decodeMessage(bytes);
      if (typeof message === 'string') return;
      if (isOut) {
        if (message.kind !== 'get' || !message.key.equals(key)) return;
        messages++;
        if (!depthOf.has(peer.key)) depthOf.set(peer.key, 1);
        return;
      }
      const depth = depthOf.get(peer.key);
      if (message.kind !== 'reply' || message.nodes4 === undefined || depth === undefined) return;
      if (best === undefined || compareDistance(key, message.id, best.id) < 0) best = { id: message.id, depth };
      for (const { endpoint } of decodeNodeBlob(4, message.nodes4) ?? []) {
        if (!depthOf.has(endpoint.key)) depthOf.set(endpoint.key, depth + 1);
      }
    };
    this.get(key, () => {
      this.tap = undefined;
      const foundNearest = best !== undefined && nearest !== undefined && best.id.equals(nearest.core.id);
      onDone({ hops: best?.depth ?? 0, messages, foundNearest });
    });
  }

  /** Gone without a word. */
  leave(): void {
    this.isAlive = false;
    this.host.leave();
    this.core.close();
  }
}

/** Many DHT nodes on one virtual network. */
export class Swarm {
  readonly world: VirtualNetwork;
  /** Nodes that live. */
  readonly nodes: SwarmNode[] = [];
  readonly random: SeededRandom;
  private readonly core: DhtCoreOptions;

  constructor(options: SwarmOptions = {}) {
    const { seed = 1, loss = 0, delayMs = [5, 80] } = options;
    this.world = new VirtualNetwork({ seed, loss, delayMs });
    this.random = new SeededRandom(seed + 1);
    this.core = options.core ?? {};
  }

  /** A new node, which starts to join at once. */
  add(options: DhtCoreOptions = {}, address?: string, port?: number): SwarmNode {
    const node = new SwarmNode(this, { ...this.core, ...options }, address, port);
    this.nodes.push(node);
    if (this.nodes.length > 1) node.core.startBootstrap();
    return node;
  }

  /** Brings the swarm to `count` nodes, `perSecond` joining each second, and lets them settle. */
  grow(count: number, perSecond = 50, settleMs = 120_000): void {
    while (this.nodes.length < count) {
      for (let i = 0; i < perSecond && this.nodes.length < count; i++) this.add();
      this.world.runFor(1000);
    }
    this.world.runFor(settleMs);
  }

  /** A node leaves without a word. */
  remove(node: SwarmNode): void {
    const at = this.nodes.indexOf(node);
    if (at >= 0) this.nodes.splice(at, 1);
    node.leave();
  }

  /**
   * Lets the time pass while `share` of the nodes is replaced every `everyMs`, spread evenly, those only for which
   * `mayLeave` holds. Returns how many were.
   */
  churnFor(ms: number, share: number, everyMs: number, mayLeave: (node: SwarmNode) => boolean = () => true): number {
    const stepMs = everyMs / (share * this.nodes.length);
    const end = this.world.clock.nowMs() + ms;
    let replaced = 0;
    while (this.world.clock.nowMs() + stepMs <= end) {
      this.world.runFor(stepMs);
      const leaving = this.random.pick(this.nodes);
      if (!mayLeave(leaving)) continue;
      this.remove(leaving);
      this.add();
      replaced++;
    }
    this.world.runFor(end - this.world.clock.nowMs());
    return replaced;
  }

  /** The living nodes nearest to a key, nearest first. */
  nearest(key: InfoHash, count: number): SwarmNode[] {
    const found: SwarmNode[] = [];
    for (const node of this.nodes) {
      let at = found.length;
      while (at > 0 && compareDistance(key, node.core.id, (found[at - 1] as SwarmNode).core.id) < 0) at--;
      if (at >= count) continue;
      found.splice(at, 0, node);
      if (found.length > count) found.pop();
    }
    return found;
  }

  /** A living node, by chance, for which a condition holds. */
  anybody(isFit: (node: SwarmNode) => boolean): SwarmNode {
    for (;;) {
      const node = this.random.pick(this.nodes);
      if (isFit(node)) return node;
    }
  }

  randomKey(): InfoHash {
    return new InfoHash(this.random.bytes(20).latin1Slice());
  }

  /** Tells a node of some others, of its island: its bootstrap. */
  introduce(node: SwarmNode): void {
    for (let tries = 0, told = 0; tries < 64 && told < BOOTSTRAP_NODES; tries++) {
      const other = this.random.pick(this.nodes);
      if (other === node || other.host.island !== node.host.island) continue;
      node.core.pingAddress(other.endpoint);
      told++;
    }
  }

  /** Does something `count` times, `perSecond` of them begun each second, and waits for all results. */
  gather<T>(count: number, perSecond: number, start: (index: number, done: (result: T) => void) => void): T[] {
    const results: T[] = [];
    for (let i = 0; i < count; i++) {
      this.world.after((i * 1000) / perSecond, () => start(i, (result) => results.push(result)));
    }
    const limitMs = (count * 1000) / perSecond + 15 * 60_000;
    if (!this.world.runUntil(() => results.length === count, limitMs)) {
      throw new Error(`${count - results.length} of ${count} operations never ended.`);
    }
    return results;
  }

  /** The largest count of each structure over all living nodes. */
  largestSizes(): Record<string, number> {
    const largest: Record<string, number> = {};
    for (const node of this.nodes) {
      for (const [name, size] of Object.entries(node.core.sizes)) largest[name] = Math.max(largest[name] ?? 0, size);
    }
    return largest;
  }
}
