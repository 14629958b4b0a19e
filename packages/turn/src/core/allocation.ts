import type { Endpoint, Family, Job, RandomSource } from '@atoll/base';
import { Attribute, CHANNEL_HEADER_BYTES, encodeChannelData, type IcmpError, MessageWriter, Method } from '@atoll/stun';
import type { Bandwidth } from './bandwidth.js';
import type { ClientListener } from './client.js';
import { type Counters, noTraffic, type Traffic } from './counters.js';
import { LIFETIMES_MS, LIMITS } from './limits.js';
import type { QuotaPlace } from './quotas.js';
import type { StreamMeter, UdpRelay, UdpRelayHandler } from './relay.js';
import type { TcpConnections } from './tcp-connections.js';

/** A permission: one peer address, all its ports (RFC 8656 section 9). */
interface Permission {
  expiresMs: number;
}

/** A channel: a number for one peer (section 12). */
export interface Channel {
  readonly number: number;
  readonly peer: Endpoint;
  readonly permission: Permission;
  readonly relay: UdpRelay;
  expiresMs: number;
}

/** How a client proves itself in the messages of its allocation. */
export interface Proof {
  readonly user: string;
  readonly realm: string;
  readonly key: Uint8Array;
  readonly hash: 'sha1' | 'sha256';
  /** The key came in an access token (RFC 7635): the user name is that of the token's key, and may change. */
  readonly isToken?: boolean;
}

export interface AllocationParts {
  readonly nowMs: () => number;
  readonly random: RandomSource;
  readonly counters: Counters;
}

export interface AllocationFacts {
  readonly id: number;
  readonly listener: ClientListener;
  readonly client: Endpoint;
  readonly proof: Proof | undefined;
  readonly place: QuotaPlace;
  readonly inbound: Bandwidth | undefined;
  readonly outbound: Bandwidth | undefined;
  /** ORIGIN of the request that made it. */
  readonly origin: string | undefined;
  readonly permissionMs: number;
  readonly channelMs: number;
}

const EMPTY = Buffer.alloc(0);
/** Most allocations have none for a while, many never: a map of one's own is made for the first. */
const NO_PERMISSIONS: ReadonlyMap<string, Permission> = new Map();
const NO_CHANNELS: ReadonlyMap<string | number, Channel> = new Map();

/** One allocation: relays, permissions and channels of one client, and the way of its data. */
export class Allocation {
  readonly facts: AllocationFacts;
  listener: ClientListener;
  client: Endpoint;
  /** How its client proves itself; a new access token brings a new key. */
  proof: Proof | undefined;
  /** When it ends, on the core's clock. */
  expiresMs = 0;
  /** Never later than this, where the credential ends (RFC 7635). */
  latestMs = Number.POSITIVE_INFINITY;
  expiry: Job | undefined;
  /** Transaction of the Allocate that made it: a retransmission gets the same answer. */
  madeBy: Buffer = EMPTY;
  madeAnswer: Buffer = EMPTY;
  ticket: string | undefined;
  readonly fromClient: Traffic = noTraffic();
  readonly fromPeers: Traffic = noTraffic();
  tcp: TcpConnections | undefined;
  readonly relays = new Map<Family, UdpRelay>();
  private readonly parts: AllocationParts;
  private permissions = NO_PERMISSIONS as Map<string, Permission>;
  private byNumber = NO_CHANNELS as Map<number, Channel>;
  private byPeer = NO_CHANNELS as Map<string, Channel>;

  constructor(parts: AllocationParts, facts: AllocationFacts) {
    this.parts = parts;
    this.facts = facts;
    this.listener = facts.listener;
    this.client = facts.client;
    this.proof = facts.proof;
  }

  /** Families of its relayed transport addresses. */
  hasFamily(family: Family): boolean {
    return this.relays.has(family) || this.tcp?.address.family === family;
  }

  addRelay(family: Family, relay: UdpRelay): void {
    this.relays.set(family, relay);
    relay.setHandler(this.handlerOf(relay));
  }

  /** Takes one of two relays away (Refresh of one family, RFC 8656 section 7.3). */
  removeRelay(family: Family): void {
    this.relays.get(family)?.close();
    this.relays.delete(family);
    for (const channel of [...this.byNumber.values()]) if (channel.peer.family === family) this.forget(channel);
  }

  setTcp(connections: TcpConnections): void {
    this.tcp = connections;
  }

  /** Relay at which a peer of this family is reached. */
  relayOf(family: Family): UdpRelay | undefined {
    return this.relays.get(family);
  }

  /** How many permissions a request for these addresses would add. */
  newPermissions(ips: readonly string[]): number {
    return new Set(ips.filter((ip) => !this.permissions.has(ip))).size;
  }

  get permissionCount(): number {
    return this.permissions.size;
  }

  get channelCount(): number {
    return this.byNumber.size;
  }

  /** Installs or renews a permission; undefined when there are too many. */
  permit(ip: string): Permission | undefined {
    const expiresMs = this.parts.nowMs() + this.facts.permissionMs;
    let permission = this.permissions.get(ip);
    if (permission === undefined) {
      if (this.permissions.size >= LIMITS.permissionsPerAllocation) return undefined;
      permission = { expiresMs };
      if (this.permissions === NO_PERMISSIONS) this.permissions = new Map();
      this.permissions.set(ip, permission);
    } else permission.expiresMs = expiresMs;
    return permission;
  }

  isPermitted(ip: string): boolean {
    const permission = this.permissions.get(ip);
    return permission !== undefined && permission.expiresMs > this.parts.nowMs();
  }

  /** Binds a channel, or says with which code it cannot be (section 12.2). */
  bind(number: number, peer: Endpoint): 400 | 443 | 508 | undefined {
    const relay = this.relays.get(peer.family);
    if (relay === undefined) return 443;
    const ofNumber = this.byNumber.get(number);
    const ofPeer = this.byPeer.get(peer.key);
    // Within the quarantine after its end a binding still forbids others.
    if (ofNumber !== ofPeer) return 400;
    if (ofNumber === undefined && this.byNumber.size >= LIMITS.channelsPerAllocation) return 508;
    const permission = this.permit(peer.ip);
    if (permission === undefined) return 508;
    const expiresMs = this.parts.nowMs() + this.facts.channelMs;
    if (ofNumber !== undefined) {
      ofNumber.expiresMs = expiresMs;
      return undefined;
    }
    const channel: Channel = { number, peer, permission, relay, expiresMs };
    if (this.byNumber.size === 0) [this.byNumber, this.byPeer] = [new Map(), new Map()];
    this.byNumber.set(number, channel);
    this.byPeer.set(peer.key, channel);
    return undefined;
  }

  /** Forgets permissions and channels that ended; a channel stays unusable for others a while longer. */
  sweep(): void {
    const nowMs = this.parts.nowMs();
    for (const [ip, permission] of this.permissions) {
      if (permission.expiresMs <= nowMs && !this.hasChannelWith(permission)) this.permissions.delete(ip);
    }
    for (const channel of this.byNumber.values()) {
      if (channel.expiresMs + LIFETIMES_MS.channelQuarantine <= nowMs) this.forget(channel);
    }
  }

  /** ChannelData of the client, in `memory` from `start` to `end`. */
  channelDataRange(memory: Buffer, start: number, end: number): void {
    const number = ((memory[start] as number) << 8) | (memory[start + 1] as number);
    const length = ((memory[start + 2] as number) << 8) | (memory[start + 3] as number);
    const from = start + CHANNEL_HEADER_BYTES;
    const channel = this.byNumber.get(number);
    const { counters } = this.parts;
    if (channel === undefined || from + length > end) {
      counters.droppedData++;
      return;
    }
    const nowMs = this.parts.nowMs();
    if (channel.expiresMs <= nowMs || channel.permission.expiresMs <= nowMs) {
      counters.droppedData++;
      return;
    }
    this.toPeer(channel.relay, memory, from, from + length, channel.peer, false, nowMs);
  }

  /** Data of a Send indication. */
  sendData(data: Buffer, peer: Endpoint, dontFragment: boolean): void {
    const relay = this.relays.get(peer.family);
    if (relay === undefined || !this.isPermitted(peer.ip)) {
      this.parts.counters.droppedData++;
      return;
    }
    this.toPeer(relay, data, 0, data.length, peer, dontFragment, this.parts.nowMs());
  }

  /** For the peer connections of a TCP allocation (RFC 6062): they share its bandwidth. */
  get meter(): StreamMeter {
    return {
      fromClient: (bytes) => this.meterStream(this.fromClient, this.fromPeers, this.facts.inbound, bytes),
      fromPeer: (bytes) => this.meterStream(this.fromPeers, this.fromClient, this.facts.outbound, bytes),
    };
  }

  /** Closes its relays. */
  close(): void {
    for (const relay of this.relays.values()) {
      relay.setHandler(undefined);
      relay.close();
    }
    this.relays.clear();
    this.tcp?.close();
    this.permissions = NO_PERMISSIONS as Map<string, Permission>;
    this.byNumber = NO_CHANNELS as Map<number, Channel>;
    this.byPeer = NO_CHANNELS as Map<string, Channel>;
  }

  private meterStream(from: Traffic, to: Traffic, bandwidth: Bandwidth | undefined, bytes: number): number {
    from.receivedPackets++;
    from.receivedBytes += bytes;
    to.sentPackets++;
    to.sentBytes += bytes;
    return bandwidth?.takeOfStream(bytes, this.parts.nowMs()) ?? 0;
  }

  private toPeer(
    relay: UdpRelay,
    memory: Buffer,
    start: number,
    end: number,
    peer: Endpoint,
    dontFragment: boolean,
    nowMs: number,
  ): void {
    const { inbound } = this.facts;
    const length = end - start;
    this.fromClient.receivedPackets++;
    this.fromClient.receivedBytes += length;
    if (inbound !== undefined && !inbound.take(length, nowMs)) {
      this.parts.counters.droppedOverBandwidth++;
      return;
    }
    this.fromPeers.sentPackets++;
    this.fromPeers.sentBytes += length;
    relay.sendRange(memory, start, end, peer, dontFragment);
  }

  private handlerOf(relay: UdpRelay): UdpRelayHandler {
    return {
      receiveRange: (memory, start, end, from) => this.fromPeer(relay, memory, start, end, from),
      unreachable: (to, error) => this.unreachable(to, error),
    };
  }

  private fromPeer(_relay: UdpRelay, memory: Buffer, start: number, end: number, from: Endpoint): void {
    const nowMs = this.parts.nowMs();
    const length = end - start;
    const channel = this.byPeer.get(from.key);
    const { listener, client, parts } = this;
    const permission = channel?.permission ?? this.permissions.get(from.ip);
    if (permission === undefined || permission.expiresMs <= nowMs) {
      parts.counters.droppedData++;
      return;
    }
    this.fromPeers.receivedPackets++;
    this.fromPeers.receivedBytes += length;
    const { outbound } = this.facts;
    if (outbound !== undefined && !outbound.take(length, nowMs)) {
      parts.counters.droppedOverBandwidth++;
      return;
    }
    if (listener.isStream && (listener.waitingBytes?.(client) ?? 0) > LIMITS.waitingBytesPerClient) {
      parts.counters.droppedSlowClient++;
      return;
    }
    this.fromClient.sentPackets++;
    this.fromClient.sentBytes += length;
    if (channel === undefined || channel.expiresMs <= nowMs) {
      listener.send(this.dataIndication(memory.subarray(start, end), from), client);
      return;
    }
    if (listener.isStream || listener.sendRange === undefined) {
      listener.send(encodeChannelData(channel.number, memory.subarray(start, end), listener.isStream), client);
      return;
    }
    // The four bytes in front are ours: the header goes there and nothing is copied.
    const at = start - CHANNEL_HEADER_BYTES;
    memory[at] = channel.number >> 8;
    memory[at + 1] = channel.number & 0xff;
    memory[at + 2] = length >> 8;
    memory[at + 3] = length & 0xff;
    listener.sendRange(memory, at, end, client);
  }

  private dataIndication(data: Buffer, from: Endpoint): Buffer {
    return new MessageWriter(Method.data, 'indication', this.parts.random.bytes(12))
      .add(Attribute.xorPeerAddress, from)
      .add(Attribute.data, data)
      .finish();
  }

  /** An ICMP error is told to the client (RFC 8656 section 11.5), when the peer is one it may send to. */
  private unreachable(to: Endpoint, error: IcmpError): void {
    if (!this.isPermitted(to.ip)) return;
    const bytes = new MessageWriter(Method.data, 'indication', this.parts.random.bytes(12))
      .add(Attribute.xorPeerAddress, to)
      .add(Attribute.icmp, error)
      .finish();
    this.listener.send(bytes, this.client);
  }

  private hasChannelWith(permission: Permission): boolean {
    for (const channel of this.byNumber.values()) if (channel.permission === permission) return true;
    return false;
  }

  private forget(channel: Channel): void {
    this.byNumber.delete(channel.number);
    this.byPeer.delete(channel.peer.key);
  }
}
