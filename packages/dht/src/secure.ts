import { AtollError, systemRandom } from '@atoll/base';
import { Certificate, type Identity, InfoHash, type PkId, PublicKey } from '@atoll/identity';
import type { GetHandler } from './core/operations.js';
import { longIdKey } from './core/value-types.js';
import { decodeCertificateData, encodeCertificateData, TypeId } from './wire/built-in-types.js';
import { Field, Query } from './wire/query.js';
import { Value } from './wire/value.js';

/** Certificates and keys remembered of others. */
const MAX_REMEMBERED = 4096;
/** Id of a certificate value under its key (protocol/dht.md 19.1). */
const CERTIFICATE_VALUE_ID = 1n;

/** The way values go in and out as they are: a core on UDP, or a proxy. */
export interface ValueTransport {
  /** Looks for values under a key. Returns a function that ends it. */
  get(key: InfoHash, query: Query, handler: GetHandler): () => void;
  /** Stores a value that has an id. */
  put(key: InfoHash, value: Value, options: { readonly isPermanent?: boolean }, onDone: (ok: boolean) => void): void;
  /** The value that is being kept alive under an id. */
  announced(key: InfoHash, id: bigint): Value | undefined;
}

/** Signs, seals, opens and verifies values with one identity, and finds the certificates of others (protocol/dht.md 19). */
export class SecureLayer {
  private readonly transport: ValueTransport;
  private readonly identity: Identity | undefined;
  private readonly certificates = new Map<string, Certificate>();
  private readonly keys = new Map<string, PublicKey>();

  constructor(transport: ValueTransport, identity: Identity | undefined) {
    this.transport = transport;
    this.identity = identity;
  }

  /**
   * The value as its reader may see it: opened, verified, or as it is; undefined when it is not for us or not true
   * (protocol/dht.md 19.3).
   */
  open(value: Value): Value | undefined {
    if (value.isEncrypted) {
      const opened = this.identity === undefined ? undefined : value.openedWith(this.identity.privateKey);
      if (opened?.owner !== undefined) this.rememberKey(opened.owner);
      return opened;
    }
    if (!value.isSigned) return value;
    if (!value.verify()) return undefined;
    if (value.owner !== undefined) this.rememberKey(value.owner);
    return value;
  }

  /** {@link open}, then the caller's filter. */
  acceptor(filter: ((value: Value) => boolean) | undefined): (value: Value) => Value | undefined {
    return (value) => {
      const opened = this.open(value);
      return opened === undefined || (filter !== undefined && !filter(opened)) ? undefined : opened;
    };
  }

  /** The value signed with our key, under an id and a version above any of ours there (protocol/dht.md 19.4). */
  async sign(key: InfoHash, value: Value): Promise<Value> {
    const { privateKey } = this.needIdentity();
    const named = withSomeId(value);
    const seq = await this.nextSeq(key, named, privateKey.publicKey);
    const unsigned = named.withSeq(seq).ownedBy(privateKey.publicKey, value.recipient);
    return unsigned.withSignature(await privateKey.signAsync(unsigned.signBytes()));
  }

  /** The value signed and sealed for one recipient, under an id. Fails with `DHT_NO_CERTIFICATE`. */
  async seal(value: Value, to: PublicKey | InfoHash | PkId): Promise<Value> {
    const { privateKey } = this.needIdentity();
    const recipient = to instanceof PublicKey ? to : await this.findPublicKey(to);
    if (recipient === undefined) {
      throw new AtollError(
        'DHT_NO_CERTIFICATE',
        `No certificate of ${to} was found on the DHT, so nothing can be sealed for it.`,
      );
    }
    return withSomeId(value).sealedFor(recipient, privateKey);
  }

  /** Puts the certificate where both generations look for it, for as long as the node runs (protocol/dht.md 19.1). */
  publishCertificate(): void {
    if (this.identity === undefined) return;
    const { certificate } = this.identity;
    const value = Value.plain({
      id: CERTIFICATE_VALUE_ID,
      type: TypeId.certificate,
      data: encodeCertificateData(certificate.toPem()),
    });
    for (const key of [certificate.id, longIdKey(certificate.longId)]) {
      this.transport.put(key, value, { isPermanent: true }, () => {});
    }
  }

  /** The certificate with this short or long id: our own, one seen before, or one from the DHT. */
  findCertificate(id: InfoHash | PkId): Promise<Certificate | undefined> {
    const own = this.identity?.certificate;
    if (own !== undefined && isIdOf(id, own)) return Promise.resolve(own);
    const known = this.certificates.get(id.binary);
    if (known !== undefined) return Promise.resolve(known);
    const key = id instanceof InfoHash ? id : longIdKey(id);
    return new Promise((resolve) => {
      let found: Certificate | undefined;
      this.transport.get(key, Query.all, {
        onValues: (values) => {
          for (const value of values) {
            if (value.type !== TypeId.certificate) continue;
            const certificate = Certificate.decode(decodeCertificateData(value.data));
            if (certificate === undefined || !isIdOf(id, certificate)) continue;
            found = certificate;
            remember(this.certificates, id.binary, certificate);
            this.rememberKey(certificate.publicKey);
            return false;
          }
          return true;
        },
        onDone: () => resolve(found),
      });
    });
  }

  /** The key with this id, remembered or by its certificate. */
  async findPublicKey(id: InfoHash | PkId): Promise<PublicKey | undefined> {
    return this.keys.get(id.binary) ?? (await this.findCertificate(id))?.publicKey;
  }

  /** The next version to sign a value with: above any of ours under that id (protocol/dht.md 19.4). */
  nextSeq(key: InfoHash, value: Value, owner: PublicKey): Promise<number> {
    let seq = value.seq;
    const announced = this.transport.announced(key, value.id);
    if (announced?.isSigned && announced.seq >= seq) seq = announced.seq + 1;
    return new Promise((resolve) => {
      this.transport.get(key, new Query([], [{ field: Field.id, value: value.id }]), {
        onValues: (values) => {
          for (const there of values) {
            const isOurs = there.id === value.id && there.owner?.equals(owner) && there.verify();
            if (isOurs && there.seq >= seq) seq = there.seq + 1;
          }
          return true;
        },
        onDone: () => resolve(seq),
      });
    });
  }

  private needIdentity(): Identity {
    if (this.identity !== undefined) return this.identity;
    throw new AtollError('DHT_NO_IDENTITY', 'An identity is required to sign or encrypt; start the node with one.');
  }

  private rememberKey(key: PublicKey): void {
    remember(this.keys, key.id.binary, key);
    remember(this.keys, key.longId.binary, key);
  }
}

/** The value under its id, or under a random one when it has none. */
export function withSomeId(value: Value): Value {
  if (value.id !== 0n) return value;
  const id = systemRandom.bytes(8).readBigUInt64BE();
  return value.withId(id === 0n ? 1n : id);
}

function isIdOf(id: InfoHash | PkId, certificate: Certificate): boolean {
  return id.equals(id instanceof InfoHash ? certificate.id : certificate.longId);
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  if (!map.has(key) && map.size >= MAX_REMEMBERED) {
    const [oldest] = map.keys();
    if (oldest !== undefined) map.delete(oldest);
  }
  map.set(key, value);
}
