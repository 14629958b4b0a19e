import { AtollError, Endpoint, errorMessage } from '@atoll/base';
import { type DhtNode, encodeIpServiceAnnouncement, type FieldValues, Query, TypeId, Value } from '@atoll/dht';
import { InfoHash, PkId } from '@atoll/identity';
import type { ProxyPorts } from './proxy-ports.js';
import { duration, nodeInfo, publicAddresses, routingTables, searches, storage } from './report.js';
import type { Ways } from './ways.js';

/** The list of commands, as `h` prints it. */
const COMMANDS = `OpenDHT command line interface (CLI)
Possible commands:
  h, help    Print this help message.
  x, quit    Quit the program.
  log        Start/stop printing DHT logs.

Node information:
  ll         Print basic information and stats about the current node.
  ls [key]   Print basic information about current search(es).
  ld [key]   Print basic information about currenty stored values on this node (or key).
  lr         Print the full current routing table of this node.
  la         Print the public addresses of this node as others report them.

Proxy server and client:
  pst <port>            Start a proxy server on this TCP port.
  psx <port>            Start a proxy server over TLS.
  psp <port>            Stop the proxy server on this port.
  stt [url] [token]     Use a proxy instead of UDP (that of -C), listening by pushes with a token.
  stp                   Use UDP again.
  rp <key>              Inject a push that says that something came at <key>.

Operations on the DHT:
  b <ip:port>           Ping potential node at given IP address/port.
  g <key>               Get values at <key>.
  q <key> <query>       Get fields of values at <key>.
  l <key>               Listen for value changes at <key>.
  cl <key> <token>      Cancel listen for <token> and <key>.
  p <key> <str>         Put string value at <key>.
  pp <key> <str>        Put string value at <key> (persistent version).
  cpp <key> <id>        Cancel persistent put operation for <key> and value <id>.
  s <key> <str>         Put string value at <key>, signed with our generated private key.
  e <key> <dest> <str>  Put string value at <key>, encrypted for <dest> with its public key (if found).
  a <key> <port>        Announce a service on <port> at <key>.
  cc                    Trigger connectivity changed signal.

`;

const NOT_HERE = new Set(['rs', 'il', 'ii']);
const NO_IDENTITY = 'An identity is required to perform this operation (run with -i)';

/** What commands need beside the node. */
export interface CommandParts {
  readonly node: DhtNode;
  /** What operations go through: the node, or a proxy. */
  readonly ways: Ways;
  readonly proxies: ProxyPorts;
  /** Id of the node's own key, when it has one to sign and encrypt with. */
  readonly publicKeyId: InfoHash | undefined;
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
  /** Switches the log on or off; with a key only lines that name it. */
  readonly toggleLog: (key: string | undefined) => void;
}

/** The commands of `dhtnode`, with its words and its output (protocol/dht.md 24). */
export class DhtnodeCommands {
  private readonly parts: CommandParts;
  private readonly listens = new Map<number, AbortController>();
  private lastToken = 0;
  private ongoing = 0;

  constructor(parts: CommandParts) {
    this.parts = parts;
  }

  /** Runs one line; false when it asks to quit. Operations go on in the background and print when they are done. */
  run(line: string): boolean {
    const [word = '', ...args] = line.trim().split(/\s+/);
    const { node, out, error } = this.parts;
    switch (word) {
      case '':
        return true;
      case 'x':
      case 'exit':
      case 'quit':
        return false;
      case 'h':
      case 'help':
        out(COMMANDS);
        return true;
      case 'll':
        out(nodeInfo(node, this.parts.publicKeyId, this.ongoing));
        return true;
      case 'lr':
        out(routingTables(node));
        return true;
      case 'ls':
        out(searches(node, keyOf(args[0])));
        return true;
      case 'ld':
        out(storage(node, keyOf(args[0])));
        return true;
      case 'la':
        out(publicAddresses(node));
        return true;
      case 'log':
        this.parts.toggleLog(args[0]);
        return true;
      case 'cc':
        node.connectivityChanged();
        return true;
      case 'pst':
      case 'psx':
      case 'psp':
        this.say(this.proxyPort(word, args[0]));
        return true;
      case 'stt':
        this.say(this.parts.ways.useProxy(args[0], args[1]));
        return true;
      case 'stp':
        this.say(this.parts.ways.useNode());
        return true;
      case 'rp':
        this.parts.ways.pushReceived({ key: InfoHash.key(args[0] ?? '').toString() });
        return true;
      case 'b':
        this.bootstrap(args[0]);
        return true;
      case 'g':
      case 'q':
      case 'l':
      case 'cl':
      case 'p':
      case 'pp':
      case 'cpp':
      case 's':
      case 'e':
      case 'a':
        this.onKey(word, args);
        return true;
      default:
        if (NOT_HERE.has(word)) error(`${word}: this version has no index yet.\n`);
        else out(`Unknown command: ${word}\n (type 'h' or 'help' for a list of possible commands)\n`);
        return true;
    }
  }

  /** Ends every listen. */
  close(): void {
    for (const controller of this.listens.values()) controller.abort();
  }

  /** Prints what went wrong with something that needs no answer. */
  private say(done: Promise<void>): void {
    done.catch((cause) => this.parts.error(`${errorMessage(cause)}\n`));
  }

  private async proxyPort(word: string, text: string | undefined): Promise<void> {
    const port = Number(text);
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      this.parts.error(`Syntax: ${word} <port>\n`);
    } else if (word === 'psp') await this.parts.proxies.stop(port);
    else await this.parts.proxies.start(port, word === 'psx');
  }

  private bootstrap(host: string | undefined): void {
    if (host === undefined) {
      this.parts.error('No service provided. Syntax: b hostname:port\n');
      return;
    }
    try {
      this.parts.node.bootstrap(host);
    } catch (error) {
      this.parts.error(`${errorMessage(error)}\n`);
    }
  }

  private onKey(word: string, [keyText, ...args]: string[]): void {
    const { out, error } = this.parts;
    if (keyText === undefined) {
      error('Syntax error: invalid InfoHash.\n');
      return;
    }
    let key = InfoHash.parse(keyText);
    if (key.isZero) {
      key = InfoHash.of(keyText);
      out(`Using h(${keyText}) = ${key}\n`);
    }
    if ((word === 's' || word === 'e') && this.parts.publicKeyId === undefined) {
      error(`${NO_IDENTITY}\n`);
      return;
    }
    this.ongoing++;
    this.operation(word, key, args)
      .catch((cause) => error(`${errorMessage(cause)}\n`))
      .finally(() => this.ongoing--);
  }

  private async operation(word: string, key: InfoHash, args: string[]): Promise<void> {
    const rest = args.join(' ');
    switch (word) {
      case 'g':
        return this.get(key, Query.parse(rest));
      case 'q':
        return this.query(key, Query.parse(rest));
      case 'l':
        return this.listen(key, Query.parse(rest));
      case 'cl':
        if (/^\d+$/.test(args[0] ?? '')) this.listens.get(Number(args[0]))?.abort();
        else this.parts.error('Syntax: cl [key] [token]\n');
        return;
      case 'p':
        return this.put(() => this.parts.ways.backend.put(key, textValue(rest)));
      case 'pp':
        return this.put(() => this.parts.ways.backend.put(key, textValue(rest), { isPermanent: true }));
      case 'cpp':
        this.parts.ways.backend.cancelPut(key, BigInt(`0x${/^[0-9a-f]{1,16}$/i.test(args[0] ?? '') ? args[0] : '0'}`));
        return;
      case 's':
        return this.putSecure('signed', async () => (await this.parts.ways.backend.putSigned(key, textValue(rest))).id);
      case 'e': {
        const [to, ...words] = args;
        const value = textValue(words.join(' '));
        return this.putSecure('encrypted', () => this.parts.ways.backend.putEncrypted(key, value, recipient(to)));
      }
      default:
        return this.announce(key, Number(args[0]));
    }
  }

  private async get(key: InfoHash, query: Query): Promise<void> {
    const { out } = this.parts;
    const startMs = performance.now();
    let total = 0;
    try {
      for await (const value of this.parts.ways.backend.values(key, { query })) {
        total++;
        out(`Get: found 1 value(s) after ${duration(performance.now() - startMs)} (total ${total})\n\t${value}\n`);
      }
      out(`Get: completed, took ${duration(performance.now() - startMs)} (total ${total})\n`);
    } catch {
      out(`Get: failed, took ${duration(performance.now() - startMs)} (total ${total})\n`);
    }
  }

  private async query(key: InfoHash, query: Query): Promise<void> {
    const { out } = this.parts;
    const startMs = performance.now();
    try {
      for (const entry of await this.parts.ways.backend.query(key, query)) {
        const took = duration(performance.now() - startMs);
        out(`Query: found field value index after ${took}\n\tIndex[${fieldList(entry)}]\n`);
      }
      out(`Query: completed, took ${duration(performance.now() - startMs)}\n`);
    } catch {
      out(`Query: failed, took ${duration(performance.now() - startMs)}\n`);
    }
  }

  private async listen(key: InfoHash, query: Query): Promise<void> {
    const { out } = this.parts;
    const token = ++this.lastToken;
    const controller = new AbortController();
    this.listens.set(token, controller);
    let total = 0;
    out(`Listening, token: ${token}\n`);
    try {
      for await (const { values, isExpired } of this.parts.ways.backend.listen(key, {
        query,
        signal: controller.signal,
      })) {
        total += isExpired ? -values.length : values.length;
        out(`Listen: found ${values.length} values${isExpired ? ' expired' : ''} (total ${total})\n`);
        for (const value of values) out(`\t${value}\n`);
      }
    } finally {
      this.listens.delete(token);
    }
  }

  private async put(run: () => Promise<bigint>): Promise<void> {
    const { id, took } = await this.outcome(run);
    if (id === undefined) this.parts.out(`Put: failure, took ${took}. Value ID: 0\n`);
    else this.parts.out(`Put: success, took ${took}. Value ID: ${id.toString(16)}\n`);
  }

  /** As dhtnode says it, which is not as it says it of plain puts, and with the id, which it leaves out. */
  private async putSecure(how: 'signed' | 'encrypted', run: () => Promise<bigint>): Promise<void> {
    const { id, took } = await this.outcome(run);
    if (id === undefined) this.parts.out(`Put ${how}: failure (took ${took})\n`);
    else this.parts.out(`Put ${how}: success (took ${took}). Value ID: ${id.toString(16)}\n`);
  }

  /** The id of what was put, or undefined when it failed, which says why where there is more to say. */
  private async outcome(
    run: () => Promise<bigint>,
  ): Promise<{ readonly id: bigint | undefined; readonly took: string }> {
    const startMs = performance.now();
    try {
      const id = await run();
      return { id, took: duration(performance.now() - startMs) };
    } catch (error) {
      if (!(error instanceof AtollError) || error.code !== 'DHT_PUT_FAILED') {
        this.parts.error(`${errorMessage(error)}\n`);
      }
      return { id: undefined, took: duration(performance.now() - startMs) };
    }
  }

  private async announce(key: InfoHash, port: number): Promise<void> {
    const { out, error } = this.parts;
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      error('Syntax: a key port\n');
      return;
    }
    // Only the port counts: those who store it put in the address that they see.
    const data = encodeIpServiceAnnouncement(new Endpoint('\0\0\0\0', port));
    const value = Value.plain({ type: TypeId.ipServiceAnnouncement, data });
    const startMs = performance.now();
    const ok = await this.parts.ways.backend.put(key, value).then(
      () => true,
      () => false,
    );
    out(`Announce: ${ok ? 'success' : 'failure'} (took ${duration(performance.now() - startMs)})\n`);
  }
}

function fieldList({ id, valueType, ownerPk, seq, userType }: FieldValues): string {
  const fields = [
    id === undefined ? undefined : `Id:${id.toString(16)}`,
    valueType === undefined ? undefined : `ValueType:${valueType}`,
    ownerPk === undefined ? undefined : `Owner:${ownerPk}`,
    seq === undefined ? undefined : `Seq:${seq}`,
    userType === undefined ? undefined : `UserType:${userType}`,
  ];
  return fields.filter((field) => field !== undefined).join(',');
}

function textValue(text: string): Value {
  return Value.plain({ data: text, userType: 'text/plain' });
}

function keyOf(text: string | undefined): InfoHash | undefined {
  return text === undefined ? undefined : InfoHash.key(text);
}

/** Forty hex digits are a short id, sixty-four a long one. */
function recipient(text = ''): InfoHash | PkId {
  const long = PkId.parse(text);
  return long.isZero ? InfoHash.parse(text) : long;
}
