import { readdir, readFile, readlink } from 'node:fs/promises';
import type { Check } from '../check.js';
import { type Verdict, verdict } from '../finding.js';
import type { ServicePort } from '../target.js';

const TCP_LISTEN = '0A';

/** One socket that waits for packets or connections. */
export interface BoundPort {
  readonly transport: 'UDP' | 'TCP';
  readonly port: number;
  /** What identifies the socket among the descriptors of its process. */
  readonly inode: string;
}

/** Reads `/proc/net/udp`, `tcp` and their IPv6 forms: the bound ports in it. */
export function readBoundPorts(text: string, transport: 'UDP' | 'TCP'): BoundPort[] {
  const bound: BoundPort[] = [];
  for (const line of text.split('\n').slice(1)) {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    const port = Number.parseInt(local.split(':')[1] ?? '', 16);
    if (Number.isNaN(port) || (transport === 'TCP' && state !== TCP_LISTEN)) continue;
    bound.push({ transport, port, inode });
  }
  return bound;
}

/** Judges which of a hub's ports somebody else has. `ownerOf` tells the program of a socket. */
export function judgePorts(
  wanted: readonly ServicePort[],
  bound: readonly BoundPort[],
  ownerOf: (inode: string) => { readonly pid: number; readonly program: string } | undefined,
  hubPid: number | undefined,
): Verdict[] {
  return wanted.flatMap(({ service, setting, transport, port }) => {
    const holders = bound.filter((each) => each.transport === transport && each.port === port);
    const owners = holders.map(({ inode }) => ownerOf(inode));
    const isOurs = owners.some((owner) => owner !== undefined && owner.pid === hubPid);
    const [other] = owners;
    if (holders.length === 0 || isOurs || (hubPid !== undefined && other === undefined)) return [];
    const program = other === undefined ? 'another program' : `${other.program} (process ${other.pid})`;
    return [verdict('fault', 'port-taken', { service, setting, transport, port, program })];
  });
}

/** On the hub's own host: whether it runs, and who has its ports when it does not. */
export const checkPorts: Check = async ({ local }) => {
  if (local === undefined) return [];
  const { pid, statePath, ports } = local;
  const found = pid === undefined ? [verdict('fault', 'hub-not-running', { state: statePath })] : [];
  const tables = await Promise.all(
    (['udp', 'udp6', 'tcp', 'tcp6'] as const).map(async (name) =>
      readBoundPorts(
        await readFile(`/proc/net/${name}`, 'utf8').catch(() => ''),
        name.startsWith('udp') ? 'UDP' : 'TCP',
      ),
    ),
  );
  const bound = tables.flat().filter(({ port }) => ports.some((each) => each.port === port));
  const owners = await ownersOf(new Set(bound.map(({ inode }) => inode)));
  return [...found, ...judgePorts(ports, bound, (inode) => owners.get(inode), pid)];
};

/** Processes that hold sockets; those of other users are seen by root only. */
async function ownersOf(inodes: ReadonlySet<string>): Promise<Map<string, { pid: number; program: string }>> {
  const owners = new Map<string, { pid: number; program: string }>();
  if (inodes.size === 0) return owners;
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    const folder = `/proc/${pid}/fd`;
    for (const descriptor of await readdir(folder).catch(() => [])) {
      const inode = /^socket:\[(\d+)\]$/.exec(await readlink(`${folder}/${descriptor}`).catch(() => ''))?.[1];
      if (inode === undefined || !inodes.has(inode) || owners.has(inode)) continue;
      const program = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
      owners.set(inode, { pid: Number(pid), program });
    }
  }
  return owners;
}
