import { AtollError, Endpoint, type Family, type RandomSource } from '@atoll/base';
import type { DatagramGroup, GroupHandler, GroupSocket } from '@atoll/udp';
import type {
  RelayFactory,
  TcpRelay,
  TcpRelayHandler,
  UdpRelay,
  UdpRelayHandler,
  UdpRelayRequest,
} from './core/relay.js';
import { type PortRange, RelayPorts } from './relay-ports.js';
import { listenForPeers } from './tcp-relay.js';

const nobody: GroupHandler = { receiveRange() {} };

export interface RelayOptions extends PortRange {
  /** Addresses to relay from; where there is none of a family, the address the client reached the server on. */
  readonly addresses: readonly string[];
  /** Addresses of the server that clients may reach it on. */
  readonly listening: readonly string[];
  /** What peers see instead of an address of ours, behind a NAT: by address, or for all as `*`. */
  readonly external: ReadonlyMap<string, string>;
}

export interface RelayComponents {
  readonly group: DatagramGroup;
  readonly random: RandomSource;
}

/** Opens the sockets of relayed transport addresses. */
export class Relays implements RelayFactory {
  private readonly group: DatagramGroup;
  private readonly random: RandomSource;
  private readonly options: RelayOptions;
  private readonly listening: Set<string>;
  private known: ReadonlySet<Family> | undefined;
  private readonly ports: RelayPorts;
  private readonly tcpPorts: RelayPorts;

  constructor(components: RelayComponents, options: RelayOptions) {
    this.group = components.group;
    this.random = components.random;
    this.options = options;
    this.ports = new RelayPorts(components, options);
    this.tcpPorts = new RelayPorts(components, options);
    this.listening = new Set(options.listening);
  }

  get families(): ReadonlySet<Family> {
    if (this.known !== undefined) return this.known;
    const { addresses } = this.options;
    const all = addresses.length > 0 ? addresses : [...this.listening];
    this.known = new Set(all.map((address): Family => (address.includes(':') ? 6 : 4)));
    return this.known;
  }

  /** The server listens at a further address. */
  addAddress(address: string): void {
    this.listening.add(address);
    this.known = undefined;
  }

  removeAddress(address: string): void {
    this.listening.delete(address);
    this.known = undefined;
  }

  get canForbidFragments(): boolean {
    return this.group.canForbidFragments;
  }

  openUdp(request: UdpRelayRequest, done: (relay: UdpRelay | undefined) => void): void {
    const host = this.hostFor(request.family, request.near);
    if (host === undefined) return done(undefined);
    const { at } = request;
    const opened = at === undefined ? this.tryPorts(request, host) : this.openAt(at.host, at.port);
    if (opened instanceof Promise) opened.then(done, () => done(undefined));
    else done(opened);
  }

  openTcp(
    { family, near }: { family: Family; near: Endpoint },
    handler: TcpRelayHandler,
    done: (relay: TcpRelay | undefined) => void,
  ): void {
    const host = this.hostFor(family, near);
    if (host === undefined) return done(undefined);
    const { tcpPorts } = this;
    const open = async (): Promise<TcpRelay | undefined> => {
      for (const port of tcpPorts.candidates(host, false)) {
        tcpPorts.take(host, port);
        const relay = await listenForPeers({ family, host, port }, handler).catch(() => undefined);
        if (relay === undefined) {
          tcpPorts.giveBack(host, port);
          continue;
        }
        return {
          address: this.seen(relay.address),
          connect: (peer, timeoutMs, connected) => relay.connect(peer, timeoutMs, connected),
          join: (...parts) => relay.join(...parts),
          close() {
            relay.close();
            tcpPorts.giveBack(host, port);
          },
        };
      }
      return undefined;
    };
    open().then(done, () => done(undefined));
  }

  private tryPorts(
    { port: wish }: UdpRelayRequest,
    host: string,
  ): UdpRelay | undefined | Promise<UdpRelay | undefined> {
    for (const port of this.ports.candidates(host, wish !== 'any')) {
      if (wish === 'even-with-next' && !this.ports.isFree(host, port + 1)) continue;
      const first = this.openAt(host, port);
      if (first === undefined) continue;
      if (first instanceof Promise) return this.tryPortsSlowly(wish, host, first);
      if (wish !== 'even-with-next') return first;
      const next = this.openAt(host, port + 1);
      if (next !== undefined && !(next instanceof Promise)) return Object.assign(first, { next });
      first.close();
    }
    return undefined;
  }

  /** The same where opening takes a turn of the event loop: without the native part. */
  private async tryPortsSlowly(
    wish: UdpRelayRequest['port'],
    host: string,
    begun: Promise<OpenRelay | undefined>,
  ): Promise<UdpRelay | undefined> {
    let first = await begun;
    for (const port of this.ports.candidates(host, wish !== 'any')) {
      first ??= await this.openAt(host, port);
      if (first === undefined) continue;
      if (wish !== 'even-with-next') return first;
      const next = await this.openAt(host, first.port + 1);
      if (next !== undefined) return Object.assign(first, { next });
      first.close();
      first = undefined;
    }
    return undefined;
  }

  private openAt(host: string, port: number): OpenRelay | undefined | Promise<OpenRelay | undefined> {
    const { ports } = this;
    ports.take(host, port);
    const refused = (error: unknown): undefined => {
      ports.giveBack(host, port);
      if (error instanceof AtollError) return undefined;
      throw error;
    };
    const made = (socket: GroupSocket): OpenRelay =>
      new OpenRelay(socket, this.seen(socket.local), () => ports.giveBack(host, port));
    try {
      const family: Family = host.includes(':') ? 6 : 4;
      const socket = this.group.open({ family, address: host, port, wantsErrors: true }, nobody);
      return socket instanceof Promise ? socket.then(made, refused) : made(socket);
    } catch (error) {
      return refused(error);
    }
  }

  private hostFor(family: Family, near: Endpoint): string | undefined {
    const own = this.options.addresses.filter((address) => address.includes(':') === (family === 6));
    if (own.length > 0) return own[this.random.uint32() % own.length];
    if (near.family === family) return near.host;
    return [...this.listening].find((address) => address.includes(':') === (family === 6));
  }

  private seen(local: Endpoint): Endpoint {
    const { external } = this.options;
    const outside = external.get(local.host) ?? external.get('*');
    const mapped = outside === undefined ? undefined : Endpoint.from(outside, local.port);
    return mapped !== undefined && mapped.family === local.family ? mapped : local;
  }
}

class OpenRelay implements UdpRelay {
  readonly address: Endpoint;
  readonly local: Endpoint;
  readonly port: number;
  next?: UdpRelay;
  private readonly socket: GroupSocket;
  private readonly closed: () => void;

  constructor(socket: GroupSocket, address: Endpoint, closed: () => void) {
    this.socket = socket;
    this.address = address;
    this.local = socket.local;
    this.port = socket.local.port;
    this.closed = closed;
  }

  setHandler(handler: UdpRelayHandler | undefined): void {
    this.socket.handler = handler ?? nobody;
  }

  sendRange(memory: Buffer, start: number, end: number, to: Endpoint, dontFragment: boolean): void {
    this.socket.sendRange(memory, start, end, to, dontFragment);
  }

  close(): void {
    this.socket.close();
    this.closed();
  }
}
