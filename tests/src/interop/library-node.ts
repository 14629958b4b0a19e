import { fileURLToPath } from 'node:url';
import { type PutOptions, Value } from '@atoll/dht';
import type { Host, ManagedProcess } from '@atoll/testkit';

const MAIN = fileURLToPath(new URL('library-node-main.js', import.meta.url));

export interface LibrarySettings {
  readonly port?: number;
  readonly bootstrap?: readonly string[];
  readonly networkId?: number;
  /** DHT proxies to go through, instead of being a node. */
  readonly proxies?: string;
  /** `PATH.crt` and `PATH.pem` hold the identity. */
  readonly identityPath?: string;
}

export interface LibraryOrder {
  readonly number: number;
  readonly do: 'connected' | 'put' | 'putSigned' | 'get' | 'listen' | 'overhear';
  readonly key?: string;
  readonly value?: string;
  readonly options?: Pick<PutOptions, 'isPermanent' | 'createdUnixMs'>;
}

export type LibraryReport =
  | { readonly event: 'ready'; readonly id: string }
  | { readonly event: 'heard'; readonly value: string; readonly isExpired: boolean }
  | { readonly number: number; readonly ok: boolean; readonly values: readonly string[] };

/** A DhtNode of the library in a process of its own on a host: what the commands of dhtnode cannot say, it can. */
export class LibraryNode {
  readonly process: ManagedProcess;
  private number = 0;

  private constructor(process: ManagedProcess) {
    this.process = process;
  }

  /** Starts it and waits until it is connected, when it has somebody to connect to. */
  static async start(host: Host, settings: LibrarySettings = {}): Promise<LibraryNode> {
    const node = new LibraryNode(host.spawn(process.execPath, [MAIN, JSON.stringify(settings)]));
    await node.process.waitForOutput(/"event":"ready"/);
    if (settings.bootstrap !== undefined || settings.proxies !== undefined) await node.order({ do: 'connected' });
    return node;
  }

  /** Puts a value as it is, whatever the node stands for; throws when nobody took it. */
  async put(key: string, value: Value, options: LibraryOrder['options'] = {}): Promise<void> {
    await this.order({ do: 'put', key, value: value.packed.toString('hex'), options });
  }

  /** Puts a value signed by the node's identity, under the next version. */
  async putSigned(key: string, value: Value): Promise<Value> {
    const [signed = ''] = await this.order({ do: 'putSigned', key, value: value.packed.toString('hex') });
    return decode(signed);
  }

  async get(key: string): Promise<Value[]> {
    return (await this.order({ do: 'get', key })).map(decode);
  }

  /** Listens; wait with {@link heard}. */
  async listen(key: string): Promise<void> {
    await this.order({ do: 'listen', key });
  }

  /** Hears every value under a key, sealed ones as they are; wait with {@link heard} or {@link overheard}. */
  async overhear(key: string): Promise<void> {
    await this.order({ do: 'overhear', key });
  }

  /** What `find` makes of a value that was heard, as soon as it makes something of one. */
  overheard<T>(find: (value: Value) => T | undefined, what: string): Promise<T> {
    return this.process.waitUntil((output) => {
      for (const [line] of output.matchAll(/^\{"event":"heard".*\}$/gm)) {
        const { value } = JSON.parse(line) as { value: string };
        const found = find(decode(value));
        if (found !== undefined) return found;
      }
      return undefined;
    }, what);
  }

  /** Waits until a listen told of exactly this value, there or gone. */
  async heard(value: Value, isGone = false, limitMs?: number): Promise<void> {
    const report: LibraryReport = { event: 'heard', value: value.packed.toString('hex'), isExpired: isGone };
    const line = `${JSON.stringify(report)}\n`;
    const find = (output: string): true | undefined => output.includes(line) || undefined;
    await this.process.waitUntil(find, `listen that ${isGone ? 'lost' : 'found'} ${value}`, limitMs);
  }

  /** Ends it as if the power went: nothing is said to anybody. */
  kill(): Promise<void> {
    return this.process.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.kill();
  }

  private async order(what: Omit<LibraryOrder, 'number'>): Promise<readonly string[]> {
    const number = ++this.number;
    this.process.writeLine(JSON.stringify({ ...what, number }));
    const [line] = await this.process.waitForOutput(new RegExp(`^\\{"number":${number},.*\\}$`, 'm'));
    const { ok, values } = JSON.parse(line) as { ok: boolean; values: string[] };
    if (!ok) throw new Error(`${what.do}: ${values.join()}`);
    return values;
  }
}

function decode(hex: string): Value {
  const value = Value.decode(Buffer.from(hex, 'hex'));
  if (value === undefined) throw new Error('the node reported what is no value');
  return value;
}
