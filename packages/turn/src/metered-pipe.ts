import type { Socket } from 'node:net';

/** What waits for a receiver when the sender has closed is given up after so long without progress, ms. */
const FLUSH_MS = 30_000;

/**
 * Carries what `from` sends to `to`, beginning with `first`: no faster than `to` takes it, and after each piece as much
 * later as `waitAfter` says, ms. When `from` closes, `to` gets the rest and closes as well.
 */
export function pipeMetered(from: Socket, to: Socket, waitAfter: (bytes: number) => number, first?: Buffer): void {
  let isTimed = false;
  let isFull = false;
  let timer: NodeJS.Timeout | undefined;
  const resume = (): void => {
    if (!isTimed && !isFull) from.resume();
  };
  const carry = (chunk: Buffer): void => {
    if (!to.writable) return;
    isFull = !to.write(chunk);
    const waitMs = waitAfter(chunk.length);
    isTimed = waitMs > 0;
    if (isTimed) {
      timer = setTimeout(() => {
        isTimed = false;
        resume();
      }, waitMs);
    }
    if (isTimed || isFull) from.pause();
  };
  from.on('data', carry);
  to.on('drain', () => {
    isFull = false;
    resume();
  });
  from.once('end', () => to.end());
  from.once('close', (hadError) => {
    clearTimeout(timer);
    if (hadError) to.destroy();
    else to.setTimeout(FLUSH_MS, () => to.destroy()).destroySoon();
  });
  if (first !== undefined && first.length > 0) carry(first);
  resume();
}
