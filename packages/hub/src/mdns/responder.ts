import {
  binaryBytes,
  type Clock,
  type Endpoint,
  formatIp,
  parseIp,
  type RandomSource,
  type Scheduler,
} from '@atoll/base';
import {
  type DnsMessage,
  decodeDnsMessage,
  encodeDnsMessage,
  encodeName,
  type Question,
  type Resource,
  readName,
  Type,
} from './dns-message.js';

/** Port of multicast DNS. */
export const MDNS_PORT = 5353;
const SERVICE = '_atoll._tcp.local';
const ALL_SERVICES = '_services._dns-sd._udp.local';
/** Lives of records that depend on the host, and of others (RFC 6762 section 10), seconds. */
const HOST_TTL_SECONDS = 120;
const LEGACY_TTL_SECONDS = 10;
/** A name is asked for so often before it is taken, ms apart (section 8.1). */
const PROBES = 3;
const PROBE_EVERY_MS = 250;
/** Who loses a name to one that asks at the same time tries again after this time, ms (section 8.2). */
const LOSER_WAIT_MS = 1000;
const ANNOUNCEMENTS = 3;
const ANNOUNCE_EVERY_MS = 1000;
/** An answer to all waits for others to ask, too, ms (section 6); and the next one comes no sooner than this. */
const ANSWER_DELAY_MS = [20, 120] as const;
const ANSWER_EVERY_MS = 1000;
/** Others are asked for so often, ms. */
const BROWSE_EVERY_MS = 60_000;
/** Hubs remembered, and how long a silent one is, ms. */
const MAX_HUBS = 64;
const HUB_MS = 3 * 60_000;
/** Names tried when others have them. */
const MAX_RENAMES = 1000;

/** Another hub of the LAN. */
export interface FoundHub {
  readonly name: string;
  /** Its page over HTTP. */
  readonly url: string;
  readonly seenMs: number;
}

export interface ResponderComponents {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly scheduler: Scheduler;
  readonly sendToGroup: (bytes: Buffer) => void;
  readonly sendTo: (bytes: Buffer, to: Endpoint) => void;
  /** The host name was taken, or changed because somebody else has it. */
  readonly onName: (host: string) => void;
}

export interface ResponderOptions {
  /** The hub's name, as people call it. */
  readonly name: string;
  /** Addresses of the hub now. */
  readonly addresses: () => readonly string[];
  /** Ports of the portal. */
  readonly httpPort: number;
  readonly httpsPort: number | undefined;
}

/**
 * Multicast DNS of a hub (RFC 6762, 6763), without sockets: `atoll.local`, the service `_atoll._tcp`, and other hubs of
 * the LAN. A name that somebody else has becomes `atoll-2.local`, and so on.
 */
export class Responder {
  private readonly parts: ResponderComponents;
  private readonly options: ResponderOptions;
  private readonly found = new Map<string, FoundHub>();
  private hostNumber = 1;
  private instanceNumber = 1;
  private isTaken = false;
  private step = 0;
  private lastAnswerMs = Number.NEGATIVE_INFINITY;
  private isAnswerDue = false;
  private generation = 0;

  constructor(parts: ResponderComponents, options: ResponderOptions) {
    this.parts = parts;
    this.options = options;
  }

  /** The host's name: `atoll.local`. */
  get host(): string {
    return this.hostNumber === 1 ? 'atoll.local' : `atoll-${this.hostNumber}.local`;
  }

  /** Hubs that were heard lately. */
  hubs(): FoundHub[] {
    const sinceMs = this.parts.clock.unixMs() - HUB_MS;
    return [...this.found.values()].filter(({ seenMs }) => seenMs >= sinceMs);
  }

  /** Begins to take the name, and to look for others. */
  start(): void {
    this.browse();
    this.probeAfter(this.parts.random.uniform(0, PROBE_EVERY_MS));
  }

  /** Links or addresses changed: everything is told anew. */
  connectivityChanged(): void {
    if (this.isTaken) this.announce(0);
  }

  /** Says goodbye. */
  stop(): void {
    if (this.isTaken) this.send(this.records().map((record) => ({ ...record, ttlSeconds: 0 })));
    this.generation++;
  }

  /** A message came; `from` is its sender. */
  receive(bytes: Buffer, from: Endpoint): void {
    const message = decodeDnsMessage(bytes);
    if (message === undefined) return;
    if (message.isResponse) {
      // Only the port of multicast DNS itself answers (section 6).
      if (from.port !== MDNS_PORT) return;
      this.learn(message, from);
      this.lookForConflict([...message.answers, ...message.additional]);
      return;
    }
    if (!this.isTaken) this.compareProbe(message.authorities);
    else this.answer(message, from);
  }

  private get instance(): string {
    const name = this.options.name.replace(/[.\p{Cc}]/gu, ' ').slice(0, 40);
    return `${this.instanceNumber === 1 ? name : `${name} (${this.instanceNumber})`}.${SERVICE}`;
  }

  private hostRecords(): Resource[] {
    return this.options.addresses().flatMap((address) => {
      const ip = parseIp(address);
      if (ip === undefined) return [];
      const type = ip.length === 4 ? Type.a : Type.aaaa;
      return [{ name: this.host, type, ttlSeconds: HOST_TTL_SECONDS, isUnique: true, data: binaryBytes(ip) }];
    });
  }

  private serverRecord(): Resource {
    const fixed = Buffer.alloc(6);
    fixed.writeUInt16BE(this.options.httpPort, 4);
    const data = Buffer.concat([fixed, encodeName(this.host)]);
    return { name: this.instance, type: Type.srv, ttlSeconds: HOST_TTL_SECONDS, isUnique: true, data };
  }

  private records(): Resource[] {
    const { name, httpsPort } = this.options;
    const texts = [`name=${name}`, ...(httpsPort === undefined ? [] : [`https=${httpsPort}`])];
    const text = texts.map((entry) => {
      const bytes = Buffer.from(entry).subarray(0, 255);
      return Buffer.concat([Buffer.from([bytes.length]), bytes]);
    });
    const common = { ttlSeconds: HOST_TTL_SECONDS, isUnique: false };
    return [
      { ...common, name: SERVICE, type: Type.ptr, data: encodeName(this.instance) },
      { ...common, name: ALL_SERVICES, type: Type.ptr, data: encodeName(SERVICE) },
      this.serverRecord(),
      { ...common, name: this.instance, type: Type.txt, isUnique: true, data: Buffer.concat(text) },
      ...this.hostRecords(),
    ];
  }

  // ---------------------------------------------------------------- taking the name

  private probeAfter(ms: number): void {
    this.isTaken = false;
    this.step = 0;
    this.generation++;
    this.later(ms, () => this.probe());
  }

  private probe(): void {
    if (this.step >= PROBES) {
      this.isTaken = true;
      this.parts.onName(this.host);
      this.announce(0);
      return;
    }
    const wantsUnicast = this.step === 0;
    this.step++;
    const questions = [this.host, this.instance].map((name) => ({ name, type: Type.any, wantsUnicast }));
    this.sendMessage({ questions, authorities: [...this.hostRecords(), this.serverRecord()] });
    this.later(PROBE_EVERY_MS, () => this.probe());
  }

  private announce(count: number): void {
    if (!this.isTaken) return;
    this.send(this.records());
    if (count + 1 < ANNOUNCEMENTS) this.later(ANNOUNCE_EVERY_MS * 2 ** count, () => this.announce(count + 1));
  }

  /** Somebody else answers for a name of ours. */
  private lookForConflict(records: readonly Resource[]): void {
    const isForeign = (own: readonly Resource[]): boolean =>
      records.some(
        (record) =>
          record.ttlSeconds > 0 &&
          own.some((mine) => isSameName(mine.name, record.name) && mine.type === record.type) &&
          !own.some((mine) => mine.type === record.type && mine.data.equals(record.data)),
      );
    const isHostLost = isForeign(this.hostRecords());
    const isInstanceLost = isForeign([this.serverRecord()]);
    if (isHostLost && this.hostNumber < MAX_RENAMES) this.hostNumber++;
    if (isInstanceLost && this.instanceNumber < MAX_RENAMES) this.instanceNumber++;
    if (isHostLost || isInstanceLost) this.probeAfter(this.parts.random.uniform(0, PROBE_EVERY_MS));
  }

  /** Two that want a name at the same time: the one whose records sort later has it (section 8.2). */
  private compareProbe(theirs: readonly Resource[]): void {
    for (const own of [this.hostRecords(), [this.serverRecord()]]) {
      const rivals = theirs.filter((record) => own.some(({ name }) => isSameName(name, record.name)));
      if (rivals.length === 0) continue;
      const [mine, other] = [own, rivals].map(sortKeys);
      if (mine === undefined || other === undefined) continue;
      if (Buffer.compare(mine, other) < 0) return this.probeAfter(LOSER_WAIT_MS);
    }
  }

  // ---------------------------------------------------------------- answering

  private answer({ id, questions, answers: known }: DnsMessage, from: Endpoint): void {
    const records = this.records();
    const isAsked = (record: Resource): boolean =>
      questions.some(
        ({ name, type }) => isSameName(name, record.name) && (type === record.type || type === Type.any),
      ) &&
      !known.some(
        ({ name, type, data, ttlSeconds }) =>
          type === record.type &&
          ttlSeconds > record.ttlSeconds / 2 &&
          isSameName(name, record.name) &&
          data.equals(record.data),
      );
    const answers = records.filter(isAsked);
    if (answers.length === 0) return;
    const additional = records.filter((record) => !answers.includes(record) && record.name !== ALL_SERVICES);
    if (from.port !== MDNS_PORT) {
      // A plain resolver: it wants its question back, and does not keep what it hears for long (section 6.7).
      const short = (record: Resource): Resource => ({ ...record, ttlSeconds: LEGACY_TTL_SECONDS, isUnique: false });
      const asked = questions.map((question) => ({ ...question, wantsUnicast: false }));
      this.parts.sendTo(
        encodeDnsMessage({
          id,
          isResponse: true,
          questions: asked,
          answers: answers.map(short),
          authorities: [],
          additional: additional.map(short),
        }),
        from,
      );
      return;
    }
    if (questions.every(({ wantsUnicast }) => wantsUnicast)) {
      this.parts.sendTo(
        encodeDnsMessage({ id: 0, isResponse: true, questions: [], answers, authorities: [], additional }),
        from,
      );
      return;
    }
    this.answerAll();
  }

  /** Everything to everybody: it is little, and many may have asked. */
  private answerAll(): void {
    if (this.isAnswerDue) return;
    this.isAnswerDue = true;
    const nowMs = this.parts.clock.nowMs();
    const delayMs = this.parts.random.uniform(...ANSWER_DELAY_MS);
    this.parts.scheduler.at(Math.max(nowMs + delayMs, this.lastAnswerMs + ANSWER_EVERY_MS), () => {
      this.isAnswerDue = false;
      this.lastAnswerMs = this.parts.clock.nowMs();
      if (this.isTaken) this.send(this.records());
    });
  }

  // ---------------------------------------------------------------- looking for others

  private browse(): void {
    const ask = (): void =>
      this.sendMessage({ questions: [{ name: SERVICE, type: Type.ptr, wantsUnicast: false }], authorities: [] });
    const { scheduler, clock } = this.parts;
    const job = scheduler.at(clock.nowMs(), () => {
      ask();
      scheduler.move(job, clock.nowMs() + (this.isTaken ? BROWSE_EVERY_MS : ANNOUNCE_EVERY_MS));
    });
  }

  private learn({ answers, additional }: DnsMessage, from: Endpoint): void {
    const all = [...answers, ...additional];
    for (const server of all) {
      if (server.type !== Type.srv || !server.name.toLowerCase().endsWith(`.${SERVICE}`)) continue;
      if (isSameName(server.name, this.instance)) continue;
      if (server.ttlSeconds === 0) {
        this.found.delete(server.name);
        continue;
      }
      const { name: target } = readName(server.data, 6);
      const texts = all.find(({ name, type }) => type === Type.txt && isSameName(name, server.name));
      const name = textOf(texts?.data, 'name') ?? server.name.slice(0, -SERVICE.length - 1);
      const address = all.find(({ name: of, type }) => type === Type.a && isSameName(of, target));
      const host = from.family === 4 || address === undefined ? from.host : formatIp(address.data.latin1Slice());
      if (host.includes('%')) continue;
      const url = `http://${host.includes(':') ? `[${host}]` : host}:${server.data.readUInt16BE(4)}/`;
      if (this.found.size >= MAX_HUBS && !this.found.has(server.name)) this.forgetOldest();
      this.found.delete(server.name);
      this.found.set(server.name, { name, url, seenMs: this.parts.clock.unixMs() });
    }
  }

  private forgetOldest(): void {
    const [oldest] = this.found.keys();
    if (oldest !== undefined) this.found.delete(oldest);
  }

  // ---------------------------------------------------------------- sending

  private send(answers: readonly Resource[]): void {
    this.parts.sendToGroup(
      encodeDnsMessage({ id: 0, isResponse: true, questions: [], answers, authorities: [], additional: [] }),
    );
  }

  private sendMessage(message: { questions: readonly Question[]; authorities: readonly Resource[] }): void {
    this.parts.sendToGroup(encodeDnsMessage({ id: 0, isResponse: false, answers: [], additional: [], ...message }));
  }

  /** Runs a step of taking the name, unless that began anew since. */
  private later(ms: number, run: () => void): void {
    const { generation } = this;
    this.parts.scheduler.at(this.parts.clock.nowMs() + ms, () => {
      if (this.generation === generation) run();
    });
  }
}

function isSameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** Records in their order, as bytes that compare as they do. */
function sortKeys(records: readonly Resource[]): Buffer {
  const keys = records.map(({ type, data }) => Buffer.concat([Buffer.from([0, 1, type >> 8, type & 0xff]), data]));
  return Buffer.concat(keys.sort(Buffer.compare));
}

/** The value of a key of a TXT record. */
function textOf(data: Buffer | undefined, key: string): string | undefined {
  for (let at = 0; data !== undefined && at < data.length; ) {
    const length = data.readUInt8(at);
    const entry = data.toString('utf8', at + 1, at + 1 + length);
    if (entry.startsWith(`${key}=`)) return entry.slice(key.length + 1);
    at += 1 + length;
  }
  return undefined;
}
