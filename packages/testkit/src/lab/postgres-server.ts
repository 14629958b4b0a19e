import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onProcessEnd } from './cleanup.js';
import { ManagedProcess } from './managed-process.js';

const VERSIONS = '/usr/lib/postgresql';
/** The system's user for PostgreSQL, which refuses to run as root. */
const USER = 'postgres';
const READY = /database system is ready to accept connections/;

/**
 * A real PostgreSQL of Debian with an empty database of its own, on a Unix socket only.
 *
 * ```ts
 * await using postgres = await PostgresServer.start();
 * const store = await openNameStore(postgres.url);
 * ```
 */
export class PostgresServer {
  /** Where to connect. */
  readonly url: string;
  private readonly folder: string;
  private readonly binaries: string;
  private process: ManagedProcess;
  private readonly remove: () => void;

  private constructor(folder: string, binaries: string, process: ManagedProcess, remove: () => void) {
    this.folder = folder;
    this.binaries = binaries;
    this.process = process;
    this.remove = remove;
    this.url = `postgres://${USER}@/postgres?host=${encodeURIComponent(folder)}`;
  }

  static async start(): Promise<PostgresServer> {
    const [version] = existsSync(VERSIONS) ? readdirSync(VERSIONS).sort((a, b) => Number(b) - Number(a)) : [];
    if (version === undefined) throw new Error('PostgreSQL is not installed: it is the Debian package postgresql');
    const binaries = join(VERSIONS, version, 'bin');
    const folder = mkdtempSync(join(tmpdir(), 'atoll-postgres-'));
    const remove = onProcessEnd(() => rmSync(folder, { recursive: true, force: true }));
    try {
      const id = (flag: string): number => Number(execFileSync('id', [flag, USER], { encoding: 'utf8' }));
      const data = join(folder, 'data');
      mkdirSync(data);
      for (const path of [folder, data]) {
        chownSync(path, id('-u'), id('-g'));
        chmodSync(path, 0o700);
      }
      const initialize = ['-D', data, '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
      execFileSync('runuser', ['-u', USER, '--', join(binaries, 'initdb'), ...initialize], {
        cwd: folder,
        stdio: 'pipe',
      });
      const server = new PostgresServer(folder, binaries, run(binaries, folder), remove);
      await server.process.waitForOutput(READY, 60_000);
      return server;
    } catch (error) {
      remove();
      throw error;
    }
  }

  /** As if the power went, and came back. */
  async crashAndRestart(): Promise<void> {
    await this.process.kill();
    // Its children notice by themselves that they are alone, and give the memory back that a new one needs.
    for (;;) {
      this.process = run(this.binaries, this.folder);
      const started = await this.process.waitForOutput(new RegExp(`${READY.source}|FATAL: `), 60_000);
      if (!started[0].startsWith('FATAL')) return;
      await this.process.ended();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
    this.remove();
  }
}

function run(binaries: string, folder: string): ManagedProcess {
  const settings = [
    'listen_addresses=',
    `unix_socket_directories=${folder}`,
    'shared_buffers=16MB',
    'max_connections=60',
  ];
  return new ManagedProcess('postgres', 'setpriv', [
    `--reuid=${USER}`,
    `--regid=${USER}`,
    '--clear-groups',
    join(binaries, 'postgres'),
    '-D',
    join(folder, 'data'),
    ...settings.flatMap((setting) => ['-c', setting]),
  ]);
}
