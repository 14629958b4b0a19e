import { createRequire } from 'node:module';
import { within } from './deadline.js';

interface Message {
  readonly type?: number;
  readonly destination?: string;
  readonly path?: string;
  readonly interface?: string;
  readonly member?: string;
  readonly signature?: string;
  readonly body?: unknown[];
}

interface RawBus {
  readonly connection: { on(event: 'message', listener: (message: Message) => void): void; end(): void };
  invoke(message: Message, callback: (error: unknown, ...results: unknown[]) => void): void;
  addMatch(rule: string, callback: (error: unknown) => void): void;
}

const { createClient } = createRequire(import.meta.url)('@homebridge/dbus-native') as {
  createClient(options: { busAddress: string }): RawBus;
};

const SIGNAL = 4;

/** A signal that came over the bus. */
export interface BusSignal {
  readonly name: string;
  readonly args: readonly unknown[];
}

/** A D-Bus connection that remembers every signal, so that a test may wait for what has happened already. */
export class SessionBus {
  readonly signals: BusSignal[] = [];
  private readonly bus: RawBus;
  private readonly watchers = new Set<() => void>();

  private constructor(bus: RawBus) {
    this.bus = bus;
    bus.connection.on('message', (message) => {
      if (message.type !== SIGNAL) return;
      this.signals.push({ name: message.member ?? '', args: message.body ?? [] });
      for (const look of [...this.watchers]) look();
    });
  }

  static async connect(socketPath: string): Promise<SessionBus> {
    const bus = createClient({ busAddress: `unix:path=${socketPath}` });
    const session = new SessionBus(bus);
    await new Promise<void>((resolve, reject) => {
      bus.addMatch("type='signal'", (error) => (error ? reject(new Error(String(error))) : resolve()));
    });
    return session;
  }

  /** Calls a method; `signature` and `args` as D-Bus has them, maps as arrays of pairs. */
  call(destination: string, path: string, member: string, signature = '', args: unknown[] = []): Promise<unknown> {
    const iface = path === '/' ? destination : path.slice(1).replaceAll('/', '.');
    const body = signature === '' ? {} : { signature, body: args };
    const answer = new Promise<unknown>((resolve, reject) => {
      this.bus.invoke({ destination, path, interface: iface, member, ...body }, (error, result) =>
        error ? reject(new Error(`${member}: ${JSON.stringify(error)}`)) : resolve(result),
      );
    });
    return within(answer, () => `no answer to ${member}`);
  }

  /** The first signal of this name whose arguments match, past ones included. */
  async waitFor(
    name: string,
    matches: (args: readonly unknown[]) => boolean = () => true,
    limitMs?: number,
  ): Promise<readonly unknown[]> {
    let look = (): void => {};
    let seen = 0;
    const found = new Promise<readonly unknown[]>((resolve) => {
      look = () => {
        for (; seen < this.signals.length; seen++) {
          const signal = this.signals[seen];
          if (signal?.name === name && matches(signal.args)) resolve(signal.args);
        }
      };
    });
    this.watchers.add(look);
    look();
    const tail = (): string =>
      this.signals
        .slice(-12)
        .map(({ name: past, args }) => `${past} ${JSON.stringify(args).slice(0, 160)}`)
        .join('\n');
    try {
      return await within(found, () => `no signal ${name}; the last ones were:\n${tail()}\n`, limitMs);
    } finally {
      this.watchers.delete(look);
    }
  }

  close(): void {
    this.bus.connection.end();
  }
}
