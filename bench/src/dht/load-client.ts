import { Endpoint, systemRandom } from '@atoll/base';
import { decodeMessage, MessageEncoder, type NodeAddress, Value } from '@atoll/dht';
import { InfoHash } from '@atoll/identity';
import { type DatagramSocket, openDatagramSocket } from '@atoll/udp';

/** Requests a node is asked to answer, as fast as it does. */
export type LoadKind = 'ping' | 'find' | 'get' | 'put';

/** Who asks: nodes with an id and a port of their own, each with so many requests under way. */
export interface LoadShape {
  readonly nodes: number;
  readonly window: number;
}

/** Few nodes that ask much: what they send and get comes in runs. */
export const FEW_BUSY_NODES: LoadShape = { nodes: 16, window: 16 };
/** Many nodes with one request each, so that no two datagrams in a row belong to one node. */
export const MANY_NODES: LoadShape = { nodes: 128, window: 1 };

/** Without any answer for so long, ms, what is under way counts as lost. */
const LOST_MS = 500;
const KEYS = 256;
const VALUE_BYTES = 100;
/** Transaction ids from here on take five bytes, so that a packet is changed in place. */
const FIRST_TID = 0x0100_0000;
const REQUEST_MARK = 'a'.charCodeAt(0);
const NO_NODES: readonly NodeAddress[] = [];

interface Template {
  readonly packet: Buffer;
  readonly tidAt: number;
  /** Where key and value id of a put stand, which change from put to put. */
  readonly keyAt: number;
  readonly valueIdAt: number;
}

/** What became of the requests so far. */
export interface LoadCount {
  readonly answered: number;
  readonly lost: number;
}

/** Nodes that ask one node as much as it answers, in batches, with a bound on what is under way, and answer it too. */
export class LoadClient {
  private readonly asking: AskingNode[] = [];

  /** Opens the nodes and makes them known to the target: it asks them in turn, and they answer. */
  static async open(port: number, { nodes, window }: LoadShape): Promise<LoadClient> {
    const client = new LoadClient();
    const target = new Endpoint('\x7f\0\0\x01', port);
    for (let i = 0; i < nodes; i++) client.asking.push(await AskingNode.open(target, window));
    return client;
  }

  /** Answers to requests of this kind keep coming until {@link pause}. */
  async start(kind: LoadKind): Promise<void> {
    for (const node of this.asking) await node.prepare(kind, KEYS / this.asking.length);
    for (const node of this.asking) node.resume();
  }

  pause(): void {
    for (const node of this.asking) node.pause();
  }

  get count(): LoadCount {
    let answered = 0;
    let lost = 0;
    for (const node of this.asking) {
      answered += node.answered;
      lost += node.lost;
    }
    return { answered, lost };
  }

  /** Stores values of so many bytes, each under a key of its own, and waits until all are acknowledged. */
  async store(values: number, bytes: number): Promise<void> {
    const share = Math.ceil(values / this.asking.length);
    await Promise.all(this.asking.map((node) => node.store(share, bytes)));
  }

  async close(): Promise<void> {
    for (const node of this.asking) await node.close();
  }
}

class AskingNode {
  answered = 0;
  lost = 0;
  private readonly target: Endpoint;
  private readonly window: number;
  private readonly id = new InfoHash(systemRandom.bytes(InfoHash.bytes).latin1Slice());
  private readonly encoder = new MessageEncoder({ id: this.id, networkId: 0, isClient: false, userAgent: 'bench' });
  private socket: DatagramSocket | undefined;
  private templates: readonly Template[] = [];
  private next = 0;
  private tid = FIRST_TID;
  private underWay = 0;
  private isRunning = false;
  private token = '';
  private targetId = InfoHash.zero;
  private lastAnswerMs = 0;
  private readonly watch: NodeJS.Timeout;
  private heard: (() => void) | undefined;

  private constructor(target: Endpoint, window: number) {
    this.target = target;
    this.window = window;
    this.watch = setInterval(() => this.lookForLoss(), LOST_MS / 5);
  }

  static async open(target: Endpoint, window: number): Promise<AskingNode> {
    const node = new AskingNode(target, window);
    node.socket = await openDatagramSocket(
      { family: 4, address: '127.0.0.1', port: 0, receiveBufferBytes: 4 << 20, sendBufferBytes: 4 << 20 },
      { receive: (bytes, from) => node.receive(bytes, from), batchEnd: () => node.fill() },
    );
    await node.ask(node.encoder.ping(node.tid++));
    return node;
  }

  /** Makes the packets of a kind; for gets it stores what they will find. */
  async prepare(kind: LoadKind, keys: number): Promise<void> {
    await this.ask(this.encoder.find(this.tid++, this.targetId, false));
    const templates: Template[] = [];
    for (let i = 0; i < keys; i++) {
      const key = this.keyNearTarget();
      const value = Value.plain({ id: randomId(), data: systemRandom.bytes(VALUE_BYTES) });
      const put = this.encoder.put(FIRST_TID, key, value, undefined, this.token);
      if (kind === 'get') for (const packet of put) await this.ask(packet);
      const packets = {
        ping: () => Buffer.from(this.encoder.ping(FIRST_TID)),
        find: () => Buffer.from(this.encoder.find(FIRST_TID, key, false)),
        get: () => Buffer.from(this.encoder.get(FIRST_TID, key, undefined, false)),
        put: () => put[0] as Buffer,
      };
      const packet = packets[kind]();
      const valueId = Buffer.alloc(8);
      valueId.writeBigUInt64BE(value.id);
      templates.push({
        packet,
        tidAt: packet.lastIndexOf(Buffer.from([0xce, 0x01, 0, 0, 0])) + 1,
        keyAt: kind === 'put' ? packet.indexOf(key.toBytes()) : -1,
        valueIdAt: kind === 'put' ? packet.indexOf(valueId) : -1,
      });
    }
    this.templates = templates;
  }

  resume(): void {
    this.isRunning = true;
    this.lastAnswerMs = performance.now();
    this.fill();
  }

  pause(): void {
    this.isRunning = false;
  }

  async store(values: number, bytes: number): Promise<void> {
    await this.ask(this.encoder.find(this.tid++, this.targetId, false));
    for (let i = 0; i < values; i++) {
      const value = Value.plain({ id: randomId(), data: systemRandom.bytes(bytes) });
      const packets = this.encoder.put(this.tid++, this.keyNearTarget(), value, undefined, this.token);
      await this.ask(...packets);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.watch);
    await this.socket?.close();
  }

  /** Sends until an answer comes. */
  private async ask(...packets: readonly Buffer[]): Promise<void> {
    const copies = packets.map((packet) => Buffer.from(packet));
    await new Promise<void>((resolve) => {
      const send = (): void => {
        for (const copy of copies) this.socket?.send(copy, this.target);
      };
      const timer = setInterval(send, LOST_MS);
      this.heard = () => {
        clearInterval(timer);
        this.heard = undefined;
        resolve();
      };
      send();
    });
  }

  private receive(bytes: Buffer, from: Endpoint): void {
    // The body stands first: a request has `a` there. What the target asks is answered so that it keeps us as good.
    if (bytes[2] === REQUEST_MARK) {
      this.answer(bytes, from);
      return;
    }
    if (this.heard !== undefined) {
      const message = decodeMessage(bytes);
      if (typeof message === 'string' || message.kind !== 'reply') return;
      this.targetId = message.id;
      if (message.token !== '') this.token = message.token;
      this.heard();
      return;
    }
    if (this.underWay === 0) return;
    this.underWay--;
    this.answered++;
    this.lastAnswerMs = performance.now();
  }

  private answer(bytes: Buffer, from: Endpoint): void {
    const message = decodeMessage(bytes);
    if (typeof message === 'string') return;
    const lists = { nodes4: NO_NODES };
    const reply =
      message.kind === 'find' || message.kind === 'get'
        ? this.encoder.replyFind(message.tid, from, lists, 'bench token of 32 bytes.........')
        : this.encoder.replyAlive(message.tid, from);
    this.socket?.send(reply, from);
  }

  private fill(): void {
    const { socket } = this;
    if (!this.isRunning || socket === undefined) return;
    while (this.underWay < this.window) {
      const template = this.templates[this.next] as Template;
      this.next = this.next + 1 === this.templates.length ? 0 : this.next + 1;
      const { packet, tidAt, keyAt, valueIdAt } = template;
      const tid = this.tid++;
      packet.writeUInt32BE(tid, tidAt);
      if (keyAt > 0) {
        packet.writeUInt32BE(tid, keyAt + InfoHash.bytes - 4);
        packet.writeUInt32BE(tid, valueIdAt + 4);
      }
      socket.send(packet, this.target);
      this.underWay++;
    }
    socket.flush();
  }

  private lookForLoss(): void {
    if (!this.isRunning || this.underWay === 0 || performance.now() - this.lastAnswerMs < LOST_MS) return;
    this.lost += this.underWay;
    this.underWay = 0;
    this.lastAnswerMs = performance.now();
    this.fill();
  }

  /** A key so near to the target's id that no other node is nearer: the target keeps what is put there. */
  private keyNearTarget(): InfoHash {
    const bytes = systemRandom.bytes(InfoHash.bytes);
    this.targetId.toBytes().copy(bytes, 0, 0, 4);
    return new InfoHash(bytes.latin1Slice());
  }
}

/** A value id that takes nine bytes on the wire. */
function randomId(): bigint {
  return systemRandom.bytes(8).readBigUInt64BE() | (1n << 63n);
}
