import { Endpoint, systemRandom } from '@atoll/base';
import { Attribute, decodeMessage, MessageWriter, Method, StunMessage } from '@atoll/stun';
import { type DatagramSocket, openDatagramSocket } from '@atoll/udp';
import type { Check } from '../check.js';
import { type Verdict, verdict } from '../finding.js';
import { ConnectedUdp } from '../probes/connected-udp.js';

const RETRY_MS = 250;

/** What the three tests of mapping behavior showed (RFC 5780 section 4.3). */
export interface NatFacts {
  readonly host: string;
  /** This socket's own address, and how the server saw it. */
  readonly local: string;
  readonly mapped: string | undefined;
  /** How the server's other address saw it (test II), and its other address and port (test III). */
  readonly fromOtherAddress?: string | undefined;
  readonly fromOtherPort?: string | undefined;
  readonly hasOther: boolean;
}

/** Judges the address translation in front of this machine. */
export function judgeNat(facts: NatFacts): readonly Verdict[] {
  const { host, local, mapped, fromOtherAddress, fromOtherPort, hasOther } = facts;
  if (mapped === undefined) return [];
  if (mapped === local) return [verdict('good', 'nat-none', { host })];
  if (!hasOther || fromOtherAddress === undefined) {
    return [verdict('unknown', 'nat-unknown', { host, address: mapped })];
  }
  if (fromOtherAddress === mapped) {
    return [verdict('good', 'nat-easy', { address: mapped, mapping: 'endpoint-independent' })];
  }
  const mapping = fromOtherPort === fromOtherAddress ? 'address-dependent' : 'address-and-port-dependent';
  return [verdict('warning', 'nat-hard', { address: mapped, mapping })];
}

/** NAT type, asked of the TURN server or of a STUN server that was named (RFC 5780). */
export const checkNat: Check = async ({ host, turn }, { limitMs, stun }) => {
  const server = stun ?? (turn === undefined ? undefined : { host, port: turn.port });
  const place = server === undefined ? undefined : Endpoint.from(server.host, server.port);
  if (place === undefined) return [];
  const address = await localAddressTo(place);
  if (address === undefined) return [];
  let receive: (bytes: Uint8Array) => void = () => {};
  await using socket = await openDatagramSocket(
    { family: place.family, address, port: 0 },
    { receive: (bytes) => receive(bytes) },
  );
  const ask = (to: Endpoint): Promise<StunMessage | undefined> =>
    binding(socket, to, limitMs, (hear) => {
      receive = hear;
    });
  const first = await ask(place);
  const other = first?.get(Attribute.otherAddress);
  const second = other === undefined ? undefined : await ask(other.withPort(place.port));
  const third = other === undefined ? undefined : await ask(other);
  return judgeNat({
    host: place.host,
    local: String(socket.local),
    mapped: mappedIn(first),
    fromOtherAddress: mappedIn(second),
    fromOtherPort: mappedIn(third),
    hasOther: other !== undefined,
  });
};

function mappedIn(message: StunMessage | undefined): string | undefined {
  const mapped = message?.get(Attribute.xorMappedAddress);
  return mapped === undefined ? undefined : String(mapped);
}

/** The address of this machine that the system uses towards a place. */
async function localAddressTo(place: Endpoint): Promise<string | undefined> {
  const socket = await ConnectedUdp.open(place.host, place.port);
  const address = socket?.localAddress;
  socket?.close();
  return address;
}

function binding(
  socket: DatagramSocket,
  to: Endpoint,
  limitMs: number,
  hearWith: (hear: (bytes: Uint8Array) => void) => void,
): Promise<StunMessage | undefined> {
  const id = systemRandom.bytes(12);
  const bytes = Buffer.from(new MessageWriter(Method.binding, 'request', id).finish());
  return new Promise((resolve) => {
    const end = (message: StunMessage | undefined): void => {
      clearInterval(again);
      clearTimeout(late);
      resolve(message);
    };
    const again = setInterval(() => socket.send(bytes, to), RETRY_MS);
    const late = setTimeout(end, limitMs, undefined);
    hearWith((answer) => {
      const message = decodeMessage(Buffer.from(answer));
      if (message instanceof StunMessage && message.transactionId.equals(id)) end(message);
    });
    socket.send(bytes, to);
  });
}
