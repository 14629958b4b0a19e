import type { Host } from './lan.js';
import type { ManagedProcess } from './managed-process.js';

/** A real dhtnode of Debian, or any program that speaks as it does, driven through its commands. */
export class DhtnodeProcess {
  readonly process: ManagedProcess;
  /** Its node id, 40 hex digits. */
  readonly id: string;
  /** `address:port` to bootstrap from. */
  readonly bootstrap: string;

  private constructor(process: ManagedProcess, id: string, bootstrap: string) {
    this.process = process;
    this.id = id;
    this.bootstrap = bootstrap;
  }

  /** Starts it on a host. `command` replaces `dhtnode` by a program that behaves like it. */
  static async start(
    host: Host,
    options: { port?: number; args?: readonly string[]; command?: readonly string[] } = {},
  ): Promise<DhtnodeProcess> {
    const { port = 4222, args = [], command = ['dhtnode'] } = options;
    const [program = '', ...first] = command;
    const process = host.spawn(program, [...first, '-p', String(port), ...args]);
    const [, id = ''] = await process.waitForOutput(/OpenDHT node ([0-9a-f]{40}) running on port/, 30_000);
    return new DhtnodeProcess(process, id, `${host.address}:${port}`);
  }

  /** Gives a command and waits for what it prints. */
  async command(line: string, answer: RegExp, limitMs?: number): Promise<RegExpExecArray> {
    const from = this.process.output.length;
    this.process.writeLine(line);
    return this.process.waitForOutput(answer, limitMs, from);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
  }
}
