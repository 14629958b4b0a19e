import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { ProxyLoad, type RequestCount, type RequestKind } from './proxy-load.js';
import type { ProxyTarget } from './proxy-target.js';

type Order =
  | { readonly do: 'start'; readonly kind: RequestKind }
  | { readonly do: 'pause' | 'count' | 'close' }
  | { readonly do: 'hold'; readonly listens: number; readonly isOneKey: boolean }
  | { readonly do: 'latencies'; readonly keys: number; readonly warmUp: number; readonly puts: number };

interface Report {
  readonly count: RequestCount;
  readonly latencies: readonly number[];
}

/** A {@link ProxyLoad} in a process of its own, so that its work is not counted as the proxy's. */
export class ProxyLoadProcess {
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.child = child;
  }

  static async open({ port, bootstrapPort }: ProxyTarget): Promise<ProxyLoadProcess> {
    const child = fork(fileURLToPath(import.meta.url), [String(port), String(bootstrapPort)]);
    const load = new ProxyLoadProcess(child);
    await once(child, 'message');
    return load;
  }

  async start(kind: RequestKind): Promise<void> {
    await this.order({ do: 'start', kind });
  }

  async pause(): Promise<void> {
    await this.order({ do: 'pause' });
  }

  async count(): Promise<RequestCount> {
    return (await this.order({ do: 'count' })).count;
  }

  async hold(listens: number, isOneKey: boolean): Promise<void> {
    await this.order({ do: 'hold', listens, isOneKey });
  }

  /** ms of each put; lines that never came are missing. */
  async lineLatencies(keys: number, warmUp: number, puts: number): Promise<readonly number[]> {
    return (await this.order({ do: 'latencies', keys, warmUp, puts })).latencies;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.send({ do: 'close' } satisfies Order);
    await once(this.child, 'exit');
  }

  private async order(order: Order): Promise<Report> {
    this.child.send(order);
    const [report] = (await once(this.child, 'message')) as [Report];
    return report;
  }
}

async function serve(port: number, bootstrapPort: number): Promise<void> {
  const load = await ProxyLoad.open(port, bootstrapPort);
  process.on('message', async (order: Order) => {
    let latencies: readonly number[] = [];
    if (order.do === 'start') await load.start(order.kind);
    else if (order.do === 'pause') await load.pause();
    else if (order.do === 'hold') await load.hold(order.listens, order.isOneKey);
    else if (order.do === 'latencies') latencies = await load.lineLatencies(order.keys, order.warmUp, order.puts);
    else if (order.do === 'close') {
      await load.close();
      process.disconnect();
      return;
    }
    process.send?.({ count: load.count, latencies } satisfies Report);
  });
  process.on('disconnect', () => process.exit());
  process.send?.('ready');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [port = 0, bootstrapPort = 0] = process.argv.slice(2).map(Number);
  await serve(port, bootstrapPort);
}
