import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { FEW_BUSY_NODES, LoadClient, type LoadCount, type LoadKind, type LoadShape } from './load-client.js';

type Order =
  | { readonly do: 'start'; readonly kind: LoadKind }
  | { readonly do: 'pause' | 'count' | 'close' }
  | { readonly do: 'store'; readonly values: number; readonly bytes: number };

/** A {@link LoadClient} in a process of its own, so that its work is not counted as the target's, nor slows us. */
export class LoadProcess {
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.child = child;
  }

  /** Against the node on a port of 127.0.0.1. */
  static async open(port: number, shape: LoadShape = FEW_BUSY_NODES): Promise<LoadProcess> {
    const child = fork(fileURLToPath(import.meta.url), [String(port), String(shape.nodes), String(shape.window)]);
    const load = new LoadProcess(child);
    await once(child, 'message');
    return load;
  }

  start(kind: LoadKind): Promise<LoadCount> {
    return this.order({ do: 'start', kind });
  }

  pause(): Promise<LoadCount> {
    return this.order({ do: 'pause' });
  }

  count(): Promise<LoadCount> {
    return this.order({ do: 'count' });
  }

  store(values: number, bytes: number): Promise<LoadCount> {
    return this.order({ do: 'store', values, bytes });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.send({ do: 'close' } satisfies Order);
    await once(this.child, 'exit');
  }

  private async order(order: Order): Promise<LoadCount> {
    this.child.send(order);
    const [count] = (await once(this.child, 'message')) as [LoadCount];
    return count;
  }
}

async function serve(port: number, shape: LoadShape): Promise<void> {
  const client = await LoadClient.open(port, shape);
  process.on('message', async (order: Order) => {
    if (order.do === 'start') await client.start(order.kind);
    else if (order.do === 'pause') client.pause();
    else if (order.do === 'store') await client.store(order.values, order.bytes);
    else if (order.do === 'close') {
      await client.close();
      process.disconnect();
      return;
    }
    process.send?.(client.count);
  });
  process.on('disconnect', () => process.exit());
  process.send?.('ready');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [port = 0, nodes = 1, window = 1] = process.argv.slice(2).map(Number);
  await serve(port, { nodes, window });
}
