import { Attribute } from '@atoll/stun';
import { fail, peersOf, succeed } from '../answer.js';
import type { TurnContext, TurnRequest } from '../context.js';
import { LIMITS } from '../limits.js';

/** Connect (RFC 6062 section 5.2): answered when the peer's connection stands, or does not come. */
export function handleConnect(context: TurnContext, request: TurnRequest): void {
  const { message, allocation } = request;
  const tcp = allocation?.tcp;
  if (allocation === undefined || tcp === undefined) return fail(context, request, 437);
  const [peer] = peersOf(message, 1) ?? [];
  if (peer === undefined) return fail(context, request, 400);
  if (!allocation.hasFamily(peer.family)) return fail(context, request, 443);
  if (!context.peerRules.allows(peer)) return fail(context, request, 403);
  if (tcp.isConnectedTo(peer)) return fail(context, request, 446);
  if (tcp.count >= LIMITS.connectionsPerAllocation) return fail(context, request, 508);
  tcp.connect(peer, (id) => {
    if (context.allocations.find(allocation.listener, allocation.client) !== allocation) return;
    if (id === undefined) fail(context, request, 447);
    else succeed(context, request, (writer) => writer.add(Attribute.connectionId, id));
  });
}

/** ConnectionBind (RFC 6062 section 5.4): this connection carries the peer's bytes from the answer on. */
export function handleConnectionBind(context: TurnContext, request: TurnRequest): void {
  const { message, listener, from, allocation, proof } = request;
  const id = message.get(Attribute.connectionId);
  if (id === undefined || !listener.isStream || allocation !== undefined) return fail(context, request, 400);
  const tcp = context.connectionIds.ownerOf(id);
  const owner = tcp?.allocation.proof;
  if (tcp === undefined) return fail(context, request, 400);
  if (owner?.user !== proof?.user || owner?.realm !== proof?.realm) return fail(context, request, 441);
  const isBound = tcp.bind(id, listener, from, () => {
    succeed(context, request, (writer) => writer.add(Attribute.connectionId, id));
  });
  if (!isBound) fail(context, request, 400);
}
