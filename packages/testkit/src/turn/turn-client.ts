import { type Endpoint, systemRandom } from '@atoll/base';
import {
  Attribute,
  decodeMessage,
  encodeChannelData,
  longTermKey,
  MessageWriter,
  Method,
  StunMessage,
} from '@atoll/stun';
import { openTurnTransport, type TurnTransport, type TurnTransportOptions } from './turn-transport.js';

const TRANSPORT_UDP = 17;
const FIRST_RETRY_MS = 500;
const RETRIES = 6;

export interface TurnClientOptions extends TurnTransportOptions {
  readonly user: string;
  readonly password: string;
}

/** An error answer of a TURN server. */
export class TurnRefusal extends Error {
  readonly code: number;

  constructor(method: number, code: number) {
    super(`the server answers method ${method} with ${code}`);
    this.code = code;
  }
}

/** A TURN client with one allocation, as many as a test wants of them. */
export class TurnClient {
  /** ChannelData that came. */
  receivedPackets = 0;
  /** Given the data of each, valid only during the call. */
  onData: ((data: Buffer) => void) | undefined;
  isClosed = false;
  private readonly options: TurnClientOptions;
  private transport: TurnTransport | undefined;
  private readonly answers = new Map<string, (message: StunMessage) => void>();
  private key: Buffer | undefined;
  private realm = '';
  private nonce = '';
  private relay: Endpoint | undefined;

  private constructor(options: TurnClientOptions) {
    this.options = options;
  }

  /** Connects; {@link allocate} is next. */
  static async open(options: TurnClientOptions): Promise<TurnClient> {
    const client = new TurnClient(options);
    client.transport = await openTurnTransport(options, {
      receive: (bytes) => client.receive(bytes),
      closed: () => {
        client.isClosed = true;
      },
    });
    return client;
  }

  /** The relayed transport address. */
  get relayed(): Endpoint {
    if (this.relay === undefined) throw new Error('the client has no allocation');
    return this.relay;
  }

  /** Makes the allocation, with the two requests that it takes. Throws {@link TurnRefusal}. */
  async allocate(): Promise<void> {
    const answer = await this.ask(Method.allocate, (writer) => writer.add(Attribute.requestedTransport, TRANSPORT_UDP));
    this.relay = answer.get(Attribute.xorRelayedAddress);
  }

  /** Binds a channel to a peer. */
  async bind(channel: number, peer: Endpoint): Promise<void> {
    await this.ask(Method.channelBind, (writer) =>
      writer.add(Attribute.channelNumber, channel).add(Attribute.xorPeerAddress, peer),
    );
  }

  /** Renews the allocation for this time; 0 ends it. */
  async refresh(seconds: number): Promise<void> {
    await this.ask(Method.refresh, (writer) => writer.add(Attribute.lifetime, seconds));
  }

  /** A ChannelData message as this client sends it. */
  frame(channel: number, data: Uint8Array): Buffer {
    return encodeChannelData(channel, data, this.transport?.isDatagram === false);
  }

  /** Sends a message as it is. */
  send(message: Buffer): void {
    this.transport?.send(message);
  }

  close(): void {
    this.isClosed = true;
    this.transport?.close();
  }

  private async ask(method: number, fill: (writer: MessageWriter) => void): Promise<StunMessage> {
    // The second round with what the first answer told: realm and nonce, or a newer nonce.
    for (let round = 0; ; round++) {
      const answer = await this.exchange(method, fill);
      if (answer.class === 'success') return answer;
      const code = answer.get(Attribute.errorCode)?.code ?? 0;
      const isChallenge = (code === 401 && this.key === undefined) || code === 438;
      if (!isChallenge || round > 1) throw new TurnRefusal(method, code);
      this.realm = answer.get(Attribute.realm) ?? this.realm;
      this.nonce = answer.get(Attribute.nonce) ?? this.nonce;
      this.key = longTermKey(this.options.user, this.realm, this.options.password);
    }
  }

  private async exchange(method: number, fill: (writer: MessageWriter) => void): Promise<StunMessage> {
    const id = systemRandom.bytes(12);
    const writer = new MessageWriter(method, 'request', id);
    fill(writer);
    if (this.key !== undefined) {
      writer
        .add(Attribute.username, this.options.user)
        .add(Attribute.realm, this.realm)
        .add(Attribute.nonce, this.nonce)
        .addIntegrity(this.key);
    }
    const bytes = writer.finish();
    const name = Buffer.from(id).toString('latin1');
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const end = (): void => {
        clearTimeout(timer);
        this.answers.delete(name);
      };
      const attempt = (count: number): void => {
        if (this.isClosed || count > RETRIES) {
          end();
          reject(new Error(`the server does not answer method ${method}`));
          return;
        }
        if (count === 0 || this.transport?.isDatagram === true) this.transport?.send(bytes);
        timer = setTimeout(() => attempt(count + 1), FIRST_RETRY_MS * 2 ** count);
      };
      this.answers.set(name, (message) => {
        end();
        resolve(message);
      });
      attempt(0);
    });
  }

  private receive(bytes: Buffer): void {
    if ((bytes[0] as number) >= 0x40) {
      this.receivedPackets++;
      this.onData?.(bytes.subarray(4, 4 + bytes.readUInt16BE(2)));
      return;
    }
    const message = decodeMessage(Buffer.from(bytes));
    if (message instanceof StunMessage) this.answers.get(message.transactionId.toString('latin1'))?.(message);
  }
}
