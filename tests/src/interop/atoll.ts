import { fileURLToPath } from 'node:url';
import { type DhtnodeOptions, DhtnodeProcess, type Host, type ManagedProcess } from '@atoll/testkit';

/** The command of this checkout. */
export const ATOLL = fileURLToPath(new URL('../../../packages/cli/bin/atoll.mjs', import.meta.url));

/** The two programs that take the options and commands of `dhtnode`. */
export type Program = 'dhtnode' | 'atoll';

/** Both ways round: what one does with the other. */
export const PAIRS: readonly (readonly [Program, Program])[] = [
  ['dhtnode', 'atoll'],
  ['atoll', 'dhtnode'],
];

/** Starts Debian's dhtnode or `atoll dhtnode` on a host. */
export function startNode(program: Program, host: Host, options: DhtnodeOptions = {}): Promise<DhtnodeProcess> {
  const command = program === 'atoll' ? [process.execPath, ATOLL, 'dhtnode'] : ['dhtnode'];
  return DhtnodeProcess.start(host, { ...options, command });
}

/** `atoll up` on a host, ready. */
export async function startHub(host: Host, state: string, args: readonly string[] = []): Promise<ManagedProcess> {
  const hub = host.spawn(process.execPath, [ATOLL, 'up', '--state', state, ...args], { LC_ALL: 'C' });
  await hub.waitForOutput(new RegExp(`Bootstrap \\(DHT settings\\): +${host.address}:4222`), 30_000);
  return hub;
}
