import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { MessageEncoder } from '@atoll/dht';
import { InfoHash } from '@atoll/identity';
import { ATOLL, MeasuredProcess } from '../measured-process.js';

/** The programs that stand beside each other: Atoll with and without its native UDP part, and OpenDHT's node. */
export type DhtProgram = 'atoll' | 'atoll-dgram' | 'dhtnode';

const PING_EVERY_MS = 3;
const START_LIMIT_MS = 30_000;

/** A running node that answers, without limits on its rate. */
export interface DhtTarget {
  readonly process: MeasuredProcess;
  readonly port: number;
  /** From its start to the first answer to a ping, ms. */
  readonly startMs: number;
}

/** Starts a node in service mode on a free port of the loopback interface and waits until it answers. */
export async function startDhtTarget(program: DhtProgram, more: readonly string[] = []): Promise<DhtTarget> {
  const port = await freePort();
  const args = ['-s', '-U', '-p', String(port), ...more];
  const socket = createSocket('udp4');
  const packet = new MessageEncoder({
    id: InfoHash.of(String(port)),
    networkId: 0,
    isClient: false,
    userAgent: 'bench',
  }).ping(1);
  const startedMs = performance.now();
  const process =
    program === 'dhtnode'
      ? new MeasuredProcess(['dhtnode', ...args])
      : new MeasuredProcess([...ATOLL, 'dhtnode', ...args], program === 'atoll' ? {} : { ATOLL_UDP: 'dgram' });
  const ping = setInterval(() => socket.send(packet, port, '127.0.0.1'), PING_EVERY_MS);
  const ended = new AbortController();
  try {
    await Promise.race([
      once(socket, 'message'),
      wait(START_LIMIT_MS, undefined, { signal: ended.signal }).then(() => {
        throw new Error(`${program} did not answer on port ${port}`);
      }),
    ]);
    return { process, port, startMs: performance.now() - startedMs };
  } catch (error) {
    await process.stop();
    throw error;
  } finally {
    ended.abort();
    clearInterval(ping);
    socket.close();
  }
}

/** A UDP port that nobody used a moment ago. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}
