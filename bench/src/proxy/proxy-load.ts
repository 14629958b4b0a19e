import { setTimeout as wait } from 'node:timers/promises';
import { systemRandom } from '@atoll/base';
import { DhtNode, Value } from '@atoll/dht';
import { InfoHash } from '@atoll/identity';
import { ProxyConnection } from './proxy-connection.js';

/** What a proxy is asked for, one request after the other on each connection. */
export type RequestKind = 'info' | 'get' | 'put';

/** What became of the requests so far. */
export interface RequestCount {
  readonly answered: number;
  /** Answers that are not what they should be: a put that failed, a get without the value. */
  readonly failed: number;
}

const CONNECTIONS = 16;
/** Keys with a value for gets. */
const GET_KEYS = 256;
/** Keys for puts: a walk for each of them. */
const PUT_KEYS = 4096;
const VALUE_BYTES = 100;
const JOIN_MS = 2000;
/** Listens that are opened at once. */
const OPEN_AT_ONCE = 64;
/** Time for the listens to reach the nodes that have to know of them, ms. */
const LISTEN_SETTLE_MS = 2000;
/** A line that has not come by then never does, ms. */
const LINE_LIMIT_MS = 10_000;

/** Clients of one proxy, and a node of the DHT behind it. */
export class ProxyLoad {
  private readonly port: number;
  private readonly node: DhtNode;
  private readonly connections: ProxyConnection[] = [];
  private readonly putKeys = Array.from({ length: PUT_KEYS }, randomKey);
  private getKeys: InfoHash[] = [];
  private isRunning = false;
  private underWay = 0;
  private answered = 0;
  private failed = 0;

  private constructor(port: number, node: DhtNode) {
    this.port = port;
    this.node = node;
  }

  static async open(port: number, bootstrapPort: number): Promise<ProxyLoad> {
    const node = await DhtNode.open({ port: 0, bootstrap: [`127.0.0.1:${bootstrapPort}`] });
    await node.connected();
    await wait(JOIN_MS);
    return new ProxyLoad(port, node);
  }

  get count(): RequestCount {
    return { answered: this.answered, failed: this.failed };
  }

  /** Requests go on until {@link pause}. */
  async start(kind: RequestKind): Promise<void> {
    while (this.connections.length < CONNECTIONS) this.connections.push(await ProxyConnection.open(this.port));
    if (kind === 'get' && this.getKeys.length === 0) await this.storeValues();
    this.isRunning = true;
    for (const connection of this.connections) this.next(connection, kind);
  }

  async pause(): Promise<void> {
    this.isRunning = false;
    while (this.underWay > 0) await wait(1);
  }

  /** Opens so many more listens, each to a key of its own, or all to the same one. */
  async hold(listens: number, isOneKey: boolean): Promise<void> {
    const shared = randomKey().toString();
    for (let left = listens; left > 0; left -= OPEN_AT_ONCE) {
      await Promise.all(
        Array.from({ length: Math.min(left, OPEN_AT_ONCE) }, async () => {
          const connection = await ProxyConnection.open(this.port);
          this.connections.push(connection);
          await connection.listen(isOneKey ? shared : randomKey().toString(), () => {});
        }),
      );
    }
  }

  /** Milliseconds from a put of the node to the line of a listener, one put after the other over a few keys. */
  async lineLatencies(keys: number, warmUp: number, puts: number): Promise<number[]> {
    const heard = Array.from({ length: keys }, () => ({ key: randomKey(), onLine: (_text: string) => {} }));
    for (const listen of heard) {
      const connection = await ProxyConnection.open(this.port);
      this.connections.push(connection);
      await connection.listen(listen.key.toString(), (text) => listen.onLine(text));
    }
    await wait(LISTEN_SETTLE_MS);
    const latencies: number[] = [];
    for (let number = 0; number < warmUp + puts; number++) {
      const listen = heard[number % keys];
      if (listen === undefined) break;
      const data = systemRandom.bytes(VALUE_BYTES);
      const expected = data.toString('base64');
      let isHeard = false;
      const startMs = performance.now();
      const stored = this.node.put(listen.key, Value.plain({ data })).catch(() => {});
      const line = new Promise<void>((resolve) => {
        let text = '';
        listen.onLine = (more) => {
          text += more;
          if (isHeard || !text.includes(expected)) return;
          isHeard = true;
          if (number >= warmUp) latencies.push(performance.now() - startMs);
          resolve();
        };
      });
      await Promise.race([line, wait(LINE_LIMIT_MS, undefined, { ref: false })]);
      if (!isHeard && number >= warmUp) this.failed++;
      await stored;
    }
    return latencies;
  }

  async close(): Promise<void> {
    for (const connection of this.connections) connection.close();
    await this.node.close();
  }

  private async storeValues(): Promise<void> {
    this.getKeys = Array.from({ length: GET_KEYS }, randomKey);
    for (const key of this.getKeys) await this.node.put(key, Value.plain({ data: systemRandom.bytes(VALUE_BYTES) }));
  }

  private next(connection: ProxyConnection, kind: RequestKind): void {
    if (!this.isRunning) return;
    this.underWay++;
    const onAnswer = (status: number, body: string): void => {
      this.underWay--;
      this.answered++;
      if (status !== 200 || (kind !== 'info' && !body.includes('"data"'))) this.failed++;
      this.next(connection, kind);
    };
    if (kind === 'info') connection.request('GET', '/node/info', '', onAnswer);
    else if (kind === 'get') connection.request('GET', `/key/${pick(this.getKeys)}`, '', onAnswer);
    else {
      const data = systemRandom.bytes(VALUE_BYTES).toString('base64');
      connection.request('POST', `/key/${pick(this.putKeys)}`, `{"data":"${data}"}`, onAnswer);
    }
  }
}

function randomKey(): InfoHash {
  return new InfoHash(systemRandom.bytes(InfoHash.bytes).latin1Slice());
}

function pick(keys: readonly InfoHash[]): string {
  return keys[Math.floor(Math.random() * keys.length)]?.toString() ?? '';
}
