import { Certificate, type Identity, InfoHash, type PkId, type PublicKey } from '@atoll/identity';
import type { DhtCore } from './core/dht-core.js';
import { longIdKey } from './core/value-types.js';
import { decodeCertificateData, encodeCertificateData, TypeId } from './wire/built-in-types.js';
import { Field, Query } from './wire/query.js';
import { Value } from './wire/value.js';

/** Certificates and keys remembered of others. */
const MAX_REMEMBERED = 4096;
/** Id of a certificate value under its key (protocol/dht.md 19.1). */
const CERTIFICATE_VALUE_ID = 1n;

/** Signs, seals, opens and verifies values with one identity, and finds the certificates of others (protocol/dht.md 19). */
export class SecureLayer {
  private readonly core: DhtCore;
  private readonly identity: Identity | undefined;
  private readonly certificates = new Map<string, Certificate>();
  private readonly keys = new Map<string, PublicKey>();

  constructor(core: DhtCore, identity: Identity | undefined) {
    this.core = core;
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
      this.core.put(key, value, { isPermanent: true }, () => {});
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
      this.core.get(key, Query.all, {
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
    const announced = this.core.announced(key, value.id);
    if (announced?.isSigned && announced.seq >= seq) seq = announced.seq + 1;
    return new Promise((resolve) => {
      this.core.get(key, new Query([], [{ field: Field.id, value: value.id }]), {
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

  private rememberKey(key: PublicKey): void {
    remember(this.keys, key.id.binary, key);
    remember(this.keys, key.longId.binary, key);
  }
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
