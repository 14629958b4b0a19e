import { readFile, statfs } from 'node:fs/promises';
import { freemem } from 'node:os';
import type { Check } from '../check.js';
import { type Verdict, verdict } from '../finding.js';

const MB = 1024 * 1024;
/** Free disk, MB: below the first one a database can no longer be sure to grow. */
const DISK_FULL_MB = 20;
const DISK_LOW_MB = 500;
const MEMORY_LOW_MB = 64;
/** Open files and connections: Atoll itself needs some tens; each client of proxy and relay takes one or two more. */
const DESCRIPTORS_LOW = 1024;
const UNLIMITED = 'unlimited';

/** What the machine has left. */
export interface ResourceFacts {
  readonly path: string;
  readonly freeDiskBytes: number | undefined;
  readonly freeMemoryBytes: number;
  /** Soft limit of the hub's process on open files. */
  readonly descriptors: number | undefined;
}

/** Judges disk, memory and descriptors. */
export function judgeResources({ path, freeDiskBytes, freeMemoryBytes, descriptors }: ResourceFacts): Verdict[] {
  const found: Verdict[] = [];
  if (freeDiskBytes !== undefined) {
    const free = Math.floor(freeDiskBytes / MB);
    const facts = { path, free };
    if (free < DISK_FULL_MB) found.push(verdict('fault', 'disk-full', facts));
    else found.push(free < DISK_LOW_MB ? verdict('warning', 'disk-low', facts) : verdict('good', 'disk-good', facts));
  }
  const free = Math.floor(freeMemoryBytes / MB);
  found.push(
    free < MEMORY_LOW_MB ? verdict('warning', 'memory-low', { free }) : verdict('good', 'memory-good', { free }),
  );
  if (descriptors !== undefined) {
    const isLow = descriptors < DESCRIPTORS_LOW;
    const limit = Number.isFinite(descriptors) ? descriptors : UNLIMITED;
    found.push(verdict(isLow ? 'fault' : 'good', isLow ? 'descriptors-low' : 'descriptors-good', { limit }));
  }
  return found;
}

/** Disk, memory and descriptors of the hub's own host. */
export const checkResources: Check = async ({ local }) => {
  if (local === undefined) return [];
  const { statePath, pid } = local;
  const disk = await statfs(statePath).catch(() => undefined);
  return judgeResources({
    path: statePath,
    freeDiskBytes: disk === undefined ? undefined : disk.bavail * disk.bsize,
    freeMemoryBytes: await availableMemory(),
    descriptors: pid === undefined ? undefined : await descriptorLimit(pid),
  });
};

/** Memory that programs can still have; Linux counts what its cache would give back. */
async function availableMemory(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const kilobytes = /^MemAvailable: +(\d+) kB/m.exec(text)?.[1];
  return kilobytes === undefined ? freemem() : 1024 * Number(kilobytes);
}

async function descriptorLimit(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/limits`, 'utf8').catch(() => '');
  const soft = /^Max open files +(\S+)/m.exec(text)?.[1];
  if (soft === undefined) return undefined;
  return soft === UNLIMITED ? Number.POSITIVE_INFINITY : Number(soft);
}
