import { AtollError, type Endpoint, systemRandom } from '@atoll/base';
import { Attribute, decodeMessage, longTermKey, MessageWriter, Method, StunMessage } from '@atoll/stun';
import { openDatagramSocket } from '@atoll/udp';

const TRANSPORT_UDP = 17;
const RETRY_MS = 250;

/**
 * Makes an allocation on a server over UDP, as a client would, and gives it back. Fails with `TURN_NO_ANSWER` or
 * `TURN_PROBE_REFUSED`.
 */
export async function probeTurn(
  server: Endpoint,
  { user, password, realm }: { readonly user: string; readonly password: string; readonly realm: string },
  limitMs: number,
): Promise<void> {
  let answer: (message: StunMessage) => void = () => {};
  await using socket = await openDatagramSocket(
    { family: server.family, address: server.host, port: 0 },
    {
      receive(bytes) {
        const message = decodeMessage(Buffer.from(bytes));
        if (message instanceof StunMessage) answer(message);
      },
    },
  );
  const end = performance.now() + limitMs;
  const key = longTermKey(user, realm, password);
  let nonce: string | undefined;
  const ask = async (method: number, fill: (writer: MessageWriter) => void): Promise<StunMessage> => {
    const transactionId = systemRandom.bytes(12);
    const writer = new MessageWriter(method, 'request', transactionId);
    fill(writer);
    if (nonce !== undefined) {
      writer.add(Attribute.username, user).add(Attribute.realm, realm).add(Attribute.nonce, nonce).addIntegrity(key);
    }
    const bytes = writer.finish();
    const received = new Promise<StunMessage>((resolve) => {
      answer = (message) => {
        if (message.transactionId.equals(transactionId)) resolve(message);
      };
    });
    while (performance.now() < end) {
      socket.send(bytes, server);
      const late = new Promise<undefined>((resolve) => setTimeout(resolve, RETRY_MS, undefined));
      const message = await Promise.race([received, late]);
      if (message !== undefined) return message;
    }
    throw new AtollError('TURN_NO_ANSWER', `The TURN server at ${server} does not answer.`);
  };
  const allocate = (): Promise<StunMessage> =>
    ask(Method.allocate, (writer) => writer.add(Attribute.requestedTransport, TRANSPORT_UDP));
  const challenge = await allocate();
  nonce = challenge.get(Attribute.nonce);
  const made = await allocate();
  if (made.class !== 'success') {
    const code = made.get(Attribute.errorCode)?.code ?? 0;
    throw new AtollError('TURN_PROBE_REFUSED', `The TURN server at ${server} gives no allocation: error ${code}.`);
  }
  await ask(Method.refresh, (writer) => writer.add(Attribute.lifetime, 0));
}
