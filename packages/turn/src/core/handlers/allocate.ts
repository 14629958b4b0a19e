import type { Family, Scheduler } from '@atoll/base';
import { Attribute, type MessageWriter, type StunMessage } from '@atoll/stun';
import { Allocation } from '../allocation.js';
import { fail, reasonOf, succeed } from '../answer.js';
import { Bandwidth } from '../bandwidth.js';
import type { TurnContext, TurnRequest } from '../context.js';
import { LIFETIMES_MS } from '../limits.js';
import type { QuotaPlace } from '../quotas.js';
import type { PortWish, UdpRelay } from '../relay.js';
import { TcpConnections } from '../tcp-connections.js';

const TRANSPORT_UDP = 17;
const TRANSPORT_TCP = 6;

/** What an Allocate asks for, once it is known to be sound. */
interface Wish {
  readonly isTcp: boolean;
  readonly families: readonly Family[];
  /** Whether one of two families is enough (ADDITIONAL-ADDRESS-FAMILY). */
  readonly isDual: boolean;
  readonly port: PortWish;
  readonly token: Uint8Array | undefined;
  readonly isMobile: boolean;
}

/** Allocate (RFC 8656 section 7.2; TCP: RFC 6062 section 5.1; mobility: RFC 8016 section 3.1). */
export function handleAllocate(context: TurnContext, request: TurnRequest): void {
  const { message, allocation, listener, from } = request;
  if (allocation !== undefined) {
    if (allocation.madeBy.equals(message.transactionId)) listener.send(allocation.madeAnswer, from);
    else fail(context, request, 437);
    return;
  }
  const refuse = (code: number, fill?: (writer: MessageWriter) => void): void => {
    context.counters.allocationsRefused++;
    fail(context, request, code, fill);
  };
  const { options } = context;
  const isSecure = listener.protocol === 'tls' || listener.protocol === 'dtls';
  const alternates = isSecure ? options.tlsAlternateServers : options.alternateServers;
  const alternate = alternates[context.random.uint32() % Math.max(1, alternates.length)];
  if (alternate !== undefined) return refuse(300, (writer) => writer.add(Attribute.alternateServer, alternate));
  if (context.isDraining) return refuse(508);
  const wish = wishOf(context, request);
  if (typeof wish === 'number') return refuse(wish);
  const place = context.quotas.take(request.realm, request.account);
  if (place === undefined) return refuse(486);
  const made = newAllocation(context, request, place);
  const refuseMade = (code: number): void => {
    made.close();
    context.quotas.giveBack(place);
    refuse(code);
  };
  const isStillWanted = (): boolean => context.allocations.find(listener, from) === undefined;
  if (wish.isTcp) return openTcp(context, request, made, wish, refuseMade, isStillWanted);
  if (wish.token !== undefined) {
    const relay = context.reservations.take(wish.token, request.account);
    const take = (taken: UdpRelay | undefined): void => {
      if (taken === undefined) return refuseMade(508);
      made.addRelay(taken.address.family, taken);
      if (isStillWanted()) establish(context, request, made, wish, undefined);
      else refuseMade(437);
    };
    if (relay !== undefined || context.findReservation === undefined) return take(relay);
    return context.findReservation(wish.token, request.account, (at) => {
      if (at === undefined) take(undefined);
      else context.relays.openUdp({ family: at.family, near: at, port: 'any', at }, take);
    });
  }
  openUdp(context, request, made, wish, refuseMade, isStillWanted);
}

/** ADDITIONAL-ADDRESS-FAMILY under the number that the client knows. */
function additionalFamilyOf(message: StunMessage) {
  const { additionalAddressFamily, draftAdditionalAddressFamily } = Attribute;
  const isDraft = !message.has(additionalAddressFamily) && message.has(draftAdditionalAddressFamily);
  return isDraft ? draftAdditionalAddressFamily : additionalAddressFamily;
}

/** What is asked for, or the code it is refused with. */
function wishOf(context: TurnContext, { message, listener, from }: TurnRequest): Wish | number {
  const { options, relays } = context;
  const transport = message.get(Attribute.requestedTransport);
  if (transport === undefined) return 400;
  const isTcp = transport === TRANSPORT_TCP;
  if (!isTcp && transport !== TRANSPORT_UDP) return 442;
  if (isTcp ? !options.tcpRelay || relays.openTcp === undefined : !options.udpRelay) return 442;
  const evenPort = message.get(Attribute.evenPort);
  const token = message.get(Attribute.reservationToken);
  const family = message.get(Attribute.requestedAddressFamily);
  const additionalCodec = additionalFamilyOf(message);
  const additional = message.get(additionalCodec);
  if (message.has(Attribute.evenPort) && evenPort === undefined) return 400;
  if (message.has(Attribute.reservationToken) && token === undefined) return 400;
  if (message.has(Attribute.requestedAddressFamily) && family === undefined) return 440;
  if (message.has(additionalCodec) && additional !== 6) return 400;
  if (isTcp) {
    if (!listener.isStream) return 400;
    if (evenPort !== undefined || token !== undefined || message.has(Attribute.dontFragment)) return 400;
    if (additional !== undefined) return 400;
  }
  if (token !== undefined && (evenPort !== undefined || family !== undefined || additional !== undefined)) return 400;
  if (additional !== undefined && (family !== undefined || evenPort === true)) return 400;
  if (message.has(Attribute.dontFragment) && !relays.canForbidFragments) return 420;
  const isMobile = message.has(Attribute.mobilityTicket);
  if (isMobile && !options.mobility) return 405;
  if (isMobile && message.get(Attribute.mobilityTicket)?.length !== 0) return 400;
  const usual = options.defaultFamily === 'keep' ? from.family : options.defaultFamily;
  const families: Family[] = additional !== undefined ? [4, 6] : [family ?? usual];
  const [only] = families;
  if (families.length === 1 && only !== undefined && !relays.families.has(only)) return 440;
  const port: PortWish = evenPort === undefined ? 'any' : evenPort ? 'even-with-next' : 'even';
  if (port === 'even-with-next' && context.reservations.isFull) return 508;
  return { isTcp, families, isDual: additional !== undefined, port, token, isMobile };
}

function newAllocation(context: TurnContext, request: TurnRequest, place: QuotaPlace): Allocation {
  const nowMs = context.clock.nowMs();
  const bandwidth = (): Bandwidth | undefined => (place.bps > 0 ? new Bandwidth(place.bps, nowMs) : undefined);
  const allocation = new Allocation(context.allocationParts, {
    id: context.allocations.nextId(),
    listener: request.listener,
    client: request.from,
    proof: request.proof,
    place,
    inbound: bandwidth(),
    outbound: bandwidth(),
    origin: request.message.get(Attribute.origin),
    permissionMs: context.options.permissionMs,
    channelMs: context.options.channelMs,
  });
  if (request.validUntilMs !== undefined) {
    allocation.latestMs = nowMs + request.validUntilMs - context.clock.unixMs();
  }
  return allocation;
}

function openUdp(
  context: TurnContext,
  request: TurnRequest,
  made: Allocation,
  wish: Wish,
  refuse: (code: number) => void,
  isStillWanted: () => boolean,
): void {
  let waiting = wish.families.length;
  let next: UdpRelay | undefined;
  const failed: Family[] = [];
  const opened = (): void => {
    if (--waiting > 0) return;
    if (made.relays.size === 0 || !isStillWanted()) {
      next?.close();
      if (isStillWanted()) refuse(508);
      else {
        made.close();
        context.quotas.giveBack(made.facts.place);
      }
      return;
    }
    establish(context, request, made, wish, next, failed[0]);
  };
  for (const family of wish.families) {
    if (!context.relays.families.has(family)) {
      failed.push(family);
      opened();
      continue;
    }
    context.relays.openUdp({ family, near: request.listener.local, port: wish.port }, (relay) => {
      if (relay === undefined) failed.push(family);
      else {
        next ??= relay.next;
        made.addRelay(family, relay);
      }
      opened();
    });
  }
}

function openTcp(
  context: TurnContext,
  request: TurnRequest,
  made: Allocation,
  wish: Wish,
  refuse: (code: number) => void,
  isStillWanted: () => boolean,
): void {
  const { scheduler, random, connectionIds: ids } = context;
  const nowMs = (): number => context.clock.nowMs();
  const connections = new TcpConnections({ ids, scheduler, nowMs, random }, made);
  const family = wish.families[0] ?? 4;
  context.relays.openTcp?.({ family, near: request.listener.local }, connections.handler, (relay) => {
    if (relay === undefined) return refuse(508);
    connections.setRelay(relay);
    made.setTcp(connections);
    if (isStillWanted()) establish(context, request, made, wish, undefined);
    else {
      made.close();
      context.quotas.giveBack(made.facts.place);
    }
  });
}

/** The allocation stands: it is entered and the client told. */
function establish(
  context: TurnContext,
  request: TurnRequest,
  made: Allocation,
  wish: Wish,
  next: UdpRelay | undefined,
  failedFamily?: Family,
): void {
  const { message, from } = request;
  const lifetimeMs = grantedMs(context, made, message.get(Attribute.lifetime));
  context.allocations.add(made);
  extend(context, made, lifetimeMs);
  context.counters.allocationsMade++;
  const ticket = wish.isMobile ? newTicket(context) : undefined;
  if (ticket !== undefined) context.allocations.setTicket(made, ticket);
  made.madeBy = Buffer.from(message.transactionId);
  made.madeAnswer = succeed(context, request, (writer) => {
    for (const family of [4, 6] as const) {
      const relay = made.relayOf(family);
      if (relay !== undefined) writer.add(Attribute.xorRelayedAddress, relay.address);
    }
    if (made.tcp !== undefined) writer.add(Attribute.xorRelayedAddress, made.tcp.address);
    writer.add(Attribute.xorMappedAddress, from);
    writer.add(Attribute.lifetime, Math.floor(lifetimeMs / 1000));
    if (next !== undefined) {
      writer.add(Attribute.reservationToken, context.reservations.hold(next, request.account));
    }
    if (failedFamily !== undefined) {
      const code = context.relays.families.has(failedFamily) ? 508 : 440;
      const isDraft = additionalFamilyOf(message) === Attribute.draftAdditionalAddressFamily;
      const codec = isDraft ? Attribute.draftAddressErrorCode : Attribute.addressErrorCode;
      writer.add(codec, { family: failedFamily, code, reason: reasonOf(code) });
    }
    if (ticket !== undefined) writer.add(Attribute.mobilityTicket, ticket);
  });
  const relayed = made.tcp?.address ?? [...made.relays.values()].map((relay) => String(relay.address)).join(' ');
  context.logger.info(`session ${made.facts.id}: new, lifetime ${Math.floor(lifetimeMs / 1000)}`, {
    realm: request.realm,
    user: request.proof?.user ?? '',
    client: from.toString(),
    protocol: request.listener.protocol,
    relayed: String(relayed),
  });
}

/** The lifetime a client gets that asks for `seconds` (RFC 8656 section 7.2), ms. */
export function grantedMs(context: TurnContext, allocation: Allocation, seconds: number | undefined): number {
  const { maxAllocationMs } = context.options;
  const wantedMs = seconds === undefined ? LIFETIMES_MS.defaultAllocation : 1000 * seconds;
  const least = Math.min(LIFETIMES_MS.defaultAllocation, maxAllocationMs);
  const grantedMs = Math.min(maxAllocationMs, Math.max(least, wantedMs));
  return Math.max(0, Math.min(grantedMs, allocation.latestMs - context.clock.nowMs()));
}

/** Sets when an allocation ends. */
export function extend(context: TurnContext, allocation: Allocation, lifetimeMs: number): void {
  const { scheduler }: { scheduler: Scheduler } = context;
  allocation.expiresMs = context.clock.nowMs() + lifetimeMs;
  if (allocation.expiry !== undefined) scheduler.move(allocation.expiry, allocation.expiresMs);
  else allocation.expiry = scheduler.at(allocation.expiresMs, () => endAllocation(context, allocation, 'expired'));
}

/** Ends an allocation: its relays are closed, its place is free. */
export function endAllocation(context: TurnContext, allocation: Allocation, why: string): void {
  if (!context.allocations.remove(allocation)) return;
  context.scheduler.cancel(allocation.expiry);
  allocation.close();
  context.quotas.giveBack(allocation.facts.place);
  const { fromClient, fromPeers, facts } = allocation;
  for (const [total, own] of [
    [context.counters.clients, fromClient],
    [context.counters.peers, fromPeers],
  ] as const) {
    total.receivedPackets += own.receivedPackets;
    total.receivedBytes += own.receivedBytes;
    total.sentPackets += own.sentPackets;
    total.sentBytes += own.sentBytes;
  }
  context.logger.info(`session ${facts.id}: closed (${why})`, {
    realm: facts.place.realm,
    user: allocation.proof?.user ?? '',
    client: allocation.client.toString(),
    receivedPackets: fromClient.receivedPackets,
    receivedBytes: fromClient.receivedBytes,
    sentPackets: fromClient.sentPackets,
    sentBytes: fromClient.sentBytes,
  });
}

/** A mobility ticket: text, because clients there are (coturn's) take it for a string of C. */
export function newTicket({ random }: TurnContext): Buffer {
  return Buffer.from(random.bytes(18).toString('base64url'));
}
