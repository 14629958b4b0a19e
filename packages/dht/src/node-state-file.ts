import { open, readFile, rename } from 'node:fs/promises';
import { errorCode, errorMessage, type Logger, silentLogger, systemClock } from '@atoll/base';
import type { DhtCore } from './core/dht-core.js';
import { decodeState, encodeState, type NodeState } from './wire/state-file.js';

/** What a node keeps between runs, and the ports it had (protocol/dht.md 22). */
export class NodeStateFile {
  readonly state: NodeState | undefined;
  readonly ports: { readonly ipv4: number | undefined; readonly ipv6: number | undefined };
  private readonly path: string;
  private readonly logger: Logger;
  private saving: Promise<void> = Promise.resolve();

  private constructor(path: string, state: NodeState | undefined, ports: NodeStateFile['ports'], logger: Logger) {
    this.path = path;
    this.state = state;
    this.ports = ports;
    this.logger = logger;
  }

  /** Reads both files; what is missing or damaged is left out with a warning. */
  static async read(path: string, logger: Logger = silentLogger): Promise<NodeStateFile> {
    const bytes = await readOptional(path, logger);
    const state = bytes === undefined ? undefined : decodeState(bytes);
    if (bytes !== undefined && state === undefined) logger.warn(`${path} is no node state and is not used.`);
    const lines = (await readOptional(portPath(path), logger))?.toString().split('\n') ?? [];
    const port = (line: string | undefined): number | undefined => {
      const number = Number(line);
      return line !== undefined && number > 0 && number <= 65_535 ? number : undefined;
    };
    return new NodeStateFile(path, state, { ipv4: port(lines[0]), ipv6: port(lines[1]) }, logger);
  }

  /** Gives a new core the nodes and values of the last run. */
  restore(core: DhtCore): void {
    const nowMs = systemClock.nowMs();
    const nowUnixMs = systemClock.unixMs();
    for (const { id, endpoint } of this.state?.nodes ?? []) core.insertNode(id, endpoint);
    for (const saved of this.state?.values ?? []) {
      const life = core.types.of(saved.value).expirationMs;
      const createdUnixMs = Math.min(saved.createdUnixMs ?? nowUnixMs, nowUnixMs);
      const expiresUnixMs = Math.min(saved.expiresUnixMs ?? Number.POSITIVE_INFINITY, createdUnixMs + life);
      if (expiresUnixMs <= nowUnixMs) continue;
      core.storage.store(
        saved.key,
        saved.value,
        nowMs - (nowUnixMs - createdUnixMs),
        saved.storedBy,
        nowMs + (expiresUnixMs - nowUnixMs),
      );
    }
  }

  /** Writes both files, each whole or not at all. One writing at a time. */
  save(core: DhtCore, ports: { readonly ipv4: number; readonly ipv6: number }): Promise<void> {
    this.saving = this.saving.then(() => this.write(core, ports));
    return this.saving;
  }

  private async write(core: DhtCore, ports: { readonly ipv4: number; readonly ipv6: number }): Promise<void> {
    const nowMs = systemClock.nowMs();
    const nowUnixMs = systemClock.unixMs();
    const values = [...core.storage.all()].map((stored) => ({
      key: stored.key,
      value: stored.value,
      createdUnixMs: nowUnixMs + (stored.createdMs - nowMs),
      expiresUnixMs: nowUnixMs + (stored.expiresMs - nowMs),
      storedBy: stored.from,
    }));
    try {
      await writeWhole(this.path, encodeState({ id: core.id, nodes: core.exportNodes(), values }));
      await writeWhole(portPath(this.path), Buffer.from(`${ports.ipv4}\n${ports.ipv6}\n`));
    } catch (error) {
      this.logger.warn(`The node state could not be saved to ${this.path}: ${errorMessage(error)}`);
    }
  }
}

function portPath(path: string): string {
  return `${path}_port.txt`;
}

async function readOptional(path: string, logger: Logger): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') logger.warn(`${path} cannot be read: ${errorMessage(error)}`);
    return undefined;
  }
}

async function writeWhole(path: string, bytes: Buffer): Promise<void> {
  const draft = `${path}.${process.pid}.new`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
}
