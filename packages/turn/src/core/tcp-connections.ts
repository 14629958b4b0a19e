import type { Endpoint, Job, RandomSource, Scheduler } from '@atoll/base';
import { Attribute, MessageWriter, Method } from '@atoll/stun';
import type { Allocation } from './allocation.js';
import type { ClientListener } from './client.js';
import { LIFETIMES_MS, LIMITS } from './limits.js';
import type { PeerConnection, TcpRelay, TcpRelayHandler } from './relay.js';

interface Pending {
  readonly id: number;
  readonly connection: PeerConnection;
  /** Ends it when the client does not bind it in time. */
  readonly expiry: Job;
}

/** Connection ids of a server: which allocation waits for which peer connection to be bound. */
export class ConnectionIds {
  private readonly random: RandomSource;
  private readonly owners = new Map<number, TcpConnections>();

  constructor({ random }: { readonly random: RandomSource }) {
    this.random = random;
  }

  get size(): number {
    return this.owners.size;
  }

  /** A new id that nobody can guess. */
  take(owner: TcpConnections): number {
    for (;;) {
      const id = this.random.uint32();
      if (id === 0 || this.owners.has(id)) continue;
      this.owners.set(id, owner);
      return id;
    }
  }

  ownerOf(id: number): TcpConnections | undefined {
    return this.owners.get(id);
  }

  release(id: number): void {
    this.owners.delete(id);
  }
}

export interface TcpConnectionsParts {
  readonly ids: ConnectionIds;
  readonly scheduler: Scheduler;
  readonly nowMs: () => number;
  readonly random: RandomSource;
}

/** The peer connections of one TCP allocation (RFC 6062). */
export class TcpConnections {
  readonly allocation: Allocation;
  private readonly parts: TcpConnectionsParts;
  private relay: TcpRelay | undefined;
  private readonly pending = new Map<number, Pending>();
  /** Peers with a connection, bound or not, or being connected to. */
  private readonly peers = new Map<string, PeerConnection | undefined>();

  constructor(parts: TcpConnectionsParts, allocation: Allocation) {
    this.parts = parts;
    this.allocation = allocation;
  }

  get address(): Endpoint {
    if (this.relay === undefined) throw new Error('the relay is not open yet');
    return this.relay.address;
  }

  setRelay(relay: TcpRelay): void {
    this.relay = relay;
  }

  get count(): number {
    return this.peers.size;
  }

  /** What the relay tells. */
  get handler(): TcpRelayHandler {
    return {
      accepted: (connection) => this.accepted(connection),
      closed: (connection) => this.forget(connection),
    };
  }

  isConnectedTo(peer: Endpoint): boolean {
    return this.peers.has(peer.key);
  }

  /** Connects to a peer; gives the id to bind it with, or nothing when it cannot be reached. */
  connect(peer: Endpoint, done: (id: number | undefined) => void): void {
    this.peers.set(peer.key, undefined);
    const { relay } = this;
    if (relay === undefined) return done(undefined);
    relay.connect(peer, LIFETIMES_MS.connectTimeout, (connection) => {
      if (connection === undefined || this.relay === undefined) {
        this.peers.delete(peer.key);
        connection?.close();
        done(undefined);
        return;
      }
      this.peers.set(peer.key, connection);
      done(this.hold(connection));
    });
  }

  /** Joins the client's connection with the peer's of this id. */
  bind(id: number, listener: ClientListener, client: Endpoint, answer: () => void): boolean {
    const pending = this.pending.get(id);
    if (pending === undefined || this.relay === undefined) return false;
    this.release(pending);
    // The answer is the last message; behind it the stream is the peer's.
    answer();
    if (this.relay.join(pending.connection, listener, client, this.allocation.meter)) return true;
    pending.connection.close();
    return true;
  }

  close(): void {
    for (const pending of [...this.pending.values()]) this.release(pending);
    this.relay?.close();
    this.relay = undefined;
    this.peers.clear();
  }

  private accepted(connection: PeerConnection): boolean {
    const { peer } = connection;
    const { allocation } = this;
    if (!allocation.isPermitted(peer.ip)) return false;
    if (this.peers.size >= LIMITS.connectionsPerAllocation || this.peers.has(peer.key)) return false;
    this.peers.set(peer.key, connection);
    const id = this.hold(connection);
    const bytes = new MessageWriter(Method.connectionAttempt, 'indication', this.parts.random.bytes(12))
      .add(Attribute.connectionId, id)
      .add(Attribute.xorPeerAddress, peer)
      .finish();
    allocation.listener.send(bytes, allocation.client);
    return true;
  }

  private hold(connection: PeerConnection): number {
    const id = this.parts.ids.take(this);
    const dueMs = this.parts.nowMs() + LIFETIMES_MS.unboundConnection;
    const expiry = this.parts.scheduler.at(dueMs, () => {
      this.forget(connection);
      connection.close();
    });
    this.pending.set(id, { id, connection, expiry });
    return id;
  }

  private release(pending: Pending): void {
    this.pending.delete(pending.id);
    this.parts.ids.release(pending.id);
    this.parts.scheduler.cancel(pending.expiry);
  }

  private forget(connection: PeerConnection): void {
    if (this.peers.get(connection.peer.key) === connection) this.peers.delete(connection.peer.key);
    for (const pending of this.pending.values()) if (pending.connection === connection) this.release(pending);
  }
}
