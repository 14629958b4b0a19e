import { spawnSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';

/** Where and with what a result was made. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
  /** Debian packages and their versions. */
  readonly packages: Readonly<Record<string, string>>;
}

/** The facts of this machine. A package that is not installed is left out. */
export function machine(packages: readonly string[]): Machine {
  const all = cpus();
  const versions: Record<string, string> = {};
  for (const name of packages) {
    const asked = spawnSync('dpkg-query', ['-W', `-f=\${Version}`, name], { encoding: 'utf8' });
    if (asked.status === 0) versions[name] = asked.stdout.trim();
  }
  return {
    cpu: all[0]?.model ?? 'unknown',
    cores: all.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    packages: versions,
  };
}
