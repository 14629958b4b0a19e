import { type Clock, Endpoint } from '@atoll/base';
import { DhtCore, decodeMessage, Field, Query, Value } from '@atoll/dht';
import { InfoHash } from '@atoll/identity';
import { recorded } from '../corpus.js';
import { FuzzRandom } from '../fuzz-random.js';
import { type FuzzTarget, holds } from '../fuzz-target.js';

/** Inputs between two looks at the sizes of everything. */
const CHECK_EVERY = 100;
/** What a core keeps may not grow beyond these numbers, whatever comes (docs/limits.md). */
const BOUNDS: Readonly<Record<string, number>> = {
  nodes: 2 * 8192 + 2000,
  values: 200_000,
  remoteBytes: 64 * 1024 * 1024,
  fragments: 512,
  fragmentBytes: 32 * 1024 * 1024,
  limiters: 16_384,
  blocked: 4096,
  requests: 60_000,
  jobs: 100_000,
};
/** One packet may be answered with so many bytes: a get of everything under a key, in parts. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const KEYS = Array.from({ length: 8 }, (_, number) => InfoHash.of(`key ${number}`));

/** One core on a virtual clock, with peers that send anything and operations of its own going on. */
class Arena {
  readonly core: DhtCore;
  private nowMs = 1_000_000;
  private readonly random: FuzzRandom;
  private readonly peers: Endpoint[] = [];
  private readonly sent: { readonly bytes: Buffer; readonly to: Endpoint }[] = [];
  private readonly cancels: (() => void)[] = [];
  private sentBytes = 0;
  private fed = 0;

  constructor(random: FuzzRandom) {
    this.random = random;
    // The core draws from a sequence of its own, so that what it draws does not change the inputs.
    const chance = new FuzzRandom(random.uint32());
    const clock: Clock = { nowMs: () => this.nowMs, unixMs: () => 1_700_000_000_000 + this.nowMs };
    const send = (bytes: Buffer, to: Endpoint): void => {
      this.sentBytes += bytes.length;
      holds(bytes.length <= 65_507, () => `a datagram of ${bytes.length} bytes`);
      if (this.sent.length < 64) this.sent.push({ bytes: Buffer.from(bytes), to });
    };
    this.core = new DhtCore(
      { clock, random: chance, send, tryBootstrap: () => this.core.pingAddress(this.anyPeer()) },
      { rateLimits: { perSecond: -1, perSecondAndAddress: -1 } },
    );
    for (let number = 0; number < 40; number++) this.peers.push(newPeer(random));
    this.core.startBootstrap();
    for (const peer of this.peers) this.core.insertNode(new InfoHash(random.bytes(20).latin1Slice()), peer);
  }

  feed(input: Buffer): void {
    const { random } = this;
    this.fed++;
    if (random.below(50) === 0) this.peers[random.below(this.peers.length)] = newPeer(random);
    const before = this.sentBytes;
    this.core.receive(this.aimed(input), this.anyPeer());
    const answered = this.sentBytes - before;
    holds(answered <= MAX_ANSWER_BYTES, () => `one packet was answered with ${answered} bytes`);
    if (random.below(8) === 0) this.operate();
    this.nowMs += random.below(4) === 0 ? random.below(200) : 0;
    if (random.below(2000) === 0) this.nowMs += 11 * 60_000;
    if (this.core.nextWakeMs <= this.nowMs) this.core.tick();
    if (this.fed % CHECK_EVERY === 0) this.check();
  }

  end(): void {
    this.check();
    this.core.close();
    holds(this.core.scheduler.size === 0, () => 'jobs are left after the end');
  }

  /** Often what it is about is what the core is about: answers to its requests, tokens it gave, keys in use. */
  private aimed(input: Buffer): Buffer {
    const { random, sent } = this;
    if (sent.length === 0 || random.below(3) > 0) return input;
    const { bytes } = random.pick(sent);
    if (random.below(200) === 0) sent.length = 0;
    const message = decodeMessage(bytes);
    const changed = Buffer.from(input);
    if (typeof message === 'string') return changed;
    const target = decodeMessage(input);
    if (typeof target === 'string') return changed;
    replace(changed, target.key.toBytes(), random.pick(KEYS).toBytes());
    if (message.token.length === 32)
      replace(changed, Buffer.from(target.token, 'latin1'), Buffer.from(message.token, 'latin1'));
    if (target.tid > 0xffff && message.tid > 0xffff) replace(changed, word(target.tid), word(message.tid));
    return changed;
  }

  private operate(): void {
    const { core, random, cancels } = this;
    const key = random.pick(KEYS);
    switch (random.below(9)) {
      case 0:
        cancels.push(core.get(key, Query.all, {}));
        break;
      case 1:
        cancels.push(core.get(key, new Query([Field.id, Field.seq]), { onValues: () => false }));
        break;
      case 2: {
        const stop = core.listen(key, Query.all, () => true);
        if (stop !== undefined) cancels.push(stop);
        break;
      }
      case 3:
        core.put(key, randomValue(random), {}, () => {});
        break;
      case 4:
        core.put(key, randomValue(random), { isPermanent: true }, () => {});
        break;
      case 5:
        core.cancelPut(key, BigInt(random.below(50) + 1));
        break;
      case 6:
        core.sendFailed(this.anyPeer());
        break;
      case 7:
        if (random.below(50) === 0) core.connectivityChanged();
        else core.insertNode(new InfoHash(random.bytes(20).latin1Slice()), this.anyPeer());
        break;
      default:
        for (let left = cancels.length > 30 ? 20 : 1; left > 0; left--)
          cancels.splice(random.below(cancels.length), 1)[0]?.();
    }
  }

  private check(): void {
    const { sizes } = this.core;
    for (const [name, bound] of Object.entries(BOUNDS)) {
      const size = sizes[name] ?? 0;
      holds(size >= 0 && size <= bound, () => `${name}: ${size}, more than ${bound}`);
    }
    holds(this.core.drops.size < 200, () => `${this.core.drops.size} reasons to drop`);
    holds((sizes.searches ?? 0) <= 2 * (KEYS.length + 1), () => `${sizes.searches} searches`);
    void this.core.health;
    this.core.exportNodes();
  }

  private anyPeer(): Endpoint {
    return this.random.pick(this.peers);
  }
}

function newPeer(random: FuzzRandom): Endpoint {
  const isIpv6 = random.below(4) === 0;
  return new Endpoint(random.bytes(isIpv6 ? 16 : 4).latin1Slice(), 1 + random.below(65_535));
}

function randomValue(random: FuzzRandom): Value {
  const data = random.bytes(random.pick([0, 5, 100, 700, 3000]));
  return Value.plain({ id: BigInt(random.below(50) + 1), type: random.pick([0, 0, 0, 1, 2, 3, 8, 77]), data });
}

function word(number: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
}

function replace(bytes: Buffer, what: Buffer, by: Buffer): void {
  const at = what.length === 0 ? -1 : bytes.indexOf(what);
  if (at >= 0 && what.length === by.length) by.copy(bytes, at);
}

let arena: Arena | undefined;

export const targets: FuzzTarget[] = [
  {
    name: 'dht-core',
    weight: 7,
    corpus: () => [...recorded('packets', 'hex'), ...recorded('probes', 'hex', 'request_hex')],
    begin: (random) => {
      arena?.end();
      arena = new Arena(random);
    },
    run: (input) => arena?.feed(input),
  },
];
