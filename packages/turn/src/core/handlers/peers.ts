import { Attribute, MAX_OLD_CHANNEL, MIN_CHANNEL, type StunMessage } from '@atoll/stun';
import type { Allocation } from '../allocation.js';
import { fail, peersOf, succeed } from '../answer.js';
import type { TurnContext, TurnRequest } from '../context.js';
import { LIMITS } from '../limits.js';

/** CreatePermission (RFC 8656 section 10.2): all of the addresses, or none. */
export function handleCreatePermission(context: TurnContext, request: TurnRequest): void {
  const { message, allocation } = request;
  if (allocation === undefined) return fail(context, request, 437);
  const peers = peersOf(message, LIMITS.peersPerRequest);
  if (peers === undefined) return fail(context, request, 400);
  if (peers.some((peer) => !allocation.hasFamily(peer.family))) return fail(context, request, 443);
  const ips = peers.map((peer) => peer.ip);
  if (!ips.every((ip) => context.peerRules.allowsAddress(ip))) return fail(context, request, 403);
  if (allocation.permissionCount + allocation.newPermissions(ips) > LIMITS.permissionsPerAllocation) {
    return fail(context, request, 508);
  }
  for (const ip of ips) allocation.permit(ip);
  succeed(context, request);
}

/** ChannelBind (RFC 8656 section 12.2). Numbers of RFC 5766 are taken too: coturn's clients choose among them. */
export function handleChannelBind(context: TurnContext, request: TurnRequest): void {
  const { message, allocation } = request;
  if (allocation === undefined) return fail(context, request, 437);
  const number = message.get(Attribute.channelNumber);
  const peers = peersOf(message, 1);
  const [peer] = peers ?? [];
  if (number === undefined || number < MIN_CHANNEL || number > MAX_OLD_CHANNEL || peer === undefined) {
    return fail(context, request, 400);
  }
  if (allocation.tcp !== undefined) return fail(context, request, 403);
  if (!allocation.hasFamily(peer.family)) return fail(context, request, 443);
  if (!context.peerRules.allows(peer)) return fail(context, request, 403);
  const code = allocation.bind(number, peer);
  if (code === undefined) succeed(context, request);
  else fail(context, request, code);
}

/** Send indication (RFC 8656 section 11.2): never answered. */
export function handleSend(context: TurnContext, message: StunMessage, allocation: Allocation): void {
  const peer = message.get(Attribute.xorPeerAddress);
  const data = message.get(Attribute.data);
  const dontFragment = message.has(Attribute.dontFragment);
  const isSound = peer !== undefined && data !== undefined && (!dontFragment || context.relays.canForbidFragments);
  if (!isSound || context.peerRules.isOwn(peer)) {
    context.counters.droppedData++;
    return;
  }
  allocation.sendData(data as Buffer, peer, dontFragment);
}
