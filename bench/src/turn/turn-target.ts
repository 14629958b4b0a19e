import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Endpoint } from '@atoll/base';
import { generateIdentity, saveIdentity } from '@atoll/identity';
import { TurnClient, type TurnTransportKind } from '@atoll/testkit';
import { type DatagramGroup, openDatagramGroup } from '@atoll/udp';
import { ATOLL, MeasuredProcess } from '../measured-process.js';

/** The programs that stand beside each other. */
export type TurnProgram = 'atoll' | 'coturn';
export const TURN_PROGRAMS: readonly TurnProgram[] = ['atoll', 'coturn'];

const HOST = '127.0.0.1';
const PORT = 23_478;
const TLS_PORT = 23_479;
/** Relay ports below those that the system gives to clients. */
const PORTS = ['--min-port', '10000', '--max-port', '23000'];
const USER = 'ring';
const START_LIMIT_MS = 30_000;
/** Clients that ask at the same time. */
const AT_ONCE = 16;

/** A running TURN server on the loopback interface, and clients of it in this process. */
export class TurnTarget {
  readonly process: MeasuredProcess;
  readonly group: DatagramGroup = openDatagramGroup();
  private readonly folder: string;

  private constructor(process: MeasuredProcess, folder: string) {
    this.process = process;
    this.folder = folder;
  }

  /** Starts it and waits until it makes an allocation. */
  static async start(program: TurnProgram): Promise<TurnTarget> {
    const folder = mkdtempSync(join(tmpdir(), 'atoll-bench-turn-'));
    const files = join(folder, 'turn');
    await saveIdentity(files, await generateIdentity('turn', Date.now(), { bits: 2048 }));
    const where = ['-L', HOST, '-p', String(PORT), '--tls-listening-port', String(TLS_PORT), '--no-cli'];
    const who = [
      ...PORTS,
      '-a',
      '-u',
      `${USER}:${USER}`,
      '-r',
      USER,
      '--allow-loopback-peers',
      '--cert',
      `${files}.crt`,
      '--pkey',
      `${files}.pem`,
    ];
    const store = [
      '-b',
      join(folder, 'turndb'),
      '--log-file',
      '/dev/null',
      '--no-stdout-log',
      '--pidfile',
      join(folder, 'pid'),
    ];
    const args = ['-n', ...where, ...who, ...store];
    const command = program === 'atoll' ? [...ATOLL, 'turn', ...args] : ['turnserver', ...args];
    const target = new TurnTarget(new MeasuredProcess(command, { XDG_STATE_HOME: folder }), folder);
    const end = performance.now() + START_LIMIT_MS;
    while (!(await target.answers())) {
      if (performance.now() < end) continue;
      await target[Symbol.asyncDispose]();
      throw new Error(`${program} does not answer`);
    }
    return target;
  }

  open(kind: TurnTransportKind = 'udp'): Promise<TurnClient> {
    const port = kind === 'udp' || kind === 'tcp' ? PORT : TLS_PORT;
    const server = Endpoint.from(HOST, port) as Endpoint;
    return TurnClient.open({ kind, server, group: this.group, address: HOST, user: USER, password: USER });
  }

  /** Makes allocations, some at the same time: a server is not asked by one client after the other. */
  async allocate(count: number, kind: TurnTransportKind = 'udp'): Promise<TurnClient[]> {
    const clients: TurnClient[] = [];
    let left = count;
    const worker = async (): Promise<void> => {
      while (left-- > 0) {
        const client = await this.open(kind);
        await client.allocate();
        clients.push(client);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return clients;
  }

  /** Gives allocations back. The sockets stay: coturn refuses new allocations from a port of an old one for a while. */
  async release(clients: readonly TurnClient[]): Promise<void> {
    const waiting = [...clients];
    const worker = async (): Promise<void> => {
      for (let client = waiting.pop(); client !== undefined; client = waiting.pop()) {
        await client.refresh(0);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
    this.group.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async answers(): Promise<boolean> {
    try {
      const client = await this.open('tcp');
      await client.allocate();
      client.close();
      return true;
    } catch {
      await wait(50);
      return false;
    }
  }
}
