import { systemRandom } from '@atoll/base';
import { decodeMessage, MessageWriter, Method, StunMessage } from '@atoll/stun';
import { ConnectedUdp } from './connected-udp.js';

/** An attribute that no server knows and every server must read over (RFC 8489 section 14: 0x8000 and above). */
const FILLER = 0xff7f;
/** Header of the message, and of the attribute. */
const HEADERS_BYTES = 24;

/**
 * Sends one binding request of each size (UDP payload, bytes, multiples of 4; at least 24) with a pause between them,
 * and says how long each answer took, ms; undefined where none came within `waitMs` after the last one.
 */
export async function stunBurst(
  host: string,
  port: number,
  { sizes, gapMs, waitMs }: { sizes: readonly number[]; gapMs: number; waitMs: number },
): Promise<(number | undefined)[]> {
  const times: (number | undefined)[] = sizes.map(() => undefined);
  const socket = await ConnectedUdp.open(host, port);
  if (socket === undefined) return times;
  using open = socket;
  const run = systemRandom.bytes(8);
  const sentMs: number[] = [];
  // Awaited here, so that the socket stays open until then.
  return await new Promise((resolve) => {
    let answers = 0;
    let late: NodeJS.Timeout | undefined;
    open.onMessage = (bytes) => {
      const message = decodeMessage(bytes);
      if (!(message instanceof StunMessage) || !message.transactionId.subarray(0, 8).equals(run)) return;
      const index = message.transactionId.readUInt32BE(8);
      const began = sentMs[index];
      if (began === undefined || times[index] !== undefined) return;
      times[index] = performance.now() - began;
      if (++answers < sizes.length) return;
      clearTimeout(late);
      resolve(times);
    };
    const sendNext = (): void => {
      const size = sizes[sentMs.length];
      if (size === undefined) {
        clearInterval(pace);
        late = setTimeout(resolve, waitMs, times);
        return;
      }
      const id = Buffer.concat([run, Buffer.alloc(4)]);
      id.writeUInt32BE(sentMs.length, 8);
      const writer = new MessageWriter(Method.binding, 'request', id);
      sentMs.push(performance.now());
      open.send(writer.addRaw(FILLER, Buffer.alloc(Math.max(0, size - HEADERS_BYTES))).finish());
    };
    const pace = setInterval(sendNext, gapMs);
  });
}
