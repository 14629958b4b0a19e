/** Records and questions of one message that are looked at; what is more is not read. */
const MAX_RECORDS = 64;
/** Labels of a name, and compression pointers on the way. */
const MAX_LABELS = 32;
const MAX_POINTERS = 16;
const HEADER_BYTES = 12;
const RESPONSE_FLAGS = 0x8400;
/** Top bit of a class: in a question “answer me alone”, in a record “this is all there is” (RFC 6762 sections 5.4, 10.2). */
const TOP_BIT = 0x8000;
const IN = 1;

/** Record types (RFC 1035, 2782, 3596). */
export const Type = { a: 1, ptr: 12, txt: 16, aaaa: 28, srv: 33, any: 255 } as const;

export interface Question {
  /** Without the dot at the end, letters as they came. */
  readonly name: string;
  readonly type: number;
  readonly wantsUnicast: boolean;
}

export interface Resource {
  readonly name: string;
  readonly type: number;
  readonly ttlSeconds: number;
  /** Nobody else has records of this name and type. */
  readonly isUnique: boolean;
  /** Names inside are written out. */
  readonly data: Buffer;
}

export interface DnsMessage {
  readonly id: number;
  readonly isResponse: boolean;
  readonly questions: readonly Question[];
  readonly answers: readonly Resource[];
  readonly authorities: readonly Resource[];
  readonly additional: readonly Resource[];
}

/** Labels with dots between them; a dot inside a label is not told apart, which instance names here never have. */
export function encodeName(name: string): Buffer {
  const labels = name.split('.').map((label) => {
    const bytes = Buffer.from(label).subarray(0, 63);
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  });
  return Buffer.concat([...labels, Buffer.from([0])]);
}

/** A message as multicast DNS has them (RFC 6762 section 18), without compression. */
export function encodeDnsMessage(message: DnsMessage): Buffer {
  const { id, isResponse, questions, answers, authorities, additional } = message;
  const header = Buffer.alloc(HEADER_BYTES);
  const counts = [id, isResponse ? RESPONSE_FLAGS : 0, questions, answers, authorities, additional];
  for (const [at, part] of counts.entries())
    header.writeUInt16BE(typeof part === 'number' ? part : part.length, 2 * at);
  return Buffer.concat([
    header,
    ...questions.map(({ name, type, wantsUnicast }) =>
      Buffer.concat([encodeName(name), shorts(type, wantsUnicast ? IN | TOP_BIT : IN)]),
    ),
    ...[...answers, ...authorities, ...additional].map(encodeResource),
  ]);
}

/** Reads a message; undefined when it is none. Records of other classes are left out. */
export function decodeDnsMessage(bytes: Buffer): DnsMessage | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const flags = bytes.readUInt16BE(2);
  // Another operation, or an error, is nothing to multicast DNS.
  if ((flags & 0x780f) !== 0) return undefined;
  const reader = new Reader(bytes);
  const counts = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at));
  if (counts.reduce((sum, count) => sum + count, 0) > MAX_RECORDS) return undefined;
  try {
    const [questions = 0, ...records] = counts;
    const asked = Array.from({ length: questions }, () => reader.question());
    const [answers = [], authorities = [], additional = []] = records.map((count) =>
      Array.from({ length: count }, () => reader.resource()).flatMap((found) => found ?? []),
    );
    return {
      id: bytes.readUInt16BE(0),
      isResponse: (flags & 0x8000) !== 0,
      questions: asked,
      answers,
      authorities,
      additional,
    };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function encodeResource({ name, type, ttlSeconds, isUnique, data }: Resource): Buffer {
  const ttl = Buffer.alloc(4);
  ttl.writeUInt32BE(ttlSeconds);
  const kind = shorts(type, isUnique ? IN | TOP_BIT : IN);
  return Buffer.concat([encodeName(name), kind, ttl, shorts(data.length), data]);
}

function shorts(...values: number[]): Buffer {
  const bytes = Buffer.alloc(2 * values.length);
  for (const [at, value] of values.entries()) bytes.writeUInt16BE(value, 2 * at);
  return bytes;
}

/** Throws a RangeError where a message ends too early or turns in circles. */
class Reader {
  private readonly bytes: Buffer;
  private at = HEADER_BYTES;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  question(): Question {
    const name = this.name();
    const type = this.short();
    return { name, type, wantsUnicast: (this.short() & TOP_BIT) !== 0 };
  }

  resource(): Resource | undefined {
    const name = this.name();
    const type = this.short();
    const kind = this.short();
    const ttlSeconds = this.bytes.readUInt32BE(this.at);
    this.at += 4;
    const length = this.short();
    const end = this.at + length;
    if (end > this.bytes.length) throw new RangeError('a record is cut');
    const data = this.data(type, end);
    this.at = end;
    if ((kind & ~TOP_BIT) !== IN) return undefined;
    return { name, type, ttlSeconds, isUnique: (kind & TOP_BIT) !== 0, data };
  }

  private data(type: number, end: number): Buffer {
    if (type === Type.ptr) return encodeName(this.name());
    if (type === Type.srv) {
      const fixed = this.bytes.subarray(this.at, this.at + 6);
      this.at += 6;
      return Buffer.concat([fixed, encodeName(this.name())]);
    }
    return Buffer.from(this.bytes.subarray(this.at, end));
  }

  private short(): number {
    const value = this.bytes.readUInt16BE(this.at);
    this.at += 2;
    return value;
  }

  private name(): string {
    const { name, next } = readName(this.bytes, this.at);
    this.at = next;
    return name;
  }
}

/** A name, and where the message goes on. */
export function readName(bytes: Buffer, from: number): { name: string; next: number } {
  const labels: string[] = [];
  let at = from;
  let next: number | undefined;
  let pointers = 0;
  for (;;) {
    const length = bytes.readUInt8(at);
    if (length === 0) return { name: labels.join('.'), next: next ?? at + 1 };
    if (length >= 0xc0) {
      next ??= at + 2;
      at = bytes.readUInt16BE(at) & 0x3fff;
      if (++pointers > MAX_POINTERS) throw new RangeError('a name turns in circles');
      continue;
    }
    if (length > 63 || at + 1 + length > bytes.length || labels.length >= MAX_LABELS) {
      throw new RangeError('a name is no name');
    }
    labels.push(bytes.toString('utf8', at + 1, at + 1 + length));
    at += 1 + length;
  }
}
