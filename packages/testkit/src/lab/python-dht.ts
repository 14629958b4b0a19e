import type { Host } from './lan.js';
import type { ManagedProcess } from './managed-process.js';

/** Drives OpenDHT's Python binding: one JSON object per line in and out. */
const SCRIPT = `
import json, sys, threading
import opendht as dht
options = json.loads(sys.argv[1])
node = dht.DhtRunner()
identity = dht.Identity.generate('peer') if options.get('identity') else None
config = dht.DhtConfig()
if identity: config.setIdentity(identity)
config.setNetwork(options.get('network', 0))
node.run(port=options['port'], config=config)
lock = threading.Lock()
def say(**what):
    with lock:
        print(json.dumps(what), flush=True)
def show(value):
    return {'id': str(value.id), 'data': value.data.hex() if value.data else '', 'type': value.user_type}
say(event='ready', id=str(node.getNodeId()).split("'")[1] if "'" in str(node.getNodeId()) else str(node.getNodeId()))
listens = []
for line in sys.stdin:
    order = json.loads(line)
    number = order['number']
    def done(ok, nodes, number=number):
        say(number=number, ok=bool(ok))
    key = dht.InfoHash(order['key'].encode()) if 'key' in order else None
    if order['do'] == 'bootstrap':
        host, port = order['host'].rsplit(':', 1)
        node.bootstrap(host.strip('[]'), port)
        say(number=number, ok=True)
    elif order['do'] == 'put':
        value = dht.Value(bytes.fromhex(order['data']))
        if 'type' in order: value.user_type = order['type']
        node.put(key, value, done)
    elif order['do'] == 'get':
        values = []
        def got(value, values=values):
            values.append(show(value))
            return True
        def finished(ok, nodes, number=number, values=values):
            say(number=number, ok=bool(ok), values=values)
        node.get(key, got, finished)
    elif order['do'] == 'listen':
        def heard(value, expired, number=number):
            say(listen=number, value=show(value), expired=expired)
            return True
        listens.append(node.listen(key, heard))
        say(number=number, ok=True)
node.join()
`;

interface PythonAnswer {
  readonly number?: number;
  readonly ok?: boolean;
  readonly values?: readonly { readonly id: string; readonly data: string; readonly type: string }[];
}

interface PythonHeard {
  readonly value: { readonly data: string };
  readonly expired: boolean;
}

/**
 * A node of OpenDHT's Python binding (Debian python3-opendht) on a host. That version puts, gets and listens to plain
 * values; permanent, signed and encrypted puts and certificates are not in it.
 */
export class PythonDht {
  readonly process: ManagedProcess;
  private number = 0;

  private constructor(process: ManagedProcess) {
    this.process = process;
  }

  static async start(host: Host, options: { port?: number; network?: number } = {}): Promise<PythonDht> {
    const settings = JSON.stringify({ port: 4222, ...options });
    const process = host.spawn('/usr/bin/python3', ['-c', SCRIPT, settings]);
    await process.waitForOutput(/"event": "ready"/, 30_000);
    return new PythonDht(process);
  }

  bootstrap(host: string): Promise<PythonAnswer> {
    return this.order({ do: 'bootstrap', host });
  }

  /** Puts bytes under a key of 40 hex digits; true when they were taken. */
  async put(key: string, data: Buffer, more: { type?: string } = {}): Promise<boolean> {
    return (await this.order({ do: 'put', key, data: data.toString('hex'), ...more })).ok ?? false;
  }

  /** The data of all values under a key. */
  async get(key: string): Promise<Buffer[]> {
    const { values = [] } = await this.order({ do: 'get', key });
    return values.map((value) => Buffer.from(value.data, 'hex'));
  }

  /** Listens; wait for what it hears with {@link waitForValue}. */
  async listen(key: string): Promise<void> {
    await this.order({ do: 'listen', key });
  }

  /** Waits until a listen heard a value with this data, there or gone. */
  async waitForValue(data: Buffer, isGone = false, limitMs?: number): Promise<void> {
    const hex = data.toString('hex');
    const find = (output: string): true | undefined => {
      const lines = output.split('\n').filter((line) => line.startsWith('{"listen"') && line.endsWith('}'));
      return (
        lines
          .map((line) => JSON.parse(line) as PythonHeard)
          .some(({ value, expired }) => value.data === hex && expired === isGone) || undefined
      );
    };
    await this.process.waitUntil(find, `listen that ${isGone ? 'lost' : 'found'} ${hex.slice(0, 64)}`, limitMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.kill();
  }

  private async order(what: Record<string, unknown>): Promise<PythonAnswer> {
    const number = ++this.number;
    this.process.writeLine(JSON.stringify({ ...what, number }));
    const [line] = await this.process.waitForOutput(new RegExp(`^\\{"number": ${number},.*\\}$`, 'm'));
    return JSON.parse(line) as PythonAnswer;
  }
}
