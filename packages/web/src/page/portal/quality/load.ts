import type { WayConnection } from './way-connection.js';

const MESSAGE_BYTES = 16_384;
/** What waits to be sent, at most: what both say to each other afterwards comes behind it. */
const WAITING_BYTES = 262_144;

/** Sends as much as fits for a while, and resolves to what came from the other side meanwhile, bits a second. */
export async function loadBothWays({ load }: WayConnection, durationMs: number): Promise<number> {
  const message = new Uint8Array(MESSAGE_BYTES);
  const startMs = performance.now();
  let bytes = 0;
  const count = ({ data }: MessageEvent<unknown>): void => {
    // A connection takes a while to find its speed: the second half counts.
    if (data instanceof ArrayBuffer && performance.now() - startMs > durationMs / 2) bytes += data.byteLength;
  };
  const fill = (): void => {
    while (load.readyState === 'open' && load.bufferedAmount < WAITING_BYTES) load.send(message);
  };
  load.bufferedAmountLowThreshold = WAITING_BYTES / 2;
  load.addEventListener('message', count);
  load.addEventListener('bufferedamountlow', fill);
  fill();
  await new Promise((resolve) => setTimeout(resolve, durationMs));
  load.removeEventListener('bufferedamountlow', fill);
  load.removeEventListener('message', count);
  return (8 * 1000 * bytes) / Math.max(1, performance.now() - startMs - durationMs / 2);
}
