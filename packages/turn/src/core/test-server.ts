import { type Clock, Endpoint, type Family, silentLogger, systemRandom } from '@atoll/base';
import { Attribute, decodeMessage, longTermKey, MessageWriter, Method, type StunMessage } from '@atoll/stun';
import type { ClientListener, ClientProtocol, ListenerPort } from './client.js';
import type { CredentialStore } from './credentials.js';
import { DEFAULT_TURN_OPTIONS } from './options.js';
import { PeerRules } from './peer-rules.js';
import { Realms } from './realms.js';
import type {
  PeerConnection,
  RelayFactory,
  StreamMeter,
  TcpRelay,
  TcpRelayHandler,
  UdpRelay,
  UdpRelayHandler,
} from './relay.js';
import { TurnCore, type TurnCoreOptions } from './turn-core.js';

export const REALM = 'ring';
export const USER = 'ring';
export const KEY = longTermKey(USER, REALM, 'ring');
const HEADROOM_BYTES = 8;

export function endpoint(host: string, port: number): Endpoint {
  const made = Endpoint.from(host, port);
  if (made === undefined) throw new Error(`${host} is no address`);
  return made;
}

/** A relay whose datagrams the test sees and sends. */
export class TestRelay implements UdpRelay {
  readonly address: Endpoint;
  next?: UdpRelay;
  readonly sent: { data: string; to: string; dontFragment: boolean }[] = [];
  isClosed = false;
  private handler: UdpRelayHandler | undefined;

  constructor(address: Endpoint) {
    this.address = address;
  }

  setHandler(handler: UdpRelayHandler | undefined): void {
    this.handler = handler;
  }

  sendRange(memory: Buffer, start: number, end: number, to: Endpoint, dontFragment: boolean): void {
    this.sent.push({ data: memory.toString('latin1', start, end), to: String(to), dontFragment });
  }

  /** A datagram of a peer. */
  receive(data: string, from: Endpoint): void {
    const memory = Buffer.alloc(HEADROOM_BYTES + data.length);
    memory.latin1Write(data, HEADROOM_BYTES);
    this.handler?.receiveRange(memory, HEADROOM_BYTES, memory.length, from);
  }

  unreachable(to: Endpoint): void {
    this.handler?.unreachable?.(to, { type: 3, code: 3, data: 0 });
  }

  close(): void {
    this.isClosed = true;
  }
}

/** A TCP relay whose connections the test makes. */
export class TestTcpRelay implements TcpRelay {
  readonly address: Endpoint;
  readonly handler: TcpRelayHandler;
  readonly joined: { peer: string; client: string }[] = [];
  meter: StreamMeter | undefined;
  answersConnect = true;
  isClosed = false;

  constructor(address: Endpoint, handler: TcpRelayHandler) {
    this.address = address;
    this.handler = handler;
  }

  connect(peer: Endpoint, _timeoutMs: number, done: (connection: PeerConnection | undefined) => void): void {
    done(this.answersConnect ? { peer, close: () => {} } : undefined);
  }

  join(connection: PeerConnection, _listener: ClientListener, client: Endpoint, meter: StreamMeter): boolean {
    this.meter = meter;
    this.joined.push({ peer: String(connection.peer), client: String(client) });
    return true;
  }

  close(): void {
    this.isClosed = true;
  }
}

interface TestServerSettings {
  readonly options?: Partial<TurnCoreOptions>;
  readonly userQuota?: number;
  readonly maxBps?: number;
  readonly families?: readonly Family[];
  readonly credentials?: CredentialStore;
}

/** A core on a virtual clock, with relays in memory. */
export class TestServer {
  readonly core: TurnCore;
  readonly relays: TestRelay[] = [];
  readonly tcpRelays: TestTcpRelay[] = [];
  readonly listener: TestListener;
  /** No port is free any more. */
  isFull = false;
  private now = 1_000_000;

  constructor(settings: TestServerSettings = {}) {
    const clock: Clock = { nowMs: () => this.now, unixMs: () => 1_700_000_000_000 + this.now };
    let port = 50_000;
    const families = settings.families ?? [4];
    const relays: RelayFactory = {
      families: new Set(families),
      canForbidFragments: true,
      openUdp: ({ family, port: wish }, done) => {
        if (this.isFull) return done(undefined);
        if (wish !== 'any' && port % 2 !== 0) port++;
        const host = family === 4 ? '10.0.0.9' : 'fd00::9';
        const relay = new TestRelay(endpoint(host, port++));
        this.relays.push(relay);
        if (wish === 'even-with-next') {
          const next = new TestRelay(endpoint(host, port++));
          relay.next = next;
          this.relays.push(next);
        }
        done(relay);
      },
      openTcp: (_request, handler, done) => {
        const relay = new TestTcpRelay(endpoint('10.0.0.9', port++), handler);
        this.tcpRelays.push(relay);
        done(relay);
      },
    };
    const realms = new Realms(REALM, {
      userQuota: settings.userQuota ?? 0,
      totalQuota: 0,
      maxBps: settings.maxBps ?? 0,
    });
    const credentials: CredentialStore = settings.credentials ?? {
      knowsSha256: false,
      find: (user, realm) => (user === USER && realm === REALM ? [{ account: USER, md5: KEY }] : []),
    };
    this.core = new TurnCore(
      {
        clock,
        random: systemRandom,
        logger: silentLogger,
        credentials,
        relays,
        realms,
        peerRules: new PeerRules({ allowed: [], denied: [], allowsLoopback: false, allowsMulticast: false }),
      },
      { ...DEFAULT_TURN_OPTIONS, nonceSecret: Buffer.alloc(32, 1), bpsCapacity: 0, ...settings.options },
    );
    this.listener = new TestListener(this.core, 'udp', endpoint('10.0.0.9', 3478));
  }

  /** Time goes on. */
  pass(ms: number): void {
    this.now += ms;
    this.core.scheduler.runDue(this.now);
  }

  /** Last relay opened. */
  get relay(): TestRelay {
    const relay = this.relays.at(-1);
    if (relay === undefined) throw new Error('no relay was opened');
    return relay;
  }
}

/** A listener whose clients are the test. */
export class TestListener implements ClientListener {
  readonly protocol: ClientProtocol;
  readonly isStream: boolean;
  readonly local: Endpoint;
  readonly port: ListenerPort;
  readonly sent: { bytes: Buffer; to: string }[] = [];
  readonly disconnected: string[] = [];
  waiting = 0;

  constructor(core: TurnCore, protocol: ClientProtocol, local: Endpoint) {
    this.protocol = protocol;
    this.isStream = protocol === 'tcp' || protocol === 'tls';
    this.local = local;
    this.port = core.addListener(this);
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    this.sent.push({ bytes: Buffer.from(bytes), to: String(to) });
  }

  sendRange(memory: Buffer, start: number, end: number, to: Endpoint): void {
    this.send(memory.subarray(start, end), to);
  }

  disconnect(client: Endpoint): void {
    this.disconnected.push(String(client));
  }

  waitingBytes(): number {
    return this.waiting;
  }

  client(host = '10.0.0.1', port = 40_000, key: Uint8Array = KEY, user = USER): TestClient {
    return new TestClient(this, endpoint(host, port), key, user);
  }
}

/** A client that does what RFC 8656 says, one request at a time. */
export class TestClient {
  nonce = '';
  readonly listener: TestListener;
  readonly from: Endpoint;
  private readonly key: Uint8Array;
  private readonly user: string;
  private transactions = 0;

  constructor(listener: TestListener, from: Endpoint, key: Uint8Array, user: string) {
    this.listener = listener;
    this.from = from;
    this.key = key;
    this.user = user;
  }

  /** Everything that came to this client since the last look. */
  received(): Buffer[] {
    const own = this.listener.sent.filter(({ to }) => to === String(this.from));
    this.listener.sent.length = 0;
    return own.map(({ bytes }) => bytes);
  }

  /** A request without credentials. */
  ask(method: number, fill: (writer: MessageWriter) => void = () => {}): StunMessage | undefined {
    const writer = new MessageWriter(method, 'request', this.transactionId());
    fill(writer);
    return this.give(writer.finish());
  }

  /** A request with credentials, a second time where the nonce was new or stale. */
  request(method: number, fill: (writer: MessageWriter) => void = () => {}): StunMessage {
    for (let attempt = 0; ; attempt++) {
      const answer = this.give(this.sealed(method, fill));
      if (answer === undefined) throw new Error('there is no answer');
      const code = answer.get(Attribute.errorCode)?.code;
      if (attempt > 0 || (code !== 401 && code !== 438)) return answer;
      this.nonce = answer.get(Attribute.nonce) ?? '';
    }
  }

  /** The bytes of a request with credentials. */
  sealed(method: number, fill: (writer: MessageWriter) => void = () => {}): Buffer {
    const writer = new MessageWriter(method, 'request', this.transactionId());
    fill(writer);
    return writer
      .add(Attribute.username, this.user)
      .add(Attribute.realm, REALM)
      .add(Attribute.nonce, this.nonce)
      .addIntegrity(this.key)
      .finish();
  }

  give(bytes: Buffer): StunMessage | undefined {
    this.listener.port.receive(bytes, this.from);
    const last = this.received().at(-1);
    if (last === undefined) return undefined;
    const message = decodeMessage(last);
    if (typeof message === 'string') throw new Error(message);
    return message;
  }

  allocate(fill: (writer: MessageWriter) => void = () => {}): StunMessage {
    return this.request(Method.allocate, (writer) => {
      writer.add(Attribute.requestedTransport, 17);
      fill(writer);
    });
  }

  permit(...peers: Endpoint[]): StunMessage {
    return this.request(Method.createPermission, (writer) => {
      for (const peer of peers) writer.add(Attribute.xorPeerAddress, peer);
    });
  }

  bind(channel: number, peer: Endpoint): StunMessage {
    return this.request(Method.channelBind, (writer) =>
      writer.add(Attribute.channelNumber, channel).add(Attribute.xorPeerAddress, peer),
    );
  }

  sendTo(peer: Endpoint, data: string, dontFragment = false): void {
    const writer = new MessageWriter(Method.send, 'indication', this.transactionId());
    writer.add(Attribute.xorPeerAddress, peer).add(Attribute.data, Buffer.from(data));
    if (dontFragment) writer.add(Attribute.dontFragment, true);
    this.listener.port.receive(writer.finish(), this.from);
  }

  private transactionId(): Buffer {
    const id = Buffer.alloc(12);
    id.writeUInt32BE(++this.transactions);
    id.writeUInt16BE(this.from.port, 4);
    return id;
  }
}

/** The code of an answer; 0 for success. */
export function codeOf(answer: StunMessage | undefined): number {
  if (answer === undefined) throw new Error('there is no answer');
  return answer.class === 'success' ? 0 : (answer.get(Attribute.errorCode)?.code ?? -1);
}
