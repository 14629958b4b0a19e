import { formatIp } from '@atoll/base';
import { InfoHash, type PrivateKey, PublicKey } from '@atoll/identity';
import { keyCode, Reader, Writer } from '@atoll/msgpack';
import { decodeIpServiceAnnouncement, TypeId } from './built-in-types.js';

/** Largest packed value that is accepted at all, in bytes (protocol/dht.md 9). */
export const MAX_PACKED_VALUE_BYTES = 65_536 + 32;

/** What a value is made of; everything but `data` has a default. */
export interface ValueFields {
  /** Identifies the value under its key, u64. 0 asks for a random one when the value is put. */
  readonly id?: bigint;
  /** Value type, u16 (protocol/dht.md 12.1). */
  readonly type?: number;
  readonly data?: Uint8Array;
  readonly userType?: string;
  /** 0 high, 1 normal: for push notifications only. */
  readonly priority?: number;
  /** Push type of newer peers. */
  readonly pushType?: string;
  /** Version of a signed value, u16. */
  readonly seq?: number;
}

interface AllFields extends ValueFields {
  readonly owner?: PublicKey | undefined;
  readonly recipient?: InfoHash | undefined;
  readonly signature?: Buffer | undefined;
  readonly cypher?: Buffer | undefined;
}

const NO_BYTES = Buffer.alloc(0);
const scratch = new Writer(70_000);
const valueReader = new Reader(NO_BYTES);

/**
 * One value of the DHT: plain, signed or encrypted. Immutable; its packed form is made once and kept.
 * Layout: protocol/dht.md 10.1.
 *
 * A value that was read keeps its packed form only, as a binary string, and shows its content from there: nodes store
 * many values and look into few.
 */
export class Value {
  readonly id: bigint;
  readonly type: number;
  readonly userType: string;
  readonly priority: number;
  readonly pushType: string;
  readonly seq: number;
  /** Key of the signer, for signed values. */
  readonly owner: PublicKey | undefined;
  /** Short key id of the one it was encrypted for, inside a decrypted value. */
  readonly recipient: InfoHash | undefined;
  readonly signature: Buffer | undefined;
  /** Whether the content is sealed; the value shows nothing else then. */
  readonly isEncrypted: boolean;
  /** Bytes of the content: `data`, or `cypher` of an encrypted value. */
  private readonly contentBytes: number;
  /** The content, where it is not to be taken from the packed form. */
  private readonly content: Buffer | undefined;
  private packedText: string | undefined;
  private contentAt: number;

  /** `packed` and `contentAt`: the packed form, and where the content stands in it. */
  private constructor(fields: AllFields, packed?: string, contentAt = 0) {
    const content = fields.cypher ?? fields.data ?? NO_BYTES;
    this.id = fields.id ?? 0n;
    this.type = fields.type ?? 0;
    this.userType = fields.userType ?? '';
    this.priority = fields.priority ?? 0;
    this.pushType = fields.pushType ?? '';
    this.seq = fields.seq ?? 0;
    this.owner = fields.owner;
    this.recipient = fields.recipient;
    this.signature = fields.signature;
    this.isEncrypted = fields.cypher !== undefined;
    this.contentBytes = content.length;
    this.content = packed === undefined ? toBuffer(content) : undefined;
    this.packedText = packed;
    this.contentAt = contentAt;
  }

  /** A plain value. Text data is taken as UTF-8. */
  static plain(fields: Omit<ValueFields, 'data'> & { readonly data?: Uint8Array | string }): Value {
    const { data } = fields;
    return new Value({ ...fields, data: typeof data === 'string' ? Buffer.from(data) : (data ?? NO_BYTES) });
  }

  /** The content of a plain or signed value; empty for an encrypted one. */
  get data(): Buffer {
    return this.isEncrypted ? NO_BYTES : this.contentBuffer();
  }

  /** The sealed content of an encrypted value. */
  get cypher(): Buffer | undefined {
    return this.isEncrypted ? this.contentBuffer() : undefined;
  }

  get isSigned(): boolean {
    return this.owner !== undefined && this.signature !== undefined;
  }

  /** Size for quotas and policies, in bytes (protocol/dht.md 10.4). */
  get sizeBytes(): number {
    return this.contentBytes + (this.signature?.length ?? 0) + this.userType.length + this.pushType.length;
  }

  /** The value as it goes over the wire. */
  get packed(): Buffer {
    return Buffer.from(this.packedBinary, 'latin1');
  }

  /** The value as it goes over the wire, as a binary string. */
  get packedBinary(): string {
    if (this.packedText === undefined) {
      encodeValue(scratch.reset(), this.fields());
      this.packedText = scratch.takeBinary();
    }
    return this.packedText;
  }

  /** The same value under another id. */
  withId(id: bigint): Value {
    return new Value({ ...this.fields(), id });
  }

  /** Same content, other seq, unsigned. */
  withSeq(seq: number): Value {
    return new Value({ ...this.fields(), seq, owner: undefined, signature: undefined, recipient: undefined });
  }

  /** What the signature covers: the canonical body (protocol/dht.md 10.2). */
  signBytes(): Buffer {
    encodeBody(scratch.reset(), this.fields());
    return scratch.take();
  }

  /** The plaintext of an encrypted value: body and signature (protocol/dht.md 11.7). */
  sealBytes(): Buffer {
    encodeDat(scratch.reset(), this.fields());
    return scratch.take();
  }

  /** Signed by `key`, optionally naming the recipient. RSA keys only: others would never verify (protocol/dht.md 11.1). */
  signedBy(key: PrivateKey, recipient?: InfoHash): Value {
    const unsigned = this.ownedBy(key.publicKey, recipient);
    return unsigned.withSignature(key.sign(unsigned.signBytes()));
  }

  /** With owner and recipient set, not yet signed: `signBytes` of this is what has to be signed. */
  ownedBy(owner: PublicKey, recipient?: InfoHash): Value {
    return new Value({ ...this.fields(), owner, recipient, signature: undefined, cypher: undefined });
  }

  withSignature(signature: Buffer): Value {
    return new Value({ ...this.fields(), signature });
  }

  /** Signed by `from` and sealed for `to`: shows nothing but id and priority to those who store it. */
  sealedFor(to: PublicKey, from: PrivateKey): Value {
    const signed = this.signedBy(from, to.id);
    return Value.sealed(signed, to.encrypt(signed.sealBytes()));
  }

  /** The outer value of sealed content. */
  static sealed(inner: Value, cypher: Buffer): Value {
    return new Value({ id: inner.id, priority: inner.priority, pushType: inner.pushType, cypher });
  }

  /** Whether the signature is the owner's over this content. False for unsigned values. */
  verify(): boolean {
    return (
      this.owner !== undefined && this.signature !== undefined && this.owner.verify(this.signBytes(), this.signature)
    );
  }

  /**
   * Opens an encrypted value; undefined when it is not for this key, is damaged, or its inner signature is not valid
   * (protocol/dht.md 11.7).
   */
  openedWith(key: PrivateKey): Value | undefined {
    const { cypher } = this;
    if (cypher === undefined) return undefined;
    const plain = key.decrypt(cypher);
    if (plain === undefined) return undefined;
    const reader = new Reader(plain);
    const fields: MutableFields = {};
    decodeDat(reader, fields);
    if (reader.failed || fields.cypher !== undefined) return undefined;
    const value = new Value({ ...fields, id: this.id, priority: this.priority, pushType: this.pushType });
    const isForUs = value.recipient?.equals(key.publicKey.id) ?? false;
    return isForUs && value.verify() ? value : undefined;
  }

  /** Same id and same content as the protocol sees it (protocol/dht.md 10.3). */
  equals(other: Value): boolean {
    return this.id === other.id && this.sameContent(other);
  }

  /** Same content, whatever the id (protocol/dht.md 10.3). */
  sameContent(other: Value): boolean {
    if (this.packedText !== undefined && this.packedText === other.packedText) return true;
    if (this.isEncrypted !== other.isEncrypted || this.contentBytes !== other.contentBytes) return false;
    if (this.isEncrypted) return sameBytes(this.cypher, other.cypher);
    return (
      this.type === other.type &&
      this.userType === other.userType &&
      this.data.equals(other.data) &&
      sameBytes(this.signature, other.signature) &&
      (this.owner === other.owner ||
        (this.owner !== undefined && other.owner !== undefined && this.owner.longId.equals(other.owner.longId)))
    );
  }

  /**
   * Reads a packed value from bytes, or from a part of them. The bytes are copied, so the datagram may be reused.
   * Returns undefined for anything that is not a value (protocol/dht.md 10.1).
   */
  static decode(bytes: Buffer, from = 0, to = bytes.length): Value | undefined {
    const reader = valueReader.reset(bytes, from, to);
    const fields: MutableFields = {};
    decodeValue(reader, fields);
    if (reader.failed) return undefined;
    // Peers re-pack what they relay, and so do we: what is kept is the canonical form, nearly always the bytes read.
    const contentAt = encodeValue(scratch.reset(), fields);
    const packed = scratch.takeBinary();
    if (fields.signature !== undefined) fields.signature = Buffer.from(fields.signature);
    return new Value(fields, packed, contentAt);
  }

  /** As `dhtnode` prints values (protocol/dht.md 24). */
  toString(): string {
    let text = `Value[id:${this.id.toString(16)} `;
    if (this.isEncrypted) text += 'encrypted ';
    else {
      if (this.isSigned) text += `signed (v${this.seq}) `;
      if (this.recipient !== undefined && !this.recipient.isZero) text += 'decrypted ';
      if (this.type === TypeId.certificate) return `${text}Certificate]`;
      if (this.type === TypeId.ipServiceAnnouncement) {
        const peer = decodeIpServiceAnnouncement(this.data);
        return peer === undefined ? `${text}]` : `${text}Peer: port ${peer.port} addr ${formatIp(peer.ip)}]`;
      }
      text += 'data';
      if (this.userType !== '') text += `(${this.userType})`;
      if (this.userType === 'text/plain') text += `:"${this.data.toString()}"`;
      else if (this.contentBytes < 1024) text += `:${this.data.toString('hex')}`;
      else text += `:${this.contentBytes} bytes`;
    }
    return `${text}]`;
  }

  private fields(): AllFields {
    const { id, type, data, userType, priority, pushType, seq, owner, recipient, signature, cypher } = this;
    return { id, type, data, userType, priority, pushType, seq, owner, recipient, signature, cypher };
  }

  private contentBuffer(): Buffer {
    if (this.content !== undefined) return this.content;
    const { packedText = '', contentAt } = this;
    return Buffer.from(packedText.slice(contentAt, contentAt + this.contentBytes), 'latin1');
  }
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function sameBytes(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.equals(b));
}

/** Writes the packed form; returns where the content stands in what was written. */
function encodeValue(writer: Writer, fields: AllFields): number {
  const { priority = 0, pushType = '' } = fields;
  writer.map(2 + (priority !== 0 ? 1 : 0) + (pushType !== '' ? 1 : 0));
  writer.key('id');
  writer.u64(fields.id ?? 0n);
  writer.key('dat');
  const contentAt = encodeDat(writer, fields);
  if (priority !== 0) {
    writer.key('p');
    writer.uint(priority);
  }
  if (pushType !== '') {
    writer.key('pt');
    writer.str(pushType);
  }
  return contentAt;
}

function encodeDat(writer: Writer, fields: AllFields): number {
  const { cypher, signature } = fields;
  if (cypher !== undefined) {
    writer.bin(cypher);
    return writer.length - cypher.length;
  }
  writer.map(signature === undefined ? 1 : 2);
  writer.key('body');
  const contentAt = encodeBody(writer, fields);
  if (signature !== undefined) {
    writer.key('sig');
    writer.bin(signature);
  }
  return contentAt;
}

function encodeBody(writer: Writer, fields: AllFields): number {
  const { owner, recipient, seq = 0, type = 0, data = NO_BYTES, userType = '' } = fields;
  const hasRecipient = owner !== undefined && recipient !== undefined && !recipient.isZero;
  writer.map(2 + (owner === undefined ? 0 : 2) + (hasRecipient ? 1 : 0) + (userType === '' ? 0 : 1));
  if (owner !== undefined) {
    writer.key('seq');
    writer.uint(seq);
    writer.key('owner');
    writer.bin(owner.spki);
    if (hasRecipient) {
      writer.key('to');
      writer.binary(recipient.binary);
    }
  }
  writer.key('type');
  writer.uint(type);
  writer.key('data');
  writer.bin(data);
  const contentAt = writer.length - data.length;
  if (userType !== '') {
    writer.key('utype');
    writer.str(userType);
  }
  return contentAt;
}

type MutableFields = { -readonly [K in keyof AllFields]: AllFields[K] };

const ID = keyCode('id');
const DAT = keyCode('dat');
const PRIORITY = keyCode('p');
const PUSH_TYPE = keyCode('pt');
const BODY = keyCode('body');
const SIGNATURE = keyCode('sig');
const SEQ = keyCode('seq');
const OWNER = keyCode('owner');
const RECIPIENT = keyCode('to');
const TYPE = keyCode('type');
const DATA = keyCode('data');
const USER_TYPE = keyCode('utype');

function decodeValue(reader: Reader, fields: MutableFields): void {
  let hasId = false;
  let hasDat = false;
  for (let pairs = reader.map(); pairs > 0 && !reader.failed; pairs--) {
    const key = reader.key();
    if (key === ID) {
      fields.id = reader.u64();
      hasId = true;
    } else if (key === DAT) {
      decodeDat(reader, fields);
      hasDat = true;
    } else if (key === PRIORITY) fields.priority = reader.uintUpTo(0xffff_ffff);
    else if (key === PUSH_TYPE) fields.pushType = reader.str();
    else reader.skip();
  }
  if (!hasId || !hasDat) reader.fail('a value without id or content');
}

function decodeDat(reader: Reader, fields: MutableFields): void {
  if (reader.peek() === 'bin') {
    fields.cypher = reader.bin();
    return;
  }
  let hasBody = false;
  let signature: Buffer | undefined;
  for (let pairs = reader.map(); pairs > 0 && !reader.failed; pairs--) {
    const key = reader.key();
    if (key === BODY && reader.keyIs('body')) {
      decodeBody(reader, fields);
      hasBody = true;
    } else if (key === SIGNATURE) signature = reader.blob();
    else reader.skip();
  }
  if (!hasBody) reader.fail('a value without body');
  // A signature without an owner means nothing and is not kept (protocol/dht.md 10.1).
  if (fields.owner !== undefined) {
    if (signature === undefined) reader.fail('an owned value without signature');
    fields.signature = signature;
  }
}

function decodeBody(reader: Reader, fields: MutableFields): void {
  let hasType = false;
  let hasData = false;
  let seq: number | undefined;
  let recipient: InfoHash | undefined;
  for (let pairs = reader.map(); pairs > 0 && !reader.failed; pairs--) {
    const key = reader.key();
    if (key === TYPE && reader.keyIs('type')) {
      fields.type = reader.uintUpTo(0xffff);
      hasType = true;
    } else if (key === DATA && reader.keyIs('data')) {
      fields.data = reader.blob();
      hasData = true;
    } else if (key === USER_TYPE && reader.keyIs('utype')) fields.userType = reader.str();
    else if (key === SEQ) seq = reader.uintUpTo(0xffff);
    else if (key === RECIPIENT) recipient = new InfoHash(reader.binary(InfoHash.bytes));
    else if (key === OWNER && reader.keyIs('owner')) {
      fields.owner = PublicKey.decode(reader.blob());
      if (fields.owner === undefined) reader.fail('an owner that is no key');
    } else reader.skip();
  }
  if (!hasType || !hasData) reader.fail('a body without type or data');
  if (fields.owner === undefined) return;
  if (seq === undefined) reader.fail('an owned value without seq');
  else fields.seq = seq;
  if (recipient !== undefined && !recipient.isZero) fields.recipient = recipient;
}
