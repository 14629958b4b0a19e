import { createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { type DhtTarget, startDhtTarget } from '../dht/dht-target.js';
import type { MeasuredProcess } from '../measured-process.js';

/** The proxies that stand beside each other. */
export type ProxyProgram = 'atoll' | 'dhtnode';

export const PROXY_PROGRAMS: readonly ProxyProgram[] = ['atoll', 'dhtnode'];

/** Nodes of the DHT behind a proxy: as many as keep a value. */
const NODES = 8;
const START_LIMIT_MS = 30_000;
const LOOK_EVERY_MS = 50;
/** The proxy's node has met all others by then. */
const SETTLE_MS = 4000;

/** A proxy with a DHT of its own behind it, both the same for every program. */
export class ProxyTarget {
  readonly process: MeasuredProcess;
  /** HTTP port of the proxy. */
  readonly port: number;
  /** UDP port of a node that others join the DHT through. */
  readonly bootstrapPort: number;
  private readonly nodes: readonly DhtTarget[];

  private constructor(nodes: readonly DhtTarget[], proxy: DhtTarget, bootstrapPort: number, port: number) {
    this.nodes = [...nodes, proxy];
    this.process = proxy.process;
    this.bootstrapPort = bootstrapPort;
    this.port = port;
  }

  /** Starts a new DHT of eight OpenDHT nodes and the proxy on a ninth one, and waits until it has met them. */
  static async start(program: ProxyProgram): Promise<ProxyTarget> {
    const nodes: DhtTarget[] = [];
    try {
      const first = await startDhtTarget('dhtnode');
      nodes.push(first);
      const join = ['-b', `127.0.0.1:${first.port}`];
      while (nodes.length < NODES) nodes.push(await startDhtTarget('dhtnode', join));
      const port = await freePort();
      const proxy = await startDhtTarget(program, [...join, '--proxyserver', String(port)]);
      const target = new ProxyTarget(nodes, proxy, first.port, port);
      nodes.push(proxy);
      await target.serves();
      await wait(SETTLE_MS);
      return target;
    } catch (error) {
      await stopAll(nodes);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await stopAll(this.nodes);
  }

  private async serves(): Promise<void> {
    const endMs = performance.now() + START_LIMIT_MS;
    while (performance.now() < endMs) {
      try {
        const { status } = await fetch(`http://127.0.0.1:${this.port}/node/info`, { headers: { connection: 'close' } });
        if (status === 200) return;
      } catch {
        // Its port is not open yet.
      }
      await wait(LOOK_EVERY_MS);
    }
    throw new Error(`the proxy on port ${this.port} does not serve`);
  }
}

async function stopAll(nodes: readonly DhtTarget[]): Promise<void> {
  await Promise.all(nodes.map(({ process }) => process.stop()));
}

/** A TCP port that nobody used a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
