import { DhtNode, type DhtNodeOptions } from './node.js';

/** A private network on the loopback interface. */
export interface TestNetwork {
  readonly nodes: readonly DhtNode[];
  /** What another node passes as bootstrap to join. */
  readonly bootstrap: string;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts `count` nodes on 127.0.0.1 that know each other, for tests of programs that use the DHT. Nothing leaves the
 * machine.
 *
 * ```ts
 * await using network = await createTestNetwork(8);
 * await network.nodes[0].put(InfoHash.of('key'), Value.plain({ data: 'hello' }));
 * ```
 */
export async function createTestNetwork(count: number, options: DhtNodeOptions = {}): Promise<TestNetwork> {
  const nodes: DhtNode[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.close()));
  };
  try {
    const local = { addresses: ['127.0.0.1'], port: 0, ...options };
    const first = await DhtNode.open(local);
    nodes.push(first);
    const bootstrap = `127.0.0.1:${first.ports.ipv4}`;
    while (nodes.length < count) nodes.push(await DhtNode.open({ ...local, bootstrap: [bootstrap] }));
    await Promise.all(nodes.slice(1).map((node) => node.connected()));
    return { nodes, bootstrap, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
