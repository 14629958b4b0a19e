import { Endpoint } from '@atoll/base';
import { Attribute, MessageWriter } from '@atoll/stun';
import { fail, finishAnswer } from '../answer.js';
import type { TurnContext, TurnRequest } from '../context.js';

/**
 * Binding (RFC 8489 section 3), with NAT behavior discovery (RFC 5780 section 6.1) and answers to RFC 3489.
 *
 * An answer is as short as the client can use: who knows the magic cookie gets XOR-MAPPED-ADDRESS, and what RFC 5780
 * adds only where a second address is served.
 */
export function handleBinding(context: TurnContext, request: TurnRequest): void {
  const { message, listener, from, proof } = request;
  const { options, natDiscovery, counters } = context;
  counters.bindingRequests++;
  const refuse = (code: number): void => {
    counters.bindingErrors++;
    fail(context, request, code);
  };
  if (message.isClassic && !options.classicStun) return;
  const change = message.get(Attribute.changeRequest);
  if (message.has(Attribute.changeRequest) && change === undefined) return refuse(400);
  const responsePort = message.get(Attribute.responsePort);
  const padding = message.get(Attribute.padding);
  if (message.has(Attribute.responsePort) && (responsePort === undefined || padding !== undefined)) return refuse(400);
  const other = options.natDiscovery ? natDiscovery.otherAddress(listener) : undefined;
  const isDiscovery = change !== undefined || responsePort !== undefined || padding !== undefined;
  const answerFrom =
    change === undefined ? listener : natDiscovery.other(listener, change.changesAddress, change.changesPort);
  if (isDiscovery && other === undefined && !(change && !change.changesAddress && !change.changesPort)) {
    return message.isClassic ? undefined : refuse(420);
  }
  if (answerFrom === undefined) return;
  const writer = MessageWriter.answer(message, 'success');
  if (message.isClassic) writer.add(Attribute.mappedAddress, from);
  else {
    writer.add(Attribute.xorMappedAddress, from);
    if (options.classicStun && other !== undefined) writer.add(Attribute.mappedAddress, from);
  }
  if (other !== undefined) {
    writer.add(message.isClassic ? Attribute.sourceAddress : Attribute.responseOrigin, answerFrom.local);
    writer.add(message.isClassic ? Attribute.changedAddress : Attribute.otherAddress, other);
  }
  // As much as came, so that nothing is amplified.
  if (padding !== undefined) writer.add(Attribute.padding, Buffer.alloc(padding.length));
  counters.bindingResponses++;
  const to = responsePort === undefined ? from : new Endpoint(from.ip, responsePort, from.scopeId);
  answerFrom.send(finishAnswer(context, writer, message, proof), to);
}
