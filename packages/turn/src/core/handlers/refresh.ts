import { Attribute } from '@atoll/stun';
import { fail, succeed } from '../answer.js';
import type { TurnContext, TurnRequest } from '../context.js';
import { endAllocation, extend, grantedMs, newTicket } from './allocate.js';

/** Refresh (RFC 8656 section 7.3), also from a new 5-tuple with a MOBILITY-TICKET (RFC 8016 section 3.2). */
export function handleRefresh(context: TurnContext, request: TurnRequest): void {
  const { message, allocation } = request;
  const ticket = message.get(Attribute.mobilityTicket);
  if (allocation === undefined && ticket !== undefined) return moveHere(context, request, ticket);
  if (allocation === undefined) {
    // Nothing to end is as good as ended: a retransmission after the answer was lost.
    if (message.get(Attribute.lifetime) === 0) succeed(context, request, (writer) => writer.add(Attribute.lifetime, 0));
    else fail(context, request, 437);
    return;
  }
  if (message.has(Attribute.lifetime) && message.get(Attribute.lifetime) === undefined) {
    return fail(context, request, 400);
  }
  const family = message.get(Attribute.requestedAddressFamily);
  if (message.has(Attribute.requestedAddressFamily) && (family === undefined || !allocation.hasFamily(family))) {
    return fail(context, request, 443);
  }
  const seconds = message.get(Attribute.lifetime);
  if (seconds === 0) {
    succeed(context, request, (writer) => writer.add(Attribute.lifetime, 0));
    if (family !== undefined && allocation.relays.size > 1) allocation.removeRelay(family);
    else endAllocation(context, allocation, 'deleted by its client');
    return;
  }
  const lifetimeMs = grantedMs(context, allocation, seconds);
  extend(context, allocation, lifetimeMs);
  succeed(context, request, (writer) => writer.add(Attribute.lifetime, Math.floor(lifetimeMs / 1000)));
}

function moveHere(context: TurnContext, request: TurnRequest, ticket: Uint8Array): void {
  const { message, listener, from, proof } = request;
  if (!context.options.mobility) return fail(context, request, 405);
  const moving = context.allocations.ofTicket(ticket);
  if (moving === undefined) return fail(context, request, 437);
  const owner = moving.proof;
  if (owner?.user !== proof?.user || owner?.realm !== proof?.realm) return fail(context, request, 441);
  const seconds = message.get(Attribute.lifetime);
  if (seconds === 0) {
    succeed(context, request, (writer) => writer.add(Attribute.lifetime, 0));
    endAllocation(context, moving, 'deleted by its client');
    return;
  }
  const [oldListener, oldClient] = [moving.listener, moving.client];
  context.allocations.move(moving, listener, from);
  if (oldListener.isStream) oldListener.disconnect(oldClient);
  const lifetimeMs = grantedMs(context, moving, seconds);
  extend(context, moving, lifetimeMs);
  const next = newTicket(context);
  context.allocations.setTicket(moving, next);
  context.logger.info(`session ${moving.facts.id}: moved`, { from: oldClient.toString(), to: from.toString() });
  succeed(context, request, (writer) =>
    writer
      .add(Attribute.xorMappedAddress, from)
      .add(Attribute.lifetime, Math.floor(lifetimeMs / 1000))
      .add(Attribute.mobilityTicket, next),
  );
}
