import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Host, ManagedProcess } from '@atoll/testkit';

export const ATOLL = fileURLToPath(new URL('../../../packages/cli/bin/atoll.mjs', import.meta.url));

/** A folder for one test, taken away with it. */
export class Scratch {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(): Promise<Scratch> {
    return new Scratch(await mkdtemp(join(tmpdir(), 'atoll-turn-')));
  }

  file(name: string): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** `atoll turn` on a host, serving. */
export async function startTurn(host: Host, scratch: Scratch, ...args: string[]): Promise<ManagedProcess> {
  const server = host.spawn(process.execPath, [ATOLL, 'turn', '-n', ...args], {
    LC_ALL: 'C',
    XDG_STATE_HOME: scratch.path,
  });
  await server.waitForOutput(/serves TURN in the realm/, 60_000);
  return server;
}

/** What one run of coturn's `turnutils_uclient` came to. */
export interface UclientResult {
  readonly exitCode: number | null;
  readonly sent: number;
  readonly received: number;
  readonly output: string;
}

/** Runs coturn's own client on a host. */
export async function uclient(host: Host, ...args: string[]): Promise<UclientResult> {
  const client = host.spawn('turnutils_uclient', args);
  const exitCode = await client.ended(120_000);
  const last = [...client.output.matchAll(/tot_send_msgs=(\d+), tot_recv_msgs=(\d+)/g)].at(-1);
  return {
    exitCode,
    sent: Number(last?.[1] ?? 0),
    received: Number(last?.[2] ?? 0),
    output: client.output,
  };
}
