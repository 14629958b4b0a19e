import { PublicKey } from '@atoll/identity';
import { lowerAscii, type NameRule, toAddress, toName } from './name-rule.js';

/** A name, whom it leads to, and what proves it. */
export interface FoundName {
  readonly name: string;
  /** Jami id, 40 lower-case hex digits. */
  readonly address: string;
  /** DER `SubjectPublicKeyInfo`; empty where a record came without. */
  readonly publicKey: Buffer;
  /** RSA PKCS #1 v1.5 with SHA-512 over the name; empty where a record came without. */
  readonly signature: Buffer;
}

/** A name as it was registered. */
export interface NameRecord extends FoundName {
  /** What the client calls the owner: an Ethereum address, without meaning here. */
  readonly owner: string;
}

/** A registration that cannot be taken, whatever is stored. */
export interface BadRegistration {
  /** 400: incomplete or malformed; 401: the signature does not prove what it should. */
  readonly status: 400 | 401;
  readonly reason: string;
}

/** Least and most bits of an account's RSA key; Jami's have 4096. */
const LEAST_KEY_BITS = 2048;
const MOST_KEY_BITS = 8192;
/** Most characters of the owner; an Ethereum address has 40. */
const MOST_OWNER = 64;
/** Most characters of base64 that are decoded. */
const MOST_BASE64 = 8192;

const bad = (status: 400 | 401, reason: string): BadRegistration => ({ status, reason });

/** Whether a registration was refused. */
export function isBad(result: NameRecord | BadRegistration): result is BadRegistration {
  return 'status' in result;
}

/**
 * Reads and proves `POST /name/<text>` (protocol/name-server.md 5 and 6): the key is the one that the address is the
 * SHA-1 of, and it signed the name.
 */
export function readRegistration(text: string, body: unknown, rule: NameRule): NameRecord | BadRegistration {
  const name = toName(text, rule);
  if (name === undefined) return bad(400, 'invalid name');
  // Clients lower ASCII letters before they sign; what they sign has to be what is looked up.
  if (lowerAscii(text) !== name) return bad(400, 'invalid name: not in its normal form');
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return bad(400, 'the body is no JSON object');
  const members = body as Record<string, unknown>;
  const address = typeof members.addr === 'string' ? toAddress(members.addr) : undefined;
  if (address === undefined) return bad(400, 'addr is no Jami id');
  const { owner = '', publickey, signature } = members;
  if (typeof owner !== 'string' || !/^[0-9a-zA-Z]*$/.test(owner) || owner.length > MOST_OWNER) {
    return bad(400, 'owner is no address');
  }
  const keyBytes = decodeBase64(publickey);
  const signatureBytes = decodeBase64(signature);
  if (keyBytes === undefined || signatureBytes === undefined) {
    return bad(400, 'publickey and signature have to be there, as base64');
  }
  return prove({ name, address, owner, publicKey: keyBytes, signature: signatureBytes });
}

/** The record with its key as DER, if the key belongs to the address and signed the name. */
export function prove(record: NameRecord): NameRecord | BadRegistration {
  const key = decodeKey(record.publicKey);
  if (key === undefined) return bad(401, 'publickey is no RSA key of 2048 to 8192 bits');
  if (key.id.toString() !== record.address) return bad(401, 'addr is not the id of publickey');
  if (!key.verify(Buffer.from(record.name), record.signature)) return bad(401, 'signature verification failed');
  return { ...record, publicKey: key.spki };
}

/** From PEM, also with the NUL that clients before August 2026 put at its end, or DER. */
function decodeKey(bytes: Buffer): PublicKey | undefined {
  const nul = bytes[0] === 0x2d ? bytes.indexOf(0) : -1;
  const key = PublicKey.decode(nul < 0 ? bytes : bytes.subarray(0, nul));
  const bits = (key?.modulusBytes ?? 0) * 8;
  return bits >= LEAST_KEY_BITS && bits <= MOST_KEY_BITS ? key : undefined;
}

function decodeBase64(text: unknown): Buffer | undefined {
  if (typeof text !== 'string' || text === '' || text.length > MOST_BASE64) return undefined;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  return Buffer.from(text, 'base64');
}

const LINE = 64;

/** Base64 of the PEM text of a key, as answers carry it: without a NUL (protocol/name-server.md 6). */
export function keyInAnswer(spki: Buffer): string {
  const base64 = spki.toString('base64');
  let pem = '-----BEGIN PUBLIC KEY-----\n';
  for (let at = 0; at < base64.length; at += LINE) pem += `${base64.slice(at, at + LINE)}\n`;
  return Buffer.from(`${pem}-----END PUBLIC KEY-----\n`, 'latin1').toString('base64');
}

/**
 * The JSON of a found name. Names and addresses need no escaping: rules above keep quotes, backslashes and control
 * characters out of them.
 */
export function foundAnswer({ name, address, publicKey, signature }: FoundName): string {
  const head = `{"name":"${name}","addr":"0x${address}"`;
  if (publicKey.length === 0 || signature.length === 0) return `${head}}`;
  return `${head},"publickey":"${keyInAnswer(publicKey)}","signature":"${signature.toString('base64')}"}`;
}
