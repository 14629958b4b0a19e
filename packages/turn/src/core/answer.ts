import type { Endpoint } from '@atoll/base';
import { Attribute, MessageWriter, type StunMessage } from '@atoll/stun';
import type { Proof } from './allocation.js';
import type { TurnContext, TurnRequest } from './context.js';

/** Sentences of the error codes, as the RFCs have them. */
const REASONS: Readonly<Record<number, string>> = {
  300: 'Try Alternate',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  405: 'Mobility Forbidden',
  420: 'Unknown Attribute',
  437: 'Allocation Mismatch',
  438: 'Stale Nonce',
  440: 'Address Family not Supported',
  441: 'Wrong Credentials',
  442: 'Unsupported Transport Protocol',
  443: 'Peer Address Family Mismatch',
  446: 'Connection Already Exists',
  447: 'Connection Timeout or Failure',
  486: 'Allocation Quota Reached',
  500: 'Server Error',
  508: 'Insufficient Capacity',
};

export function reasonOf(code: number): string {
  return REASONS[code] ?? 'Error';
}

/** Adds what every answer ends with: SOFTWARE, the integrity of the proof, FINGERPRINT. */
export function finishAnswer(
  context: TurnContext,
  writer: MessageWriter,
  message: StunMessage,
  proof: Proof | undefined,
): Buffer {
  const { options } = context;
  if (proof !== undefined) {
    if (options.software !== undefined) writer.add(Attribute.software, options.software);
    if (proof.hash === 'sha256') writer.addIntegritySha256(proof.key);
    else writer.addIntegrity(proof.key);
  }
  return writer.finish(options.fingerprint || message.has(Attribute.fingerprint));
}

/** Answers a request with success; `fill` adds the attributes. Returns what was sent. */
export function succeed(
  context: TurnContext,
  request: TurnRequest,
  fill: (writer: MessageWriter) => void = () => {},
): Buffer {
  const writer = MessageWriter.answer(request.message, 'success');
  fill(writer);
  const bytes = finishAnswer(context, writer, request.message, request.proof);
  request.listener.send(bytes, request.from);
  return bytes;
}

/** Answers a request with an error; `fill` adds further attributes. */
export function fail(
  context: TurnContext,
  request: TurnRequest,
  code: number,
  fill: (writer: MessageWriter) => void = () => {},
): void {
  const writer = MessageWriter.answer(request.message, 'error');
  writer.add(Attribute.errorCode, { code, reason: reasonOf(code) });
  fill(writer);
  request.listener.send(finishAnswer(context, writer, request.message, request.proof), request.from);
}

/** The peer addresses of a request; undefined when there is none, one is malformed or they are too many. */
export function peersOf(message: StunMessage, most: number): Endpoint[] | undefined {
  const peers = message.all(Attribute.xorPeerAddress);
  return peers === undefined || peers.length === 0 || peers.length > most ? undefined : peers;
}
