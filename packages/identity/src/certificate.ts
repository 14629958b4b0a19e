import { X509Certificate } from 'node:crypto';
import { InfoHash, type PkId } from './info-hash.js';
import { PublicKey } from './public-key.js';

const PEM = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;
/** Certificates in one chain: an authority, an account, a device, and room. */
const MAX_CHAIN = 8;
/** Bytes of a chain as PEM. */
const MAX_CHAIN_BYTES = 128 * 1024;

/** An X.509 certificate with the chain that came with it (protocol/dht.md 11.5). */
export class Certificate {
  /** The certificate as Node has it. */
  readonly x509: X509Certificate;
  readonly publicKey: PublicKey;
  /** The one who signed it, as far as the chain shows. */
  readonly issuer: Certificate | undefined;

  private constructor(x509: X509Certificate, issuer: Certificate | undefined) {
    this.x509 = x509;
    this.issuer = issuer;
    this.publicKey = new PublicKey(x509.publicKey);
  }

  /** A chain, leaf first, from PEM text or one DER certificate; undefined when it is none. */
  static decode(bytes: Uint8Array | string): Certificate | undefined {
    const buffer = Buffer.from(bytes);
    if (buffer.length > MAX_CHAIN_BYTES) return undefined;
    const texts = buffer.toString('latin1').match(PEM)?.slice(0, MAX_CHAIN);
    try {
      const chain = texts === undefined ? [new X509Certificate(buffer)] : texts.map((pem) => new X509Certificate(pem));
      return chain.reduceRight<Certificate | undefined>((issuer, x509) => new Certificate(x509, issuer), undefined);
    } catch {
      return undefined;
    }
  }

  /** The same certificate with another certificate as its issuer. */
  withIssuer(issuer: Certificate | undefined): Certificate {
    return new Certificate(this.x509, issuer);
  }

  /** Short id of its key. */
  get id(): InfoHash {
    return this.publicKey.id;
  }

  /** Long id of its key; in Jami the device id. */
  get longId(): PkId {
    return this.publicKey.longId;
  }

  /** Common name of the subject. */
  get name(): string {
    return attribute(this.x509.subject, 'CN');
  }

  /** User id of the subject: the hex id of the key, in certificates of OpenDHT and Jami. */
  get uid(): string {
    return attribute(this.x509.subject, 'UID');
  }

  get issuerName(): string {
    return attribute(this.x509.issuer, 'CN');
  }

  get issuerUid(): string {
    return attribute(this.x509.issuer, 'UID');
  }

  /** Hex of the serial's bytes, lower case. OpenDHT's serials of eight bytes may read as negative numbers. */
  get serial(): string {
    const text = this.x509.serialNumber.toLowerCase();
    if (!text.startsWith('-')) return text;
    const bits = 4 * (text.length - 1 + ((text.length - 1) % 2));
    return BigInt.asUintN(bits, -BigInt(`0x${text.slice(1)}`)).toString(16);
  }

  get isCa(): boolean {
    return this.x509.ca;
  }

  /** UNIX ms. */
  get validFromMs(): number {
    return Date.parse(this.x509.validFrom);
  }

  /** UNIX ms. */
  get validToMs(): number {
    return Date.parse(this.x509.validTo);
  }

  /** This one and its issuers, leaf first. */
  get chain(): Certificate[] {
    const chain: Certificate[] = [];
    for (let at: Certificate | undefined = this; at !== undefined; at = at.issuer) chain.push(at);
    return chain;
  }

  /** The chain as PEM, leaf first. */
  toPem(): string {
    return this.chain.map((certificate) => certificate.x509.toString()).join('');
  }

  /** This one alone as DER. */
  toDer(): Buffer {
    return this.x509.raw;
  }

  /** Whether `issuer`'s key signed it. */
  isSignedBy(issuer: Certificate): boolean {
    try {
      return this.x509.verify(issuer.x509.publicKey);
    } catch {
      return false;
    }
  }

  isValidAt(unixMs: number): boolean {
    return unixMs >= this.validFromMs && unixMs <= this.validToMs;
  }

  /**
   * Why the chain does not hold at a time, or undefined when it does: every link signed by the next, which is an
   * authority, all within their validity, the last one self-signed or one of `trusted`.
   */
  chainFault(unixMs: number, trusted: readonly Certificate[] = []): string | undefined {
    const { chain } = this;
    for (const [index, certificate] of chain.entries()) {
      if (!certificate.isValidAt(unixMs)) return `The certificate of ${certificate.name} is not valid at this time.`;
      const issuer = chain[index + 1];
      if (issuer === undefined) {
        const isTrusted = trusted.some((anchor) => anchor.longId.equals(certificate.longId));
        const isIssued = trusted.some((anchor) => anchor.isCa && certificate.isSignedBy(anchor));
        if (isTrusted || isIssued || (trusted.length === 0 && certificate.isSignedBy(certificate))) return undefined;
        return `Nobody trusted has signed the certificate of ${certificate.name}.`;
      }
      if (!issuer.isCa) return `${issuer.name} may not sign certificates.`;
      if (!certificate.isSignedBy(issuer))
        return `${issuer.name} has not signed the certificate of ${certificate.name}.`;
    }
    return undefined;
  }
}

function attribute(name: string, key: string): string {
  const line = name.split('\n').find((part) => part.startsWith(`${key}=`));
  return line?.slice(key.length + 1) ?? '';
}

/** Node id of a node with a certificate: SHA-1 of `node:` and the hex id (protocol/dht.md 1). */
export function nodeIdOf(certificate: Certificate): InfoHash {
  return InfoHash.of(`node:${certificate.id}`);
}
