import { createSocket } from 'node:dgram';
import type { Endpoint } from '@atoll/base';
import { nativeDtls } from '@atoll/dtls';
import type { Check } from '../check.js';
import { type Verdict, verdict } from '../finding.js';
import { credentialsOf, TurnClient, type TurnCredential } from '../probes/turn-client.js';
import { openTurnLink, type TurnTransport } from '../probes/turn-link.js';
import { bracketed, type TurnTarget } from '../target.js';

const UNAUTHORIZED = 401;
const KNOCK_EVERY_MS = 200;

/** What came of one way to the TURN server with one credential. */
interface TurnFacts {
  readonly transport: TurnTransport;
  readonly host: string;
  readonly port: number;
  readonly isAssumed: boolean;
  readonly credential: TurnCredential | undefined;
  /** Code of the answer to Allocate, 0 for success. */
  readonly allocation: number | 'refused' | 'silent';
  readonly relay: string;
  /** A datagram came through the relay; undefined when the server does not let this address be a peer. */
  readonly relays: boolean | undefined;
}

/** Judges one way to the TURN server. */
export function judgeTurn({ transport, host, port, isAssumed, credential, allocation, ...rest }: TurnFacts): Verdict {
  const facts = { transport, host, port, address: `${bracketed(host)}:${port}` };
  const severity = isAssumed ? 'warning' : 'fault';
  if (allocation === 'refused') return verdict(severity, 'turn-closed', facts);
  if (allocation === 'silent') return verdict(severity, 'turn-silent', facts);
  if (credential === undefined) {
    if (allocation === UNAUTHORIZED) return verdict('unknown', 'turn-unknown', facts);
  } else if (allocation === UNAUTHORIZED) {
    return verdict('fault', 'turn-password-wrong', { ...facts, user: credential.user });
  }
  if (allocation !== 0) return verdict('fault', 'turn-refused', { ...facts, code: allocation });
  const { relay, relays } = rest;
  if (relays === false) return verdict('fault', 'turn-relay-closed', { ...facts, relay });
  return verdict('good', 'turn-good', { ...facts, credential: credential?.kind ?? 'none' });
}

/** TURN over every transport with every credential: an allocation, and a datagram through its relay. */
export const checkTurn: Check = async ({ host, turn, isAssumed }, { limitMs, unixMs }) => {
  if (turn === undefined) return [];
  const known = credentialsOf(turn, unixMs());
  const credentials = known.length > 0 ? known : [undefined];
  const ways: [TurnTransport, number][] = [
    ['UDP', turn.port],
    ['TCP', turn.port],
  ];
  if (turn.tlsPort !== undefined) {
    ways.push(['TLS', turn.tlsPort]);
    if (nativeDtls.available) ways.push(['DTLS', turn.tlsPort]);
  }
  const facts = await Promise.all(
    ways.flatMap(([transport, port]) =>
      credentials.map(async (credential) => {
        const tried = await tryTurn({ transport, host, port, turn, credential, limitMs });
        return { transport, host, port, isAssumed, credential, ...tried };
      }),
    ),
  );
  return facts.map(judgeTurn);
};

async function tryTurn(way: {
  transport: TurnTransport;
  host: string;
  port: number;
  turn: TurnTarget;
  credential: TurnCredential | undefined;
  limitMs: number;
}): Promise<Pick<TurnFacts, 'allocation' | 'relay' | 'relays'>> {
  const { transport, host, port, turn, credential, limitMs } = way;
  const link = await openTurnLink(transport, host, port, limitMs);
  if (typeof link === 'string') return { allocation: link, relay: '', relays: undefined };
  const client = new TurnClient(link, credential, turn.realm);
  try {
    const allocation = await client.allocate(limitMs);
    const { mapped, relayed } = client;
    if (allocation !== 0 || mapped === undefined || relayed === undefined) {
      return { allocation, relay: '', relays: undefined };
    }
    const isPermitted = (await client.permit(mapped, limitMs)) === 0;
    return {
      allocation,
      relay: String(relayed),
      relays: isPermitted ? await knock(client, relayed, limitMs) : undefined,
    };
  } finally {
    await client.close();
  }
}

/** Sends to the relay from outside until it hands something on. */
function knock(client: TurnClient, relayed: Endpoint, limitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(relayed.family === 6 ? 'udp6' : 'udp4');
    const end = (relays: boolean): void => {
      clearInterval(again);
      clearTimeout(late);
      client.onData = () => {};
      socket.close();
      resolve(relays);
    };
    const send = (): void => socket.send('atoll doctor', relayed.port, relayed.host, () => {});
    const again = setInterval(send, KNOCK_EVERY_MS);
    const late = setTimeout(() => end(false), limitMs);
    client.onData = () => end(true);
    socket.on('error', () => {});
    send();
  });
}
