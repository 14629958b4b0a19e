import { type Endpoint, systemRandom } from '@atoll/base';
import {
  Attribute,
  CHANNEL_HEADER_BYTES,
  decodeMessage,
  encodeChannelData,
  isChannelData,
  longTermKey,
  MessageWriter,
  Method,
  MIN_CHANNEL,
  StunMessage,
} from '@atoll/stun';
import { timeLimitedPassword } from '@atoll/turn';
import type { TurnTarget } from '../target.js';
import type { TurnLink } from './turn-link.js';

const TRANSPORT_UDP = 17;
const RETRY_MS = 250;
const UNAUTHORIZED = 401;
const STALE_NONCE = 438;
/** A time-limited credential of the doctor is good for so long, s. */
const SECRET_LIFE_S = 3600;

/** A user and a password, whatever kind they are of. */
export interface TurnCredential {
  readonly kind: 'password' | 'secret';
  readonly user: string;
  readonly password: string;
}

/** Every credential that a target gives. */
export function credentialsOf({ user, password, secret }: TurnTarget, unixMs: number): TurnCredential[] {
  const found: TurnCredential[] = [];
  if (user !== undefined && password !== undefined) found.push({ kind: 'password', user, password });
  if (secret !== undefined) {
    const limited = `${Math.floor(unixMs / 1000) + SECRET_LIFE_S}:doctor`;
    found.push({ kind: 'secret', user: limited, password: timeLimitedPassword(limited, secret) });
  }
  return found;
}

/** What a server answered to a request. */
export type TurnOutcome = StunMessage | 'refused' | 'silent';

/** A small client of RFC 8656: one allocation on one link. */
export class TurnClient {
  /** Hears what peers send through the relay. The bytes are valid only during the call. */
  onData: (bytes: Buffer) => void = () => {};
  /** Where the server sees this client, and where peers reach it; set by {@link allocate}. */
  mapped: Endpoint | undefined;
  relayed: Endpoint | undefined;
  private readonly link: TurnLink;
  private readonly credential: TurnCredential | undefined;
  private realm: string;
  private nonce: string | undefined;
  private readonly waiting = new Map<string, (message: StunMessage) => void>();
  private hasEnded = false;
  private onEnd: () => void = () => {};

  constructor(link: TurnLink, credential: TurnCredential | undefined, realm = '') {
    this.link = link;
    this.credential = credential;
    this.realm = realm;
    link.onMessage = (bytes) => this.receive(bytes);
    link.onEnd = () => {
      this.hasEnded = true;
      this.onEnd();
    };
  }

  /** Asks for a relay: the answer's code, 0 for success. */
  async allocate(limitMs: number): Promise<number | 'refused' | 'silent'> {
    const answer = await this.request(
      Method.allocate,
      (writer) => writer.add(Attribute.requestedTransport, TRANSPORT_UDP),
      limitMs,
    );
    if (typeof answer === 'string') return answer;
    this.mapped = answer.get(Attribute.xorMappedAddress);
    this.relayed = answer.get(Attribute.xorRelayedAddress);
    return codeOf(answer);
  }

  /** Binds the one channel of this client to a peer, which permits the peer, too. */
  async bind(peer: Endpoint, limitMs: number): Promise<number | 'refused' | 'silent'> {
    const answer = await this.request(
      Method.channelBind,
      (writer) => writer.add(Attribute.channelNumber, MIN_CHANNEL).add(Attribute.xorPeerAddress, peer),
      limitMs,
    );
    return typeof answer === 'string' ? answer : codeOf(answer);
  }

  /** Lets a peer's address send to the relay. */
  async permit(peer: Endpoint, limitMs: number): Promise<number | 'refused' | 'silent'> {
    const answer = await this.request(
      Method.createPermission,
      (writer) => writer.add(Attribute.xorPeerAddress, peer),
      limitMs,
    );
    return typeof answer === 'string' ? answer : codeOf(answer);
  }

  /** Sends to the peer of the channel. */
  send(bytes: Uint8Array): void {
    this.link.send(
      encodeChannelData(MIN_CHANNEL, bytes, this.link.transport === 'TCP' || this.link.transport === 'TLS'),
    );
  }

  /** Gives the relay back, as well as it can be, and closes the link. */
  async close(): Promise<void> {
    if (this.relayed !== undefined) {
      await this.request(Method.refresh, (writer) => writer.add(Attribute.lifetime, 0), 2 * RETRY_MS);
    }
    this.link.close();
  }

  private async request(method: number, fill: (writer: MessageWriter) => void, limitMs: number): Promise<TurnOutcome> {
    for (let attempt = 0; ; attempt++) {
      const answer = await this.exchange(method, fill, limitMs);
      if (typeof answer === 'string') return answer;
      const code = codeOf(answer);
      const isFirst = this.nonce === undefined && code === UNAUTHORIZED && this.credential !== undefined;
      if ((!isFirst && code !== STALE_NONCE) || attempt > 1) return answer;
      this.nonce = answer.get(Attribute.nonce) ?? '';
      this.realm = answer.get(Attribute.realm) ?? this.realm;
    }
  }

  private exchange(method: number, fill: (writer: MessageWriter) => void, limitMs: number): Promise<TurnOutcome> {
    const id = systemRandom.bytes(12);
    const key = id.toString('latin1');
    const writer = new MessageWriter(method, 'request', id);
    fill(writer);
    if (this.nonce !== undefined && this.credential !== undefined) {
      const { user, password } = this.credential;
      writer
        .add(Attribute.username, user)
        .add(Attribute.realm, this.realm)
        .add(Attribute.nonce, this.nonce)
        .addIntegrity(longTermKey(user, this.realm, password));
    }
    const bytes = Buffer.from(writer.finish());
    return new Promise((resolve) => {
      const end = (outcome: TurnOutcome): void => {
        clearInterval(again);
        clearTimeout(late);
        this.waiting.delete(key);
        resolve(outcome);
      };
      const isDatagram = this.link.transport === 'UDP' || this.link.transport === 'DTLS';
      const again = setInterval(() => isDatagram && this.link.send(bytes), RETRY_MS);
      const late = setTimeout(() => end('silent'), limitMs);
      this.waiting.set(key, end);
      this.onEnd = () => end('refused');
      if (this.hasEnded) end('refused');
      else this.link.send(bytes);
    });
  }

  private receive(bytes: Buffer): void {
    if (isChannelData(bytes)) {
      if (bytes.length < CHANNEL_HEADER_BYTES) return;
      const length = bytes.readUInt16BE(2);
      if (length <= bytes.length - CHANNEL_HEADER_BYTES) {
        this.onData(bytes.subarray(CHANNEL_HEADER_BYTES, CHANNEL_HEADER_BYTES + length));
      }
      return;
    }
    // What waits for the answer looks at it later, when the link may have used the memory again.
    const message = decodeMessage(Buffer.from(bytes));
    if (!(message instanceof StunMessage)) return;
    if (message.class === 'indication') {
      const data = message.get(Attribute.data);
      if (message.method === Method.data && data !== undefined) this.onData(Buffer.from(data));
      return;
    }
    this.waiting.get(message.transactionId.toString('latin1'))?.(message);
  }
}

function codeOf(message: StunMessage): number {
  return message.class === 'success' ? 0 : (message.get(Attribute.errorCode)?.code ?? -1);
}
