import { type Family, systemClock, systemRandom } from '@atoll/base';
import { type DatagramSocket, openDatagramSocket } from '@atoll/udp';
import { qualityKey } from './core/quality-packet.js';
import { QualityResponder } from './core/quality-responder.js';

const BUFFER_BYTES = 4 * 1024 * 1024;

/** A responder of the quality test on UDP, both families where there are two. */
export interface RunningResponder {
  readonly port: number;
  close(): Promise<void>;
}

/** Answers quality tests of those who know the token, until it is closed. */
export async function serveQuality(port: number, token: string): Promise<RunningResponder> {
  const responder = new QualityResponder({ clock: systemClock, random: systemRandom }, qualityKey(token));
  const open = (family: Family, at: number): Promise<DatagramSocket> => {
    const opening = openDatagramSocket(
      { family, port: at, receiveBufferBytes: BUFFER_BYTES, sendBufferBytes: BUFFER_BYTES },
      {
        receive(bytes, from) {
          const answer = responder.receive(bytes, from);
          if (answer !== undefined) void opening.then((socket) => socket.send(answer, from));
        },
      },
    );
    return opening;
  };
  const ipv4 = await open(4, port);
  // A machine without IPv6 serves the other family only.
  const ipv6 = await open(6, ipv4.local.port).catch(() => undefined);
  return {
    port: ipv4.local.port,
    async close() {
      await Promise.all([ipv4.close(), ipv6?.close()]);
    },
  };
}
