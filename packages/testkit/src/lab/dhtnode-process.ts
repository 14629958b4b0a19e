import { eventually } from './deadline.js';
import type { Host } from './lan.js';
import type { ManagedProcess } from './managed-process.js';

/** A lookup on a loaded machine, with dead nodes that have to be given up first, ms. */
const LOOKUP_MS = 60_000;
const PROMPT = '>> ';

export interface DhtnodeOptions {
  readonly port?: number;
  readonly args?: readonly string[];
  /** Program and first arguments that replace `dhtnode`: anything that takes its options and commands. */
  readonly command?: readonly string[];
}

/**
 * A real dhtnode of Debian, or any program that speaks as it does, driven through its commands. Keys are 40 hex digits or
 * a word that the node hashes; texts are words without blanks, as dhtnode takes no others.
 *
 * Not for `-s`: dhtnode keeps what it prints to itself when it has no prompt to show.
 */
export class DhtnodeProcess {
  readonly process: ManagedProcess;
  /** Its node id, 40 hex digits. */
  readonly id: string;
  /** `address:port` to bootstrap from. */
  readonly bootstrap: string;
  /** `[address]:port` to bootstrap from over IPv6, in a LAN that has it. */
  readonly bootstrap6: string;

  private constructor(process: ManagedProcess, id: string, host: Host, port: number) {
    this.process = process;
    this.id = id;
    this.bootstrap = `${host.address}:${port}`;
    this.bootstrap6 = `[${host.address6}]:${port}`;
  }

  /** Starts it on a host and waits until it runs. */
  static async start(host: Host, options: DhtnodeOptions = {}): Promise<DhtnodeProcess> {
    const { port = 4222, args = [], command = ['dhtnode'] } = options;
    const [program = '', ...first] = command;
    const process = host.spawn(program, [...first, '-p', String(port), ...args]);
    const [, id = ''] = await process.waitForOutput(/OpenDHT node ([0-9a-f]{40}) running on port/, LOOKUP_MS);
    // Before it shows its prompt, dhtnode does not end when it is told to.
    await process.waitUntil((output) => output.includes(PROMPT) || undefined, 'prompt', LOOKUP_MS);
    return new DhtnodeProcess(process, id, host, port);
  }

  /** Gives a command and waits for what it prints. */
  async command(line: string, answer: RegExp, limitMs: number = LOOKUP_MS): Promise<RegExpExecArray> {
    const from = this.process.output.length;
    this.process.writeLine(line);
    const find = (output: string): RegExpExecArray | undefined => {
      const printed = output.slice(from);
      // dhtnode shows its prompt from another thread, at times in the middle of an answer.
      return answer.exec(printed) ?? answer.exec(printed.replaceAll(PROMPT, '')) ?? undefined;
    };
    return this.process.waitUntil(find, String(answer), limitMs);
  }

  /** Id of its own key, 40 hex digits; only of a node with an identity. */
  async publicKeyId(): Promise<string> {
    const [, id = ''] = await this.process.waitForOutput(/Public key ID ([0-9a-f]{40})/);
    return id;
  }

  /** Puts a text; resolves to the value's id in hex, or undefined when no node took it. */
  async put(key: string, text: string): Promise<string | undefined> {
    return this.putWith('p', key, text);
  }

  /** As {@link put}, kept alive by the node. */
  async putPermanent(key: string, text: string): Promise<string | undefined> {
    return this.putWith('pp', key, text);
  }

  /** Puts a text signed by the node's identity; whether any node took it. */
  async putSigned(key: string, text: string): Promise<boolean> {
    const [, outcome] = await this.command(`s ${key} ${text}`, /Put signed: (success|failure)/);
    return outcome === 'success';
  }

  /** Puts a text sealed for the key with this id; whether its certificate was found and any node took it. */
  async putEncrypted(key: string, to: string, text: string): Promise<boolean> {
    const [, outcome] = await this.command(`e ${key} ${to} ${text}`, /Put encrypted: (success|failure)/);
    return outcome === 'success';
  }

  /** The values under a key as the node prints them; `where` as in `WHERE user_type=text/plain`. */
  async get(key: string, where = ''): Promise<string[]> {
    const found = await this.command(`g ${key} ${where}`, /Get: (?:completed|failed|failure), took[^\n]*\n/);
    return [...found.input.slice(0, found.index).matchAll(/^\t(Value\[[^\n]*\])$/gm)].map(([, value = '']) => value);
  }

  /** The fields of values under a key as the node prints them: `Id:…,Seq:…`. */
  async query(key: string, query: string): Promise<string[]> {
    const found = await this.command(`q ${key} ${query}`, /Query: (?:completed|failed|failure), took[^\n]*\n/);
    return [...found.input.slice(0, found.index).matchAll(/^\tIndex\[([^\n]*)\]$/gm)].map(([, fields = '']) => fields);
  }

  /** Listens; resolves to the token to cancel with. Wait with {@link heard}. */
  async listen(key: string, where = ''): Promise<string> {
    const [, token = ''] = await this.command(`l ${key} ${where}`, /Listening, token: (\d+)/);
    return token;
  }

  /** Waits until a listen has told of a value whose line has this text in it, there or gone. */
  async heard(text: string, isGone = false, limitMs: number = LOOKUP_MS): Promise<void> {
    const head = isGone ? /^Listen: found \d+ values expired/ : /^Listen: found \d+ values \(/;
    const find = (output: string): true | undefined => {
      let isListed = false;
      for (const line of output.replaceAll(PROMPT, '').split('\n')) {
        if (!line.startsWith('\t')) isListed = head.test(line);
        else if (isListed && line.includes(text)) return true;
      }
      return undefined;
    };
    const what = `listen that ${isGone ? 'lost' : 'found'} ${text.slice(0, 100)}`;
    await this.process.waitUntil(find, what, limitMs);
  }

  /** Number of values that it keeps under a key of 40 hex digits. */
  async storedValues(key: string): Promise<number> {
    const [, count] = await this.command(`ld ${key}`, new RegExp(`Storage ${key} (?:\\d+ list., (\\d+) values|empty)`));
    return Number(count ?? 0);
  }

  /** Waits until remote nodes listen to a key of 40 hex digits on this node. */
  async isListenedTo(key: string): Promise<void> {
    const isListening = async (): Promise<boolean> => {
      const [, count] = await this.command(`ld ${key}`, new RegExp(`Storage ${key} (?:(\\d+) list.,|empty)`));
      return Number(count ?? 0) > 0;
    };
    await eventually(isListening, `nobody listens to ${key} on ${this.process.name}`);
  }

  /** Number of good nodes in the routing table of a family. */
  async goodNodes(family: 4 | 6 = 4): Promise<number> {
    const pattern = new RegExp(`IPv${family} stats:\\nKnown nodes: (\\d+) good`);
    const [, good] = await this.command('ll', pattern);
    return Number(good);
  }

  /** Waits until it has so many good nodes in a family. */
  async connected(atLeast = 1, family: 4 | 6 = 4, limitMs: number = LOOKUP_MS): Promise<void> {
    const what = `${this.process.name} did not get ${atLeast} good IPv${family} nodes`;
    await eventually(async () => (await this.goodNodes(family)) >= atLeast, what, limitMs);
  }

  /** Ends it as SIGTERM does: it writes its state, once the operations that it still waits for are over. */
  stop(): Promise<void> {
    return this.process.stop(LOOKUP_MS);
  }

  /** Ends it as if the power went. */
  kill(): Promise<void> {
    return this.process.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
  }

  private async putWith(word: string, key: string, text: string): Promise<string | undefined> {
    const answer = /Put: (success|failure), took [^\n]*Value ID: ([0-9a-f]+)/;
    const [, outcome, id] = await this.command(`${word} ${key} ${text}`, answer);
    return outcome === 'success' ? id : undefined;
  }
}
