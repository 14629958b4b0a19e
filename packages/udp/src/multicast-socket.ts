import { createSocket, type Socket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { asBuffer, Endpoint, type Family, formatIp } from '@atoll/base';
import { bindError } from './bind-error.js';

/** What a multicast socket tells its owner. */
export interface MulticastHandler {
  receive(bytes: Buffer, from: Endpoint): void;
  /** Links came or went since the last look. */
  interfacesChanged?(): void;
}

/** One socket in a multicast group on every link of the machine. */
export interface MulticastSocket {
  /** Names of the links joined. */
  readonly interfaces: readonly string[];
  /** Sends to the group on every link. */
  sendToGroup(bytes: Uint8Array): void;
  /** Sends to one peer. */
  sendTo(bytes: Uint8Array, to: Endpoint): void;
  /** Looks for links that came or went, joins and leaves; tells the handler when something changed. */
  refresh(): void;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface MulticastOptions {
  readonly family: Family;
  readonly group: string;
  /** Port of the group; also the source port. Shared with other programs of this machine. */
  readonly port: number;
}

/**
 * Opens a socket in a group (protocol/peer-discovery.md 1): hop limit 1, what is sent is heard by other programs of this
 * machine too. A link that cannot be joined is left out. Fails only when the port cannot be bound.
 */
export function openMulticastSocket(options: MulticastOptions, handler: MulticastHandler): Promise<MulticastSocket> {
  const { family, group, port } = options;
  const socket = createSocket({
    type: family === 4 ? 'udp4' : 'udp6',
    reuseAddr: true,
    ipv6Only: family === 6,
    // Only addresses are sent to. Answering at once keeps a datagram on the link chosen just before it.
    lookup: (host, _options, found) => found(null, host, family),
  });
  return new Promise((resolve, reject) => {
    const refuse = (cause: Error): void => reject(bindError(cause, family, undefined, port));
    socket.once('error', refuse);
    socket.bind({ port, exclusive: true }, () => {
      socket.off('error', refuse);
      socket.on('error', () => {});
      resolve(new GroupSocket(socket, family, group, port, handler));
    });
  });
}

class GroupSocket implements MulticastSocket {
  private readonly socket: Socket;
  private readonly family: Family;
  private readonly group: string;
  private readonly port: number;
  private readonly handler: MulticastHandler;
  /** Links joined: name and what the system calls it in multicast options. */
  private joined = new Map<string, string>();
  private isClosed = false;

  constructor(socket: Socket, family: Family, group: string, port: number, handler: MulticastHandler) {
    this.socket = socket;
    this.family = family;
    this.group = group;
    this.port = port;
    this.handler = handler;
    socket.on('message', (bytes, from) => {
      const endpoint = this.endpointOf(from.address, from.port);
      if (endpoint !== undefined && !this.isClosed) handler.receive(bytes, endpoint);
    });
    this.join();
  }

  get interfaces(): readonly string[] {
    return [...this.joined.keys()];
  }

  sendToGroup(bytes: Uint8Array): void {
    if (this.isClosed) return;
    for (const link of this.joined.values()) {
      try {
        this.socket.setMulticastInterface(link);
      } catch {
        continue; // The link went away since the last look.
      }
      this.socket.send(asBuffer(bytes), this.port, this.group, () => {});
    }
  }

  sendTo(bytes: Uint8Array, to: Endpoint): void {
    if (this.isClosed) return;
    this.socket.send(asBuffer(bytes), to.port, to.scopeId === 0 ? formatIp(to.ip) : to.host, () => {});
  }

  refresh(): void {
    if (!this.isClosed && this.join()) this.handler.interfacesChanged?.();
  }

  close(): Promise<void> {
    if (this.isClosed) return Promise.resolve();
    this.isClosed = true;
    return new Promise((resolve) => this.socket.close(resolve));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** True when links came or went. */
  private join(): boolean {
    const present = links(this.family);
    let changed = false;
    for (const [name, link] of this.joined) {
      if (present.get(name) === link) continue;
      changed = true;
      this.joined.delete(name);
      try {
        this.socket.dropMembership(this.group, link);
      } catch {
        // The system has dropped it with the link.
      }
    }
    for (const [name, link] of present) {
      if (this.joined.has(name)) continue;
      try {
        this.socket.addMembership(this.group, link);
        this.joined.set(name, link);
        changed = true;
      } catch {
        // A link without multicast: others may have it.
      }
    }
    return changed;
  }

  private endpointOf(host: string, port: number): Endpoint | undefined {
    const [address = '', zone] = host.split('%');
    const plain = Endpoint.from(address, port);
    if (plain === undefined || zone === undefined) return plain;
    const scopeId = networkInterfaces()[zone]?.find((entry) => entry.family === 'IPv6')?.scopeid ?? 0;
    return new Endpoint(plain.ip, port, scopeId);
  }
}

/** Links that are up and have the family, without loopback. */
function links(family: Family): Map<string, string> {
  const found = new Map<string, string>();
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    for (const address of addresses) {
      if (address.internal || address.family !== `IPv${family}`) continue;
      found.set(name, family === 4 ? address.address : `::%${name}`);
      break;
    }
  }
  return found;
}
