import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread, Worker, workerData } from 'node:worker_threads';

/** One input may take so long, ms; then it counts as a hang. Generous, for a machine that is busy with other things. */
const HANG_MS = 20_000;
const LOOK_EVERY_MS = 1000;
const MAX_INPUT_BYTES = 65_536;
/** Words before the input in the shared memory: number of inputs begun, length of the present one. */
const HEAD_BYTES = 8;

interface Shared {
  readonly memory: SharedArrayBuffer;
  readonly path: string;
}

/**
 * Watches from another thread that inputs do not take for ever: a loop without end cannot be interrupted from within.
 * When one does, it writes the input to a file and ends the process.
 */
export class Watchdog {
  private readonly memory = new SharedArrayBuffer(HEAD_BYTES + MAX_INPUT_BYTES);
  private readonly head = new Uint32Array(this.memory, 0, 2);
  private readonly input = new Uint8Array(this.memory, HEAD_BYTES);
  private readonly worker: Worker;
  private begun = 0;

  /** `path`: where an input that hangs is written as hex. */
  constructor(path: string) {
    const workerData: Shared = { memory: this.memory, path };
    this.worker = new Worker(fileURLToPath(import.meta.url), { workerData });
    this.worker.unref();
  }

  /** The next input begins. */
  begin(input: Buffer): void {
    this.input.set(input.length > MAX_INPUT_BYTES ? input.subarray(0, MAX_INPUT_BYTES) : input);
    this.head[1] = input.length;
    Atomics.store(this.head, 0, ++this.begun);
  }

  /** Nothing is fed any more. */
  end(): Promise<number> {
    return this.worker.terminate();
  }
}

function watch({ memory, path }: Shared): void {
  const head = new Uint32Array(memory, 0, 2);
  let seen = 0;
  let seenMs = performance.now();
  setInterval(() => {
    const begun = Atomics.load(head, 0);
    const nowMs = performance.now();
    if (begun !== seen || begun === 0) {
      seen = begun;
      seenMs = nowMs;
    } else if (nowMs - seenMs > HANG_MS) {
      const input = Buffer.from(memory, HEAD_BYTES, Math.min(head[1] ?? 0, MAX_INPUT_BYTES));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, `${input.toString('hex')}\n`);
      process.stderr.write(`HANG: an input took longer than ${HANG_MS / 1000} s; it is in ${path}\n`);
      process.kill(process.pid, 'SIGKILL');
    }
  }, LOOK_EVERY_MS);
}

if (!isMainThread) watch(workerData as Shared);
