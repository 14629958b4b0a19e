/** What has to be taken down when the process ends, however it ends. Newest first. */
const pending = new Set<() => void>();
let isHooked = false;

/** Registers a synchronous clean-up; the returned function runs it now and forgets it. */
export function onProcessEnd(clean: () => void): () => void {
  hook();
  pending.add(clean);
  return () => {
    if (pending.delete(clean)) clean();
  };
}

function cleanAll(): void {
  for (const clean of [...pending].reverse()) {
    pending.delete(clean);
    try {
      clean();
    } catch {
      // The others still have to be taken down.
    }
  }
}

function hook(): void {
  if (isHooked) return;
  isHooked = true;
  process.on('exit', cleanAll);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      cleanAll();
      process.kill(process.pid, signal);
    });
  }
}
