import type { Clock, Endpoint, Family, Job, RandomSource, Scheduler } from '@atoll/base';
import type { Message } from '../wire/message.js';
import type { NodeRecord } from './node-record.js';
import type { Pacer } from './pacer.js';

/** Transmissions of one request. */
const MAX_ATTEMPTS = 3;
/** First step of the retransmission wait, in ms; it doubles, with up to a quarter second of chance added. */
const BASE_WAIT_MS = 500;
const JITTER_MS = 250;
/** Pings to addresses whose node is not known yet, at once. */
const MAX_ADDRESS_PINGS = 1024;

/** What happens to a request; each is called at most once, and one of the last three exactly once unless cancelled. */
export interface RequestHandler {
  /** The first transmission found no answer in time; the request goes on. */
  onFirstTimeout?(): void;
  onReply(message: Message): void;
  /** The node answered with an error (protocol/dht.md 7). */
  onError?(message: Message): void;
  /** The answer began to arrive but was not whole when it was time to repeat; the request has ended. */
  onIncomplete?(): void;
  /** No answer to any transmission, or the node is gone. */
  onExpired?(): void;
}

/** One request under way to one node. */
export class Request {
  readonly node: NodeRecord;
  readonly tid: number;
  readonly kind: string;
  readonly sentMs: number;
  /** Whether it still waits for its answer. */
  isPending = true;
  attempts = 0;
  waitMs = BASE_WAIT_MS;
  job: Job | undefined = undefined;
  /** The header of a fragmented answer came: the node lives, whatever happens to the parts. */
  hasHeader = false;
  readonly packets: readonly Buffer[];
  readonly handler: RequestHandler;

  constructor(
    node: NodeRecord,
    tid: number,
    kind: string,
    packets: readonly Buffer[],
    handler: RequestHandler,
    nowMs: number,
  ) {
    this.node = node;
    this.tid = tid;
    this.kind = kind;
    this.packets = packets;
    this.handler = handler;
    this.sentMs = nowMs;
  }
}

interface AddressPing {
  readonly endpoint: Endpoint;
  readonly packet: Buffer;
  attempts: number;
  waitMs: number;
  job: Job | undefined;
  readonly onEnd: (answered: boolean) => void;
}

export interface RequestEngineParts {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: RandomSource;
  readonly pacer: Pacer;
  readonly send: (bytes: Buffer, to: Endpoint) => void;
  /** A node stopped answering: its listen sockets are closed and searches step on. */
  readonly onNodeExpired: (node: NodeRecord) => void;
}

/** Sends requests, repeats them, and matches answers by node and transaction (protocol/dht.md 5). */
export class RequestEngine {
  private readonly parts: RequestEngineParts;
  private readonly pending = new Set<Request>();
  private readonly addressPings = new Map<number, AddressPing>();
  private bytes = 0;

  constructor(parts: RequestEngineParts) {
    this.parts = parts;
  }

  /** Requests under way. */
  get size(): number {
    return this.pending.size;
  }

  /** Bytes of their datagrams, kept to be sent again. */
  get heldBytes(): number {
    return this.bytes;
  }

  /** Whether pings are under way to addresses of a family whose node is not known yet. */
  isPingingAddresses(family: Family): boolean {
    for (const { endpoint } of this.addressPings.values()) if (endpoint.family === family) return true;
    return false;
  }

  /** Sends a request whose datagrams carry `tid` and must stay as they are. */
  send(node: NodeRecord, tid: number, kind: string, packets: readonly Buffer[], handler: RequestHandler): Request {
    const nowMs = this.parts.clock.nowMs();
    const request = new Request(node, tid, kind, packets, handler, nowMs);
    node.requests ??= new Map();
    node.requests.set(tid, request);
    this.pending.add(request);
    for (const packet of packets) this.bytes += packet.length;
    this.transmit(request, nowMs);
    return request;
  }

  /** Pings an address whose node is not known. `onEnd` hears whether anybody answered. */
  pingAddress(endpoint: Endpoint, makePacket: (tid: number) => Buffer, onEnd: (answered: boolean) => void): void {
    if (this.addressPings.size >= MAX_ADDRESS_PINGS) {
      onEnd(false);
      return;
    }
    let tid = 0;
    while (tid === 0 || this.addressPings.has(tid)) tid = this.parts.random.uint32();
    const ping: AddressPing = {
      endpoint,
      packet: Buffer.from(makePacket(tid)),
      attempts: 0,
      waitMs: BASE_WAIT_MS,
      job: undefined,
      onEnd,
    };
    this.addressPings.set(tid, ping);
    this.repeatPing(tid, ping);
  }

  /** Takes the request that a reply or error of this node answers, if there is one. */
  take(node: NodeRecord, tid: number): Request | undefined {
    const request = node.requests?.get(tid);
    if (request !== undefined) this.end(request);
    return request;
  }

  /** The live request with this transaction, without taking it. */
  peek(node: NodeRecord, tid: number): Request | undefined {
    return node.requests?.get(tid);
  }

  /** Whether a ping to an unknown node is answered by this; ends it. */
  takeAddressPing(tid: number): boolean {
    const ping = this.addressPings.get(tid);
    if (ping === undefined) return false;
    this.addressPings.delete(tid);
    this.parts.scheduler.cancel(ping.job);
    ping.onEnd(true);
    return true;
  }

  /** Whether an address was pinged with this transaction. */
  isPinged(endpoint: Endpoint, tid: number): boolean {
    return this.addressPings.get(tid)?.endpoint.key === endpoint.key;
  }

  /** Ends a request without telling anybody. */
  cancel(request: Request | undefined): void {
    if (request?.isPending) this.end(request);
  }

  /** The node does not answer, or cannot be reached: all its requests end. */
  expireNode(node: NodeRecord): void {
    if (node.isExpired) return;
    node.expire(this.parts.clock.nowMs());
    const requests = node.requests === undefined ? [] : [...node.requests.values()];
    for (const request of requests) this.end(request);
    this.parts.onNodeExpired(node);
    for (const request of requests) request.handler.onExpired?.();
  }

  /** A datagram to this endpoint could not be sent at all: waiting for an answer is pointless. */
  sendFailed(endpoint: Endpoint): void {
    const nodes = new Set<NodeRecord>();
    for (const request of this.pending) {
      if (request.node.endpoint.key === endpoint.key) nodes.add(request.node);
    }
    for (const node of nodes) this.expireNode(node);
    for (const [tid, ping] of this.addressPings) {
      if (ping.endpoint.key !== endpoint.key) continue;
      this.addressPings.delete(tid);
      this.parts.scheduler.cancel(ping.job);
      ping.onEnd(false);
    }
  }

  /** Ends everything, telling nobody. */
  close(): void {
    for (const request of [...this.pending]) this.end(request);
    for (const ping of this.addressPings.values()) this.parts.scheduler.cancel(ping.job);
    this.addressPings.clear();
  }

  private end(request: Request): void {
    request.isPending = false;
    this.parts.scheduler.cancel(request.job);
    if (this.pending.delete(request)) for (const packet of request.packets) this.bytes -= packet.length;
    const { requests } = request.node;
    if (requests?.get(request.tid) === request) {
      requests.delete(request.tid);
      if (requests.size === 0) request.node.requests = undefined;
    }
  }

  private transmit(request: Request, nowMs: number): void {
    request.attempts++;
    request.waitMs = 2 * request.waitMs + this.parts.random.uniform(0, JITTER_MS);
    const dueMs = nowMs + request.waitMs;
    if (request.job === undefined) request.job = this.parts.scheduler.at(dueMs, () => this.timeout(request));
    else this.parts.scheduler.move(request.job, dueMs);
    this.parts.pacer.sendAll(request.packets, request.node.endpoint);
  }

  private timeout(request: Request): void {
    if (request.hasHeader && request.handler.onIncomplete !== undefined) {
      this.end(request);
      request.handler.onIncomplete();
      return;
    }
    if (request.attempts >= MAX_ATTEMPTS) {
      this.end(request);
      // A node that was heard meanwhile lives: only this request got lost.
      if (request.node.timeMs <= request.sentMs) this.expireNode(request.node);
      request.handler.onExpired?.();
      return;
    }
    const isFirst = request.attempts === 1;
    this.transmit(request, this.parts.clock.nowMs());
    if (isFirst && request.isPending) request.handler.onFirstTimeout?.();
  }

  private repeatPing(tid: number, ping: AddressPing): void {
    if (ping.attempts >= MAX_ATTEMPTS) {
      this.addressPings.delete(tid);
      ping.onEnd(false);
      return;
    }
    ping.attempts++;
    ping.waitMs = 2 * ping.waitMs + this.parts.random.uniform(0, JITTER_MS);
    ping.job = this.parts.scheduler.at(this.parts.clock.nowMs() + ping.waitMs, () => this.repeatPing(tid, ping));
    this.parts.send(ping.packet, ping.endpoint);
  }
}
