import { type Clock, type Endpoint, HeardLately, type Logger, type RandomSource, Scheduler } from '@atoll/base';
import { Attribute, decodeMessage, isComprehensionRequired, Method, StunMessage } from '@atoll/stun';
import type { Allocation } from './allocation.js';
import { AllocationTable } from './allocation-table.js';
import { fail } from './answer.js';
import { Authentication } from './authentication.js';
import type { ClientListener, ListenerPort } from './client.js';
import type { FindReservation, TurnContext, TurnRequest } from './context.js';
import { addTraffic, type Counters, countMalformed, newCounters, noTraffic, type Traffic } from './counters.js';
import type { CredentialStore } from './credentials.js';
import { endAllocation, handleAllocate } from './handlers/allocate.js';
import { handleBinding } from './handlers/binding.js';
import { handleChannelBind, handleCreatePermission, handleSend } from './handlers/peers.js';
import { handleRefresh } from './handlers/refresh.js';
import { handleConnect, handleConnectionBind } from './handlers/tcp.js';
import { NatDiscovery } from './nat-discovery.js';
import { Nonces } from './nonces.js';
import type { TurnOptions } from './options.js';
import type { PeerRules } from './peer-rules.js';
import { type QuotaChange, Quotas } from './quotas.js';
import type { Realms } from './realms.js';
import type { RelayFactory } from './relay.js';
import { Reservations } from './reservations.js';
import { ConnectionIds } from './tcp-connections.js';
import { UnauthorizedLimit } from './unauthorized-limit.js';

/** How often permissions and channels that ended are swept out, ms. */
const SWEEP_MS = 10_000;

const KNOWN = new Set(Object.values(Attribute).map(({ type }) => type as number));

export interface TurnCoreComponents {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly credentials: CredentialStore;
  readonly relays: RelayFactory;
  readonly realms: Realms;
  readonly peerRules: PeerRules;
  /** Told when the next job is due: the moment to arm the real timer. */
  readonly onEarlier?: (dueMs: number) => void;
  /** Asks the other processes that share the ports for what a RESERVATION-TOKEN holds. */
  readonly findReservation?: FindReservation;
  /** Told what is taken from the quotas and given back, for other processes that share them. */
  readonly onQuotaChange?: (change: QuotaChange) => void;
}

export interface TurnCoreOptions extends TurnOptions {
  /** Seals nonces; the same in all processes of a server. */
  readonly nonceSecret: Uint8Array;
  /** Bandwidth of all sessions together, bytes a second; 0 for no bound. */
  readonly bpsCapacity: number;
}

type Handler = (context: TurnContext, request: TurnRequest) => void;

const HANDLERS: ReadonlyMap<number, Handler> = new Map([
  [Method.allocate, handleAllocate],
  [Method.refresh, handleRefresh],
  [Method.createPermission, handleCreatePermission],
  [Method.channelBind, handleChannelBind],
  [Method.connect, handleConnect],
  [Method.connectionBind, handleConnectionBind],
] as [number, Handler][]);

/** A STUN and TURN server without sockets, clock or chance of its own. */
export class TurnCore {
  readonly scheduler: Scheduler;
  private readonly context: TurnContext;
  private readonly heard = new HeardLately();
  private readonly authentication: Authentication;

  constructor(components: TurnCoreComponents, options: TurnCoreOptions) {
    const { clock, random, logger, credentials, relays, realms, peerRules } = components;
    this.scheduler = new Scheduler(components.onEarlier);
    const { scheduler } = this;
    const counters = newCounters();
    const nowMs = (): number => clock.nowMs();
    this.context = {
      clock,
      random,
      scheduler,
      logger,
      options,
      credentials,
      relays,
      realms,
      peerRules,
      counters,
      quotas: new Quotas({ realms, onChange: components.onQuotaChange }, options),
      nonces: new Nonces(
        { clock },
        {
          lifetimeMs: options.nonceMs,
          secret: options.nonceSecret,
          passwordAlgorithms: credentials.knowsSha256,
          usernameAnonymity: credentials.userOf !== undefined,
        },
      ),
      unauthorized: new UnauthorizedLimit({ clock }, options.unauthorizedLimit),
      allocations: new AllocationTable(),
      reservations: new Reservations({ scheduler, nowMs, random }),
      findReservation: components.findReservation,
      connectionIds: new ConnectionIds({ random }),
      natDiscovery: new NatDiscovery(),
      allocationParts: { nowMs, random, counters },
      isDraining: false,
    };
    this.authentication = new Authentication(this.context);
    this.planSweep();
  }

  get counters(): Readonly<Counters> {
    return this.context.counters;
  }

  /** Allocations there are. */
  get allocations(): number {
    return this.context.allocations.size;
  }

  /** Allocations by the protocol of their client. */
  allocationsByProtocol(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { listener } of this.context.allocations) {
      counts.set(listener.protocol, (counts.get(listener.protocol) ?? 0) + 1);
    }
    return counts;
  }

  /** Traffic of all sessions, those that run included. */
  traffic(): { clients: Traffic; peers: Traffic } {
    const clients = { ...this.context.counters.clients };
    const peers = { ...this.context.counters.peers };
    const open = { clients: noTraffic(), peers: noTraffic() };
    for (const allocation of this.context.allocations) {
      addTraffic(open.clients, allocation.fromClient);
      addTraffic(open.peers, allocation.fromPeers);
    }
    addTraffic(clients, open.clients);
    addTraffic(peers, open.peers);
    return { clients, peers };
  }

  /** When a request of an address (binary) came last, ms of the clock; undefined when long ago or never. */
  heardMs(ip: string): number | undefined {
    return this.heard.heardMs(ip);
  }

  /** Sizes of what strangers make grow, for tests and metrics. */
  sizes(): Readonly<Record<'allocations' | 'reservations' | 'connectionIds' | 'countedSources' | 'jobs', number>> {
    const { allocations, reservations, connectionIds, unauthorized, scheduler } = this.context;
    return {
      allocations: allocations.size,
      reservations: reservations.size,
      connectionIds: connectionIds.size,
      countedSources: unauthorized.size,
      jobs: scheduler.size,
    };
  }

  /** No new allocations; those there are go on. */
  drain(): void {
    this.context.isDraining = true;
  }

  /** Another process that shares the quotas took places or gave them back. */
  countElsewhere(change: QuotaChange): void {
    this.context.quotas.count(change);
  }

  /** Another process was asked for what this token holds: its place is the other's from now on. */
  giveAwayReservation(token: Uint8Array, user: string): Endpoint | undefined {
    return this.context.reservations.giveAway(token, user);
  }

  /** Adds a listener; what comes to it goes into the port that is returned. */
  addListener(listener: ClientListener): ListenerPort {
    const { context } = this;
    const clients = context.allocations.clientsOf(listener);
    context.natDiscovery.add(listener);
    context.peerRules.addOwn(listener.local);
    const port: ListenerPort = {
      receive: (bytes, from) => port.receiveRange(bytes, 0, bytes.length, from),
      receiveRange: (memory, start, end, from) => {
        const first = end - start >= 4 ? (memory[start] as number) : 0xff;
        if (first >= 0x40 && first < 0x80) {
          const allocation = clients.get(from.key);
          if (allocation !== undefined) allocation.channelDataRange(memory, start, end);
          else context.counters.droppedData++;
        } else if (first < 0x40) this.receiveMessage(listener, memory.subarray(start, end), from);
        else countMalformed(context.counters, 'not-stun');
      },
      closed: (client) => {
        const allocation = clients.get(client.key);
        if (allocation !== undefined) endAllocation(context, allocation, 'its connection ended');
      },
      hasAllocation: (client) => clients.has(client.key),
      remove: () => {
        for (const allocation of [...clients.values()]) endAllocation(context, allocation, 'its listener closed');
        context.natDiscovery.remove(listener);
        context.peerRules.removeOwn(listener.local);
        context.allocations.removeListener(listener);
      },
    };
    return port;
  }

  /** Ends every allocation. */
  close(): void {
    for (const allocation of [...this.context.allocations]) endAllocation(this.context, allocation, 'the server stops');
    this.context.reservations.close();
    this.scheduler.clear();
  }

  private receiveMessage(listener: ClientListener, bytes: Buffer, from: Endpoint): void {
    const { context } = this;
    const isSend = bytes.length > 1 && bytes[0] === 0 && bytes[1] === 0x16;
    // A request may wait for the user store: it is kept in memory of its own.
    const message = decodeMessage(isSend ? bytes : Buffer.from(bytes));
    if (!(message instanceof StunMessage)) return countMalformed(context.counters, message);
    const allocation = context.allocations.find(listener, from);
    if (message.class === 'indication') {
      if (message.method === Method.send && allocation !== undefined) handleSend(context, message, allocation);
      return;
    }
    if (message.class !== 'request') return;
    this.heard.hear(from.ip, context.clock.nowMs());
    const origin = message.get(Attribute.origin);
    const realm = allocation?.facts.place.realm ?? context.realms.of(origin);
    const request = { message, listener, from, allocation, realm };
    if (message.method === Method.binding) return this.receiveBinding(request);
    const handler = HANDLERS.get(message.method);
    if (message.isClassic || context.options.stunOnly || handler === undefined) return;
    if (context.options.originConsistency && allocation !== undefined && allocation.facts.origin !== origin) return;
    this.authentication.check(request, (proved) => {
      const current = context.allocations.find(listener, from);
      this.dispatch(handler, current === proved.allocation ? proved : { ...proved, allocation: current });
    });
  }

  private receiveBinding(request: Omit<TurnRequest, 'proof' | 'account' | 'validUntilMs'>): void {
    const { context } = this;
    if (context.options.turnOnly) return;
    const answer = (proved: TurnRequest): void => {
      if (!this.refuseUnknown(proved)) handleBinding(context, proved);
    };
    if (context.options.securesBinding) this.authentication.check(request, answer);
    else answer({ ...request, proof: undefined, account: '', validUntilMs: undefined });
  }

  private dispatch(handler: Handler, request: TurnRequest): void {
    if (this.refuseUnknown(request)) return;
    if (!isOwner(request.allocation, request)) return fail(this.context, request, 441);
    if (request.allocation !== undefined && request.validUntilMs !== undefined)
      this.renewToken(request.allocation, request);
    handler(this.context, request);
  }

  /** A later token replaces the one before: its key and its end hold from now on. */
  private renewToken(allocation: Allocation, { proof, validUntilMs = 0 }: TurnRequest): void {
    const { clock } = this.context;
    allocation.proof = proof;
    allocation.latestMs = clock.nowMs() + validUntilMs - clock.unixMs();
  }

  /** 420 for attributes that must be understood and are not (RFC 8489 section 6.3.1). */
  private refuseUnknown(request: TurnRequest): boolean {
    const { attributes, isClassic } = request.message;
    if (isClassic || attributes.every(isUnderstood)) return false;
    const unknown = attributes.filter((attribute) => !isUnderstood(attribute)).map(({ type }) => type);
    fail(this.context, request, 420, (writer) => writer.add(Attribute.unknownAttributes, unknown.slice(0, 16)));
    return true;
  }

  private planSweep(): void {
    const job = this.scheduler.at(this.context.clock.nowMs() + SWEEP_MS, () => {
      for (const allocation of this.context.allocations) allocation.sweep();
      this.scheduler.move(job, this.context.clock.nowMs() + SWEEP_MS);
    });
  }
}

function isUnderstood({ type }: { readonly type: number }): boolean {
  return KNOWN.has(type) || !isComprehensionRequired(type);
}

/** The user of an allocation is who made it (RFC 8656 section 5). */
function isOwner(allocation: Allocation | undefined, request: TurnRequest): boolean {
  const owner = allocation?.proof;
  return owner === undefined || (owner.user === request.proof?.user && owner.realm === request.proof.realm);
}
