import type { Endpoint } from '@atoll/base';
import { decodeMessage, type Message, MessageEncoder } from '@atoll/dht';
import { InfoHash } from '@atoll/identity';
import type { VirtualHost, VirtualSocket } from '@atoll/testkit';
import type { Swarm } from './swarm.js';

/** Somebody on the network who says what he likes, under any id. */
export class Stranger {
  readonly host: VirtualHost;
  readonly socket: VirtualSocket;
  /** Everything that came, as decoded. */
  onMessage: (message: Message, from: Endpoint) => void = () => {};
  private readonly swarm: Swarm;
  private readonly encoders = new Map<string, MessageEncoder>();
  private readonly tokens = new Map<string, string>();
  private nextTid = 1;

  constructor(swarm: Swarm, address?: string) {
    this.swarm = swarm;
    this.host = swarm.world.host(address === undefined ? {} : { address });
    this.socket = this.host.open(4222, (bytes, from) => {
      const message = decodeMessage(bytes);
      if (typeof message === 'string') return;
      if (message.kind === 'reply' && message.token !== '') this.tokens.set(from.key, message.token);
      this.onMessage(message, from);
    });
  }

  get endpoint(): Endpoint {
    return this.socket.endpoint;
  }

  tid(): number {
    return this.nextTid++;
  }

  /** Writes messages under an id. */
  as(id: InfoHash, isClient = false): MessageEncoder {
    const key = `${id.binary}${isClient}`;
    let encoder = this.encoders.get(key);
    if (encoder === undefined) {
      encoder = new MessageEncoder({ id, networkId: 0, isClient, userAgent: 'evil' });
      this.encoders.set(key, encoder);
    }
    return encoder;
  }

  send(bytes: Uint8Array | readonly Uint8Array[], to: Endpoint): void {
    if (bytes instanceof Uint8Array) this.socket.send(bytes, to);
    else for (const packet of bytes) this.socket.send(packet, to);
  }

  /** The write token that a node gave this address last, if any. */
  knownToken(to: Endpoint): string | undefined {
    return this.tokens.get(to.key);
  }

  /** The write token that a node gave this address, asking for it as often as needed. */
  tokenOf(to: Endpoint): string {
    for (let tries = 0; tries < 50; tries++) {
      const token = this.tokens.get(to.key);
      if (token !== undefined) return token;
      this.send(this.as(this.swarm.randomKey()).find(this.tid(), this.swarm.randomKey(), false), to);
      this.swarm.world.runFor(300);
    }
    throw new Error(`${to} gives no token.`);
  }

  /** An id that shares its first `bytes` bytes with a key. */
  idNear(key: InfoHash, bytes = 18): InfoHash {
    return new InfoHash(key.binary.slice(0, bytes) + this.swarm.randomKey().binary.slice(bytes));
  }
}
