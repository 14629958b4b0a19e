import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { onProcessEnd } from './cleanup.js';
import { within } from './deadline.js';

/** Output kept of one process, characters. */
const MAX_OUTPUT = 4_000_000;

/** A process of a test: its output is waited for by event, and it never outlives the test. */
export class ManagedProcess {
  readonly name: string;
  /** Everything it printed so far, stdout and stderr as they came. */
  output = '';
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly watchers = new Set<() => void>();
  private readonly exited: Promise<void>;
  private readonly forget: () => void;
  private isOver = false;

  constructor(name: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.name = name;
    this.child = spawn(command, args, { env: { ...process.env, ...env } });
    const take = (chunk: Buffer): void => {
      this.output = (this.output + chunk).slice(-MAX_OUTPUT);
      for (const look of [...this.watchers]) look();
    };
    this.child.stdout.on('data', take);
    this.child.stderr.on('data', take);
    this.child.stdin.on('error', () => {});
    this.child.on('error', (error) => take(Buffer.from(String(error))));
    this.exited = once(this.child, 'close').then(() => {
      this.isOver = true;
      for (const look of [...this.watchers]) look();
    });
    this.forget = onProcessEnd(() => this.child.kill('SIGKILL'));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get exitCode(): number | null {
    return this.child.exitCode;
  }

  /** Writes a line to its input. */
  writeLine(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  /** The match in what it printed, from character `from` on; fails when it ends or the time is up. */
  waitForOutput(pattern: RegExp, limitMs?: number, from = 0): Promise<RegExpExecArray> {
    return this.waitUntil((output) => pattern.exec(output.slice(from)) ?? undefined, String(pattern), limitMs);
  }

  /** What `find` makes of all that it printed, as soon as it makes something of it; `what` names it when it does not. */
  async waitUntil<T>(find: (output: string) => T | undefined, what: string, limitMs?: number): Promise<T> {
    let look = (): void => {};
    const found = new Promise<T>((resolve, reject) => {
      look = () => {
        const result = find(this.output);
        if (result !== undefined) resolve(result);
        else if (this.isOver) reject(new Error(`${this.name} ended without ${what}:\n${this.lastLines()}`));
      };
    });
    this.watchers.add(look);
    look();
    try {
      return await within(found, () => `${this.name} printed no ${what}:\n${this.lastLines()}`, limitMs);
    } finally {
      this.watchers.delete(look);
    }
  }

  /** SIGTERM and the end of its input, and SIGKILL if that is not enough. */
  async stop(limitMs = 10_000): Promise<void> {
    this.child.kill('SIGTERM');
    // A dhtnode that is about to read its next command misses the signal, and waits for input for ever.
    this.child.stdin.end();
    const timer = setTimeout(() => this.child.kill('SIGKILL'), limitMs);
    await this.exited;
    clearTimeout(timer);
    this.forget();
  }

  /** SIGKILL: as if the power went. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
    this.forget();
  }

  /** Resolves with the exit code when it ends by itself. */
  async ended(limitMs?: number): Promise<number | null> {
    await within(this.exited, () => `${this.name} did not end:\n${this.lastLines()}`, limitMs);
    return this.child.exitCode;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  private lastLines(): string {
    const lines = this.output.split('\n').slice(-25);
    return lines.map((line) => (line.length > 400 ? `${line.slice(0, 400)}…` : line)).join('\n');
  }
}
