import { type Clock, Endpoint, type Job, parseIp, Scheduler } from '@atoll/base';
import { SeededRandom } from './seeded-random.js';

/** How datagrams fare on their way. */
export interface LinkOptions {
  /** Share of datagrams that get lost, 0 to 1. */
  readonly loss?: number;
  /** Shortest and longest time on the way, in ms; each datagram takes its own, so they overtake each other. */
  readonly delayMs?: readonly [number, number];
}

export interface VirtualNetworkOptions extends LinkOptions {
  /** Two networks with the same seed that are used in the same way do the same. */
  readonly seed?: number;
  /** Wall clock at the start, ms since the UNIX epoch. */
  readonly startUnixMs?: number;
}

export interface HostOptions extends LinkOptions {
  /** IP address; the next free one of 10.0.0.0/8 when left out. Hosts may share one: they then need different ports. */
  readonly address?: string;
}

/** Hears what arrives at a socket. The bytes are valid only during the call. */
export type Receive = (bytes: Buffer, from: Endpoint) => void;

const START_UNIX_MS = Date.UTC(2026, 0, 1);
const DEFAULT_DELAY_MS = [5, 80] as const;
/** Datagrams up to this size travel in buffers that are used again and again. */
const POOLED_BYTES = 1536;
/** What UDP can carry over IPv4. */
const MAX_DATAGRAM_BYTES = 65_507;

/**
 * A network of hosts on a virtual clock: no sockets, no waiting, the same run for the same seed. Thousands of hosts fit
 * into one process, and an hour of theirs takes minutes or seconds.
 *
 * ```ts
 * const world = new VirtualNetwork({ seed: 1, loss: 0.2, delayMs: [5, 80] });
 * const socket = world.host().open(4222, (bytes, from) => core.receive(bytes, from));
 * world.runFor(60_000);
 * ```
 */
export class VirtualNetwork {
  /** The one clock of all hosts; its monotonic time starts at 0. */
  readonly clock: Clock;
  readonly random: SeededRandom;
  /** Numbers of datagrams, and bytes sent. */
  readonly stats = { sent: 0, delivered: 0, lost: 0, unreachable: 0, sentBytes: 0 };
  private readonly link: Required<LinkOptions>;
  private readonly events = new Scheduler();
  private readonly sockets = new Map<string, VirtualSocket>();
  private readonly idleDeliveries: Delivery[] = [];
  private nowMs = 0;
  private nextAddress = 1;

  constructor(options: VirtualNetworkOptions = {}) {
    const startUnixMs = options.startUnixMs ?? START_UNIX_MS;
    this.clock = { nowMs: () => this.nowMs, unixMs: () => startUnixMs + this.nowMs };
    this.random = new SeededRandom(options.seed ?? 1);
    this.link = { loss: options.loss ?? 0, delayMs: options.delayMs ?? DEFAULT_DELAY_MS };
  }

  /** A new host. Its own loss and delay come on top of the network's. */
  host(options: HostOptions = {}): VirtualHost {
    const ip = options.address === undefined ? this.freeAddress() : parseIp(options.address);
    if (ip === undefined) throw new TypeError(`“${options.address}” is no IP address.`);
    return new VirtualHost(this, this.events, ip, options);
  }

  /** Something that happens once, so many ms from now. */
  after(waitMs: number, run: () => void): Job {
    return this.events.at(this.nowMs + waitMs, run);
  }

  /** Lets the time pass. */
  runFor(ms: number): void {
    const end = this.nowMs + ms;
    while (this.events.nextDueMs <= end) this.runNext();
    this.nowMs = end;
  }

  /** Lets the time pass until a condition holds, at most `limitMs`. Returns whether it holds. */
  runUntil(condition: () => boolean, limitMs: number): boolean {
    const end = this.nowMs + limitMs;
    while (!condition()) {
      if (this.events.nextDueMs > end) {
        this.nowMs = end;
        return condition();
      }
      this.runNext();
    }
    return true;
  }

  /** Puts hosts on an island: they reach each other and nobody else. Island 0 is the mainland. */
  split(hosts: Iterable<VirtualHost>, island = 1): void {
    for (const host of hosts) host.island = island;
  }

  /** Puts a datagram on the way whose source is whatever one likes: what a forger does. Link and islands do not apply. */
  inject(bytes: Uint8Array, from: Endpoint, to: Endpoint): void {
    const target = this.sockets.get(to.key);
    if (target === undefined) return;
    this.stats.sent++;
    this.dispatch(bytes, from, target, this.random.uniform(...this.link.delayMs));
  }

  /** Opens a socket. For {@link VirtualHost}. */
  register(socket: VirtualSocket): void {
    const { key } = socket.endpoint;
    if (this.sockets.has(key)) throw new Error(`${socket.endpoint} is in use.`);
    this.sockets.set(key, socket);
  }

  /** Closes a socket. For {@link VirtualHost}. */
  unregister(socket: VirtualSocket): void {
    this.sockets.delete(socket.endpoint.key);
  }

  /**
   * The way of one datagram. An address translator would stand here, between the sender's socket and the network and
   * between the network and the receiver's socket.
   */
  transmit(bytes: Uint8Array, sender: VirtualSocket, to: Endpoint): void {
    this.stats.sent++;
    this.stats.sentBytes += bytes.length;
    const target = this.sockets.get(to.key);
    const { host } = sender;
    if (target === undefined || !host.isUp || !target.host.isUp || host.island !== target.host.island) {
      this.stats.unreachable++;
      return;
    }
    if (bytes.length > MAX_DATAGRAM_BYTES || this.isLost(host, target.host)) {
      this.stats.lost++;
      return;
    }
    const delayMs = this.random.uniform(...this.link.delayMs) + host.delay() + target.host.delay();
    this.dispatch(bytes, sender.endpoint, target, delayMs);
  }

  private isLost(from: VirtualHost, to: VirtualHost): boolean {
    const arrives = (1 - this.link.loss) * (1 - from.loss) * (1 - to.loss);
    return arrives < 1 && this.random.uniform(0, 1) >= arrives;
  }

  private dispatch(bytes: Uint8Array, from: Endpoint, target: VirtualSocket, delayMs: number): void {
    const delivery = this.idleDeliveries.pop() ?? new Delivery(this.events, (done) => this.deliver(done));
    delivery.load(bytes, from, target);
    this.events.move(delivery.job, this.nowMs + delayMs);
  }

  private deliver(delivery: Delivery): void {
    const { target, from } = delivery;
    if (target?.isOpen && target.host.isUp && from !== undefined) {
      this.stats.delivered++;
      target.receive(delivery.view(), from);
    } else this.stats.unreachable++;
    delivery.target = undefined;
    this.idleDeliveries.push(delivery);
  }

  private runNext(): void {
    this.nowMs = Math.max(this.nowMs, this.events.nextDueMs);
    this.events.runFirst();
  }

  private freeAddress(): string {
    const number = this.nextAddress++;
    return String.fromCharCode(10, (number >> 16) & 0xff, (number >> 8) & 0xff, number & 0xff);
  }
}

/** A machine on a {@link VirtualNetwork}. */
export class VirtualHost {
  /** Address as a binary string. */
  readonly ip: string;
  /** Share of datagrams lost on its own link, on top of the network's. */
  loss: number;
  /** Shortest and longest extra time of its own link, in ms. */
  delayMs: readonly [number, number];
  /** Hosts of different islands do not reach each other. */
  island = 0;
  /** False while its cable is out. */
  isUp = true;
  private readonly network: VirtualNetwork;
  private readonly events: Scheduler;
  private readonly openSockets = new Set<VirtualSocket>();
  private readonly alarms = new Set<Job>();

  /** For {@link VirtualNetwork.host}. */
  constructor(network: VirtualNetwork, events: Scheduler, ip: string, link: LinkOptions) {
    this.network = network;
    this.events = events;
    this.ip = ip;
    this.loss = link.loss ?? 0;
    this.delayMs = link.delayMs ?? [0, 0];
  }

  /** Opens a UDP socket. */
  open(port: number, receive: Receive): VirtualSocket {
    const socket = new VirtualSocket(this, this.network, new Endpoint(this.ip, port), receive);
    this.network.register(socket);
    this.openSockets.add(socket);
    return socket;
  }

  /** A timer that runs `run` whenever the time given to the returned function last has come. */
  alarm(run: () => void): (dueMs: number) => void {
    const job = this.events.at(Number.POSITIVE_INFINITY, run);
    this.alarms.add(job);
    return (dueMs) => {
      if (this.alarms.has(job)) this.events.move(job, dueMs);
    };
  }

  /** Gone for good: sockets closed, timers stopped. */
  leave(): void {
    for (const socket of [...this.openSockets]) socket.close();
    for (const job of this.alarms) this.events.cancel(job);
    this.alarms.clear();
  }

  /** Extra delay of its link for one datagram, in ms. */
  delay(): number {
    const [shortest, longest] = this.delayMs;
    return longest === 0 ? 0 : this.network.random.uniform(shortest, longest);
  }

  /** For {@link VirtualSocket}. */
  forget(socket: VirtualSocket): void {
    this.openSockets.delete(socket);
  }
}

/** A UDP socket of a {@link VirtualHost}. */
export class VirtualSocket {
  readonly host: VirtualHost;
  readonly endpoint: Endpoint;
  readonly receive: Receive;
  isOpen = true;
  private readonly network: VirtualNetwork;

  constructor(host: VirtualHost, network: VirtualNetwork, endpoint: Endpoint, receive: Receive) {
    this.host = host;
    this.network = network;
    this.endpoint = endpoint;
    this.receive = receive;
  }

  /** Sends a datagram; the bytes are copied. */
  send(bytes: Uint8Array, to: Endpoint): void {
    if (this.isOpen) this.network.transmit(bytes, this, to);
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.network.unregister(this);
    this.host.forget(this);
  }
}

/** A datagram on its way; used again when it has arrived. */
class Delivery {
  readonly job: Job;
  from: Endpoint | undefined;
  target: VirtualSocket | undefined;
  private readonly pooled = Buffer.allocUnsafe(POOLED_BYTES);
  private bytes: Buffer = this.pooled;

  constructor(events: Scheduler, arrive: (delivery: Delivery) => void) {
    this.job = events.at(Number.POSITIVE_INFINITY, () => arrive(this));
  }

  load(bytes: Uint8Array, from: Endpoint, target: VirtualSocket): void {
    this.from = from;
    this.target = target;
    this.bytes =
      bytes.length <= POOLED_BYTES ? this.pooled.subarray(0, bytes.length) : Buffer.allocUnsafe(bytes.length);
    this.bytes.set(bytes);
  }

  /** The bytes, which the pool takes back after the call. */
  view(): Buffer {
    const { bytes } = this;
    this.bytes = this.pooled;
    return bytes;
  }
}
