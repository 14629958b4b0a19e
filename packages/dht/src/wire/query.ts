import { AtollError } from '@atoll/base';
import { InfoHash, PublicKey } from '@atoll/identity';
import { keyCode, Reader, type Writer } from '@atoll/msgpack';
import type { Value } from './value.js';

/** Fields of a value that queries name, with their numbers on the wire (protocol/dht.md 21.1). */
export const Field = { id: 1, valueType: 2, ownerPk: 3, seq: 4, userType: 5 } as const;
export type Field = (typeof Field)[keyof typeof Field];

/** One condition: the field equals the value. `ownerPk` compares the short key id. */
export type Condition =
  | { readonly field: 1; readonly value: bigint }
  | { readonly field: 2; readonly value: bigint }
  | { readonly field: 3; readonly value: InfoHash }
  | { readonly field: 4; readonly value: number }
  | { readonly field: 5; readonly value: string };

/** Fields of one value, as an answer to a query with a selection. */
export interface FieldValues {
  readonly id?: bigint;
  readonly valueType?: number;
  readonly ownerPk?: InfoHash;
  readonly seq?: number;
  readonly userType?: string;
}

const MAX_CONDITIONS = 64;
const ALL_FIELDS: readonly Field[] = [1, 2, 3, 4, 5];

/** What an answer to a query says of one value; all fields when none is selected. */
export function fieldsOf(value: Value, select: readonly Field[]): FieldValues {
  const fields: { -readonly [K in keyof FieldValues]: FieldValues[K] } = {};
  for (const field of select.length === 0 ? ALL_FIELDS : select) {
    if (field === Field.id) fields.id = value.id;
    else if (field === Field.valueType) fields.valueType = value.type;
    else if (field === Field.ownerPk) fields.ownerPk = value.owner?.id ?? InfoHash.zero;
    else if (field === Field.seq) fields.seq = value.seq;
    else fields.userType = value.userType;
  }
  return fields;
}

/** Whether both say the same. */
export function sameFields(a: FieldValues, b: FieldValues): boolean {
  return (
    a.id === b.id &&
    a.valueType === b.valueType &&
    a.seq === b.seq &&
    a.userType === b.userType &&
    (a.ownerPk === b.ownerPk || (a.ownerPk !== undefined && b.ownerPk !== undefined && a.ownerPk.equals(b.ownerPk)))
  );
}

/** A selection of fields and a conjunction of conditions. Nothing selected means whole values. */
export class Query {
  readonly select: readonly Field[];
  readonly where: readonly Condition[];

  constructor(select: readonly Field[] = [], where: readonly Condition[] = []) {
    this.select = [...new Set(select)];
    this.where = where;
  }

  /** Whole values, all of them. */
  static readonly all: Query = new Query();

  get isAll(): boolean {
    return this.select.length === 0 && this.where.length === 0;
  }

  /** Whether a value meets every condition. */
  matches(value: Value): boolean {
    return this.where.every((condition) => meets(condition, value));
  }

  /** Whether the nodes that are asked can judge every condition: those on seq cannot be sent (protocol/dht.md 21.2). */
  get isSendable(): boolean {
    return this.where.every((condition) => condition.field !== Field.seq);
  }

  /** Whether an answer to `other` also answers this query (protocol/dht.md 21.4). */
  isSatisfiedBy(other: Query): boolean {
    const hasEach = other.where.every((condition) => this.where.some((own) => sameCondition(own, condition)));
    if (!hasEach) return false;
    if (this.select.length === 0) return other.select.length === 0;
    return this.select.every((field) => other.select.includes(field));
  }

  /**
   * Parses `[SELECT f,f…] [WHERE f=v,f=v…]` as `dhtnode` does (protocol/dht.md 21.5).
   * Throws `DHT_QUERY` for an unknown field after WHERE.
   */
  static parse(text: string): Query {
    const at = /WHERE|where/.exec(text);
    const selectText = at ? text.slice(0, at.index) : text;
    return new Query(parseSelect(selectText), at ? parseWhere(text.slice(at.index + 5)) : []);
  }

  toString(): string {
    let text = 'Query[';
    if (this.select.length > 0 || this.where.length >= 0) {
      text += `SELECT ${this.select.length === 0 ? '*' : this.select.map((field) => PRINTED[field]).join(',')} `;
    }
    if (this.where.length > 0) {
      text += `WHERE ${this.where
        .map(({ field, value }) => `${field === Field.ownerPk ? 'owner_pk_hash' : PRINTED[field]}=${value}`)
        .join(',')}`;
    }
    return `${text}]`;
  }
}

const PRINTED: Record<Field, string> = { 1: 'id', 2: 'value_type', 3: 'owner_public_key', 4: 'seq', 5: 'user_type' };

const NAMES: Readonly<Record<string, Field>> = { id: 1, value_type: 2, owner_pk: 3, seq: 4, user_type: 5 };

function parseSelect(text: string): Field[] {
  const list = /(?:SELECT|select)\s+(\S+)/.exec(text)?.[1] ?? '';
  return list
    .split(',')
    .map((name) => NAMES[name])
    .filter((field) => field !== undefined);
}

function parseWhere(text: string): Condition[] {
  const conditions: Condition[] = [];
  for (const part of text.split(',')) {
    const [name = '', ...rest] = part.split('=');
    const quoted = rest.join('=').trim();
    const isQuoted = /^".*"$/.test(quoted);
    const value = isQuoted ? quoted.slice(1, -1) : quoted;
    const field = NAMES[name.trim()];
    if (field === undefined) {
      if (part.trim() === '') continue;
      throw new AtollError(
        'DHT_QUERY',
        `“${name.trim()}” is no field to search by; use id, value_type, owner_pk, seq or user_type.`,
      );
    }
    if (value === '') continue;
    // As OpenDHT: a number in quotes or with another base counts as 0.
    const number = !isQuoted && /^\d+$/.test(value) ? BigInt.asUintN(64, BigInt(value)) : 0n;
    if (field === Field.ownerPk) conditions.push({ field, value: InfoHash.parse(value) });
    else if (field === Field.userType) conditions.push({ field, value });
    else if (field === Field.seq) conditions.push({ field, value: Number(number & 0xffffn) });
    else conditions.push({ field, value: number });
  }
  return conditions;
}

function meets(condition: Condition, value: Value): boolean {
  switch (condition.field) {
    case Field.id:
      return value.id === condition.value;
    case Field.valueType:
      return BigInt(value.type) === condition.value;
    case Field.ownerPk:
      return value.owner?.id.equals(condition.value) ?? false;
    case Field.seq:
      return value.seq === condition.value;
    case Field.userType:
      return value.userType === condition.value;
  }
}

function sameCondition(a: Condition, b: Condition): boolean {
  if (a.field !== b.field) return false;
  return a.field === Field.ownerPk && b.field === Field.ownerPk ? a.value.equals(b.value) : a.value === b.value;
}

type SentCondition = Exclude<Condition, { readonly field: 4 }>;

/** Writes a query. Conditions on seq cannot be sent (protocol/dht.md 21.2): they are left out, filter locally too. */
export function encodeQuery(writer: Writer, query: Query): void {
  const where = query.where.filter((condition): condition is SentCondition => condition.field !== Field.seq);
  writer.map(2);
  writer.key('s');
  writer.array(query.select.length);
  for (const field of query.select) writer.uint(field);
  writer.key('w');
  writer.array(where.length);
  for (const condition of where) {
    writer.map(2);
    writer.key('f');
    writer.uint(condition.field);
    writer.key('v');
    if (condition.field === Field.ownerPk) writer.binary(condition.value.binary);
    else if (condition.field === Field.userType) writer.bin(Buffer.from(condition.value));
    else writer.u64(condition.value);
  }
}

const SELECT = keyCode('s');
const WHERE = keyCode('w');
const CONDITION_FIELD = keyCode('f');
const CONDITION_VALUE = keyCode('v');

/** Reads a query; fails the reader when it is none. */
export function decodeQuery(reader: Reader): Query {
  const select: Field[] = [];
  const where: Condition[] = [];
  let found = 0;
  for (let pairs = reader.map(); pairs > 0 && !reader.failed; pairs--) {
    const key = reader.key();
    if (key === SELECT) {
      found |= 1;
      for (let left = reader.array(); left > 0 && !reader.failed; left--) {
        const field = reader.uint();
        if (isField(field) && !select.includes(field)) select.push(field);
      }
    } else if (key === WHERE) {
      found |= 2;
      const count = reader.array();
      if (count > MAX_CONDITIONS) reader.fail('too many conditions');
      for (let left = count; left > 0 && !reader.failed; left--) decodeCondition(reader, where);
    } else reader.skip();
  }
  if (found !== 3) reader.fail('a query without selection or conditions');
  return new Query(select, where);
}

function decodeCondition(reader: Reader, where: Condition[]): void {
  let field = 0;
  let valueAt = -1;
  for (let pairs = reader.map(); pairs > 0 && !reader.failed; pairs--) {
    const key = reader.key();
    if (key === CONDITION_FIELD) field = reader.uint();
    else {
      if (key === CONDITION_VALUE) valueAt = reader.at;
      reader.skip();
    }
  }
  if (reader.failed) return;
  if (valueAt < 0) {
    reader.fail('a condition without value');
    return;
  }
  const value = new Reader(reader.slice(valueAt));
  if (field === Field.id || field === Field.valueType) where.push({ field, value: value.u64() });
  else if (field === Field.ownerPk) where.push({ field, value: new InfoHash(value.binary(InfoHash.bytes)) });
  else if (field === Field.userType) where.push({ field, value: value.blob().toString() });
  else value.fail('a condition on a field that cannot be searched by');
  if (value.failure !== undefined) reader.fail(value.failure);
}

function isField(number: number): number is Field {
  return number >= 1 && number <= 5;
}

/** Writes the selected fields of some values (protocol/dht.md 21.3). */
export function encodeFieldValues(writer: Writer, select: readonly Field[], values: readonly Value[]): void {
  const fields = [...select].sort((a, b) => a - b);
  writer.map(2);
  writer.key('f');
  writer.array(fields.length);
  for (const field of fields) writer.uint(field);
  writer.key('v');
  writer.array(fields.length * values.length);
  for (const value of values) {
    for (const field of fields) {
      switch (field) {
        case Field.id:
          writer.u64(value.id);
          break;
        case Field.valueType:
          writer.uint(value.type);
          break;
        case Field.ownerPk:
          if (value.owner === undefined) writer.binary(InfoHash.zero.binary);
          else writer.bin(value.owner.spki);
          break;
        case Field.seq:
          writer.uint(value.seq);
          break;
        case Field.userType:
          writer.str(value.userType);
          break;
      }
    }
  }
}

const FIELDS = keyCode('f');
const VALUES = keyCode('v');

/** Reads selected fields; a group that does not fit is left out (protocol/dht.md 3.2). */
export function decodeFieldValues(reader: Reader): { fields: Field[]; values: FieldValues[] } {
  const fields: number[] = [];
  const spots: { from: number; to: number }[] = [];
  for (let pairs = reader.map(); pairs > 0 && !reader.failed; pairs--) {
    const key = reader.key();
    if (key === FIELDS) {
      const count = reader.array();
      if (count > 16) reader.fail('too many fields');
      for (let left = count; left > 0 && !reader.failed; left--) fields.push(reader.uint());
    } else if (key === VALUES) {
      for (let left = reader.array(); left > 0 && !reader.failed; left--) {
        const from = reader.at;
        reader.skip();
        spots.push({ from, to: reader.at });
      }
    } else reader.skip();
  }
  const values: FieldValues[] = [];
  if (fields.length === 0) return { fields: [], values };
  for (let group = 0; group + fields.length <= spots.length; group += fields.length) {
    const entry: { -readonly [K in keyof FieldValues]: FieldValues[K] } = {};
    let isGood = true;
    fields.forEach((field, i) => {
      const spot = spots[group + i];
      if (spot === undefined) return;
      const part = new Reader(reader.slice(spot.from, spot.to));
      if (field === Field.id) entry.id = part.u64();
      else if (field === Field.valueType) entry.valueType = part.uintUpTo(0xffff);
      else if (field === Field.seq) entry.seq = part.uintUpTo(0xffff);
      else if (field === Field.userType) entry.userType = part.blob().toString();
      else if (field === Field.ownerPk) entry.ownerPk = ownerIdOf(part.blob());
      if (part.failed) isGood = false;
    });
    if (isGood) values.push(entry);
  }
  return { fields: fields.filter(isField), values };
}

/** Twenty bytes are the id; anything longer is the key itself (protocol/dht.md 21.3). */
function ownerIdOf(bytes: Buffer): InfoHash {
  return InfoHash.fromBytes(bytes) ?? PublicKey.decode(bytes)?.id ?? InfoHash.of(bytes);
}
