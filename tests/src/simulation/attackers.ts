import type { Endpoint } from '@atoll/base';
import { type Message, type NodeAddress, Value } from '@atoll/dht';
import type { InfoHash } from '@atoll/identity';
import { Stranger } from './stranger.js';
import { Swarm, type SwarmNode } from './swarm.js';

const MINUTE = 60_000;

/** What strangers do (each of their addresses does all of what is chosen). */
export type Attack =
  | 'id flood'
  | 'forged tokens'
  | 'false nodes'
  | 'replays'
  | 'oversized'
  | 'listener flood'
  | 'storage flood'
  | 'stolen ids'
  | 'impersonation';

export const ALL_ATTACKS: readonly Attack[] = [
  'id flood',
  'forged tokens',
  'false nodes',
  'replays',
  'oversized',
  'listener flood',
  'storage flood',
  'stolen ids',
  'impersonation',
];

export interface AttackOptions {
  readonly nodes: number;
  /** Addresses of the strangers. */
  readonly addresses: number;
  /** Values under attack. */
  readonly values: number;
  readonly minutes: number;
  readonly attacks?: readonly Attack[];
  readonly loss?: number;
  readonly seed?: number;
}

/** Small, so that a short flood meets them. */
export const ATTACKED_LIMITS = {
  storageLimits: { maxKeys: 4096, maxRemoteBytes: 256 * 1024 },
  listenerLimits: { maxListeners: 600, maxPerAddress: 200, maxPerKeyAndAddress: 16 },
} as const;

export interface AttackResult {
  readonly addresses: number;
  readonly gets: number;
  readonly found: number;
  readonly foundShare: number;
  /** Datagrams of the strangers. */
  readonly attackDatagrams: number;
  /** Values that a put with a forged token left anywhere. */
  readonly forgedStored: number;
  /** Largest count of each structure in any honest node, at any minute. */
  readonly largest: Readonly<Record<string, number>>;
  readonly drops: Readonly<Record<string, number>>;
}

const FORGED_ID = 0xf0_0000_0000n;
const NO_TOKEN = 'x'.repeat(32);

/** Honest nodes put and get while strangers do their worst, on the very keys that are looked for. */
export function simulateAttack(options: AttackOptions): AttackResult {
  const attacks = new Set(options.attacks ?? ALL_ATTACKS);
  const swarm = new Swarm({ seed: options.seed ?? 6, loss: options.loss ?? 0.05, core: ATTACKED_LIMITS });
  const { world, random } = swarm;
  swarm.grow(options.nodes, Math.max(5, options.nodes / 60));
  const puts = Array.from({ length: options.values }, (_, i) => ({
    node: random.pick(swarm.nodes),
    key: swarm.randomKey(),
    value: Value.plain({ id: BigInt(i + 1), data: `honest ${i}` }),
  }));
  const attackers = Array.from(
    { length: options.addresses },
    () =>
      new Attacker(
        swarm,
        attacks,
        puts.map(({ key }) => key),
      ),
  );
  // Half of the values were there before the strangers came, half are put while they are at it.
  const half = puts.length >> 1;
  for (const { node, key, value } of puts.slice(0, half)) node.put(key, value, true);
  world.runFor(MINUTE);
  const largest: Record<string, number> = {};
  const attackFor = (minutes: number): void => {
    for (let second = 0; second < minutes * 60; second++) {
      for (const attacker of attackers) attacker.act();
      world.runFor(1000);
      if (second % 20 !== 0) continue;
      for (const [name, size] of Object.entries(swarm.largestSizes())) {
        largest[name] = Math.max(largest[name] ?? 0, size);
      }
    }
  };
  attackFor(options.minutes / 2);
  for (const { node, key, value } of puts.slice(half)) node.put(key, value, true);
  attackFor(options.minutes / 2);
  const results: boolean[] = [];
  for (const put of puts) {
    for (let i = 0; i < 3; i++) {
      world.after(random.uniform(0, MINUTE), () => {
        swarm
          .anybody((node) => node !== put.node && node.isConnected)
          .get(put.key, ({ values }) => results.push(values.some((value) => value.equals(put.value))));
      });
    }
  }
  attackFor(2);
  world.runUntil(() => results.length === puts.length * 3, 10 * MINUTE);
  const found = results.filter((ok) => ok).length;
  const forgedStored = swarm.nodes.filter((node) =>
    [...node.core.storage.all()].some((stored) => stored.value.id === FORGED_ID),
  ).length;
  return {
    addresses: options.addresses,
    gets: puts.length * 3,
    found,
    foundShare: found / (puts.length * 3),
    attackDatagrams: attackers.reduce((sum, attacker) => sum + attacker.sent, 0),
    forgedStored,
    largest,
    drops: sumOfDrops(swarm.nodes),
  };
}

/** One address of a stranger. */
class Attacker extends Stranger {
  sent = 0;
  private readonly ours: Swarm;
  private readonly attacks: ReadonlySet<Attack>;
  /** The ids it uses, each beside one of the keys. */
  private readonly ids: InfoHash[];
  private readonly captured: { bytes: Buffer; from: Endpoint }[] = [];
  private nextId = 1n << 40n;
  /** The honest ids that it claimed to be, by whom it told so. */
  private readonly claims = new Map<string, InfoHash[]>();

  constructor(swarm: Swarm, attacks: ReadonlySet<Attack>, keys: readonly InfoHash[]) {
    super(swarm);
    this.ours = swarm;
    this.attacks = attacks;
    this.ids = keys.flatMap((key) => Array.from({ length: 8 }, () => this.idNear(key, 5)));
    this.keys = keys;
    this.onMessage = (message, from) => this.answer(message, from);
    if (attacks.has('replays')) this.eavesdrop(swarm.nodes.slice(0, 20));
  }

  private readonly keys: readonly InfoHash[];

  override send(bytes: Uint8Array | readonly Uint8Array[], to: Endpoint): void {
    this.sent += bytes instanceof Uint8Array ? 1 : bytes.length;
    super.send(bytes, to);
  }

  /** One second of its work. */
  act(): void {
    const { random } = this.ours;
    const target = (): Endpoint => random.pick(this.ours.nodes).endpoint;
    const id = (): InfoHash => random.pick(this.ids);
    const token = (to: Endpoint): string => this.knownToken(to) ?? NO_TOKEN;
    if (this.attacks.has('id flood')) {
      for (let i = 0; i < 20; i++) {
        // Above all to those who keep the key, since they are asked about its neighbors.
        const near = id();
        for (const node of this.ours.nearest(near, 2)) this.send(this.as(near).ping(this.tid()), node.endpoint);
      }
      for (let i = 0; i < 10; i++) this.send(this.as(id()).find(this.tid(), random.pick(this.keys), false), target());
    }
    if (this.attacks.has('forged tokens')) {
      const value = Value.plain({ id: FORGED_ID, data: 'forged' });
      for (let i = 0; i < 10; i++) {
        const forged = random.bytes(32).latin1Slice();
        this.send(this.as(id()).put(this.tid(), random.pick(this.keys), value, undefined, forged), target());
        this.send(this.as(id()).listen(this.tid(), random.pick(this.keys), forged, 1, undefined), target());
      }
    }
    if (this.attacks.has('replays')) {
      for (let i = 0; i < 10 && this.captured.length > 0; i++) {
        const { bytes, from } = random.pick(this.captured);
        this.send(bytes, target());
        this.ours.world.inject(bytes, from, target());
      }
    }
    if (this.attacks.has('oversized')) {
      const { ours } = this;
      this.send(random.bytes(60_000), target());
      this.send(Buffer.alloc(60_000, 0x81), target());
      const to = target();
      this.send(hugeHeader(this.as(id()), this.tid(), ours.randomKey(), token(to)), to);
    }
    if (this.attacks.has('listener flood')) {
      for (let i = 0; i < 20; i++) {
        const to = target();
        const key = i % 2 === 0 ? random.pick(this.keys) : this.ours.randomKey();
        const tid = this.tid();
        this.send(this.as(this.ours.randomKey()).listen(tid, key, token(to), tid, undefined), to);
      }
    }
    if (this.attacks.has('storage flood')) {
      for (let i = 0; i < 20; i++) {
        const key = i % 2 === 0 ? random.pick(this.keys) : this.ours.randomKey();
        const [to = target()] = this.ours.nearest(key, 4).map((node) => node.endpoint);
        const value = Value.plain({ id: this.nextId++, data: Buffer.alloc(random.below(500)) });
        this.send(this.as(id()).put(this.tid(), key, value, undefined, token(to)), to);
      }
    }
    if (this.attacks.has('stolen ids')) {
      for (let i = 0; i < 10; i++) {
        const { core } = random.pick(this.ours.nodes);
        this.send(this.as(core.id, i % 2 === 0).ping(this.tid()), target());
        this.send(this.as(core.id).replyAlive(random.uint32(), this.endpoint), target());
      }
    }
    if (this.attacks.has('impersonation')) {
      // As those who keep a key, above all to those who do not know them yet.
      for (let i = 0; i < 20; i++) this.claim(random.pick(this.ours.nearest(random.pick(this.keys), 8)), target());
    }
  }

  private claim({ core }: SwarmNode, to: Endpoint): void {
    const claimed = this.claims.get(to.key) ?? [];
    this.claims.set(to.key, claimed);
    if (!claimed.includes(core.id)) claimed.push(core.id);
    this.send(this.as(core.id).ping(this.tid()), to);
  }

  /** It answers what it is asked, under the id that would be nearest, to be good in everybody's table. */
  private answer(message: Message, from: Endpoint): void {
    if (message.kind === 'reply' || message.kind === 'error' || message.kind === 'part') return;
    // A datagram does not say for which of its ids it is: it answers for all that are near.
    const asked = message.key;
    const ids =
      message.kind === 'ping' ? this.ids : this.ids.filter((id) => id.binary.startsWith(asked.binary.slice(0, 5)));
    for (const id of [...this.ours.random.sample(ids, 8), ...(this.claims.get(from.key) ?? [])]) {
      const encoder = this.as(id);
      if (message.kind === 'ping' || message.kind === 'update') {
        this.send(encoder.replyAlive(message.tid, from), from);
      } else if (message.kind === 'put' || message.kind === 'refresh') {
        const valueId = message.valueId ?? message.values?.[0]?.id ?? 1n;
        this.send(encoder.replyValue(message.tid, from, valueId), from);
      } else if (message.kind === 'listen') this.send(encoder.replyListen(message.tid, from, NO_TOKEN), from);
      else this.send(encoder.replyFind(message.tid, from, { nodes4: this.falseNodes(asked) }, NO_TOKEN), from);
    }
  }

  private falseNodes(key: InfoHash): NodeAddress[] {
    const { random } = this.ours;
    if (!this.attacks.has('false nodes')) return [];
    return Array.from({ length: 8 }, (_, i) => {
      // Nobody at all, others of its own, and honest ids at wrong addresses.
      if (i % 3 === 0)
        return { id: this.idNear(key, 10), endpoint: this.endpoint.withPort(1024 + random.below(60_000)) };
      if (i % 3 === 1) return { id: random.pick(this.ids), endpoint: this.endpoint };
      const honest = this.ours.nearest(key, 8)[i] ?? random.pick(this.ours.nodes);
      return { id: honest.core.id, endpoint: this.endpoint.withPort(1024 + random.below(60_000)) };
    });
  }

  private eavesdrop(nodes: readonly SwarmNode[]): void {
    for (const node of nodes) {
      node.tap = (bytes, _peer, isOut) => {
        if (!isOut || this.ours.random.below(4) !== 0) return;
        this.captured.push({ bytes: Buffer.from(bytes), from: node.endpoint });
        if (this.captured.length > 500) this.captured.shift();
      };
    }
  }
}

/** A put that announces as many tiny values as fit a datagram. */
function hugeHeader(encoder: ReturnType<Stranger['as']>, tid: number, key: InfoHash, token: string): Buffer {
  const [packet = Buffer.alloc(0)] = encoder.put(
    tid,
    key,
    Value.plain({ id: 1n, data: Buffer.alloc(700) }),
    undefined,
    token,
  );
  // The array of one size (0x91 and a 16-bit number) becomes one of 50,000.
  const at = packet.indexOf(Buffer.from('a676616c75657391', 'hex')) + 7;
  const sizes = Buffer.alloc(3 + 50_000, 0x01);
  sizes.set([0xdc, 50_000 >> 8, 50_000 & 0xff]);
  return Buffer.concat([packet.subarray(0, at), sizes, packet.subarray(at + 4)]);
}

function sumOfDrops(nodes: readonly SwarmNode[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const { core } of nodes) for (const [why, count] of core.drops) sum[why] = (sum[why] ?? 0) + count;
  return sum;
}
