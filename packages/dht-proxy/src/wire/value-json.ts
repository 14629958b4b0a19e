import { Value } from '@atoll/dht';
import { InfoHash, PublicKey } from '@atoll/identity';

/** A value as read from JSON, or why it is none. */
export type DecodedValue = { readonly value: Value; readonly isExpired: boolean } | string;

/** JSON of a stranger, as an object. */
export type JsonObject = Readonly<Record<string, unknown>>;

const MAX_ID = 0xffff_ffff_ffff_ffffn;
/** Numbers of sixteen digits and more lose digits as doubles; the id is therefore read as text (trap 5). */
const LONG_ID = /(?<!\\)("id"\s*:\s*)(\d{16,20})(?=\s*[,}])/g;
/** Four characters, padded only at the end (RFC 4648 4). */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Parses JSON text with an `id` of up to 64 bits kept exactly; undefined when it is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text.includes('"id"') ? text.replace(LONG_ID, '$1"$2"') : text);
  } catch {
    return undefined;
  }
}

export function isJsonObject(json: unknown): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

/**
 * One value as JSON, compact and without a newline, members in the order of their names (protocol/dht-proxy.md 6). With
 * `isExpired` it is the line that says that the value is gone.
 */
export function encodeValueJson(value: Value, isExpired = false): string {
  const expired = isExpired ? '"expired":true,' : '';
  const priority = value.priority === 0 ? '' : `,"prio":${value.priority}`;
  const pushType = value.pushType === '' ? '' : `,"pt":${JSON.stringify(value.pushType)}`;
  if (value.cypher !== undefined) {
    return `{"cypher":"${value.cypher.toString('base64')}",${expired}"id":"${value.id}"${priority}${pushType}}`;
  }
  let text = `{"data":"${value.data.toString('base64')}",${expired}"id":"${value.id}"`;
  const { owner, recipient, signature } = value;
  if (owner !== undefined) text += `,"owner":${ownerJson(owner)}`;
  text += priority + pushType;
  if (owner !== undefined) text += `,"seq":${value.seq}`;
  if (signature !== undefined) text += `,"sig":"${signature.toString('base64')}"`;
  if (owner !== undefined && recipient !== undefined && !recipient.isZero) text += `,"to":"${recipient}"`;
  text += `,"type":${value.type}`;
  if (value.userType !== '') text += `,"utype":${JSON.stringify(value.userType)}`;
  return `${text}}`;
}

const pemOf = new WeakMap<PublicKey, string>();

function ownerJson(owner: PublicKey): string {
  let json = pemOf.get(owner);
  if (json === undefined) {
    json = JSON.stringify(owner.toPem());
    pemOf.set(owner, json);
  }
  return json;
}

/** A value from JSON of a put or of a line. Returns the reason when it is none (protocol/dht-proxy.md 6). */
export function decodeValueJson(json: unknown): DecodedValue {
  if (!isJsonObject(json)) return 'it is no JSON object';
  const id = idOf(json.id);
  const priority = wholeNumber(json.prio, 0xffff_ffff) ?? 0;
  const pushType = textOf(json.pt);
  const isExpired = json.expired === true;
  const cypher = bytesOf(json.cypher);
  if (cypher === undefined) return 'cypher is no base64';
  if (cypher.length > 0) {
    return { value: Value.sealed(Value.plain({ id, priority, pushType }), cypher), isExpired };
  }
  const type = json.type === undefined ? 0 : wholeNumber(json.type, 0xffff);
  if (type === undefined) return 'type is no number from 0 to 65535';
  const seq = json.seq === undefined ? 0 : wholeNumber(json.seq, 0xffff);
  if (seq === undefined) return 'seq is no number from 0 to 65535';
  const data = bytesOf(json.data);
  if (data === undefined) return 'data is no base64';
  const signature = bytesOf(json.sig);
  if (signature === undefined) return 'sig is no base64';
  const plain = Value.plain({ id, type, data, priority, pushType, seq, userType: textOf(json.utype) });
  const owner = ownerOf(json.owner);
  if (owner === 'none') return { value: plain.withSeq(0), isExpired };
  if (owner === undefined) return 'owner is no public key';
  if (signature.length === 0) return 'there is an owner but no sig';
  const to = InfoHash.parse(textOf(json.to));
  return { value: plain.ownedBy(owner, to.isZero ? undefined : to).withSignature(signature), isExpired };
}

function idOf(json: unknown): bigint {
  const text = typeof json === 'number' && Number.isSafeInteger(json) ? String(json) : json;
  if (typeof text !== 'string' || !/^\d{1,20}$/.test(text)) return 0n;
  const id = BigInt(text);
  return id > MAX_ID ? 0n : id;
}

function wholeNumber(json: unknown, most: number): number | undefined {
  return typeof json === 'number' && Number.isInteger(json) && json >= 0 && json <= most ? json : undefined;
}

function textOf(json: unknown): string {
  return typeof json === 'string' ? json : '';
}

function bytesOf(json: unknown): Buffer | undefined {
  const text = textOf(json);
  if (text === '') return Buffer.alloc(0);
  return BASE64.test(text) ? Buffer.from(text, 'base64') : undefined;
}

/** `none` when there is no owner; undefined when there is something else than a key. */
function ownerOf(json: unknown): PublicKey | 'none' | undefined {
  let text = textOf(json);
  // Peers before 4.3.0 end the text with a NUL (trap 4).
  while (text.endsWith('\0')) text = text.slice(0, -1);
  return text === '' ? 'none' : PublicKey.decode(Buffer.from(text, 'latin1'));
}
