import { lstatSync, rmSync, writeFileSync } from 'node:fs';

/** Writes the id of this process; what is returned takes the file away again. */
export function writePidFile(path: string | undefined): () => void {
  if (path === undefined) return () => {};
  writeFileSync(path, `${process.pid}\n`);
  return () => {
    // Never a device: “pidfile=/dev/null” is how coturn's is switched off.
    if (lstatSync(path, { throwIfNoEntry: false })?.isFile() === true) rmSync(path, { force: true });
  };
}
