import { AtollError, errorMessage, UsageError } from '@atoll/base';
import { type NativeContext, useNative } from '../native.js';

const DEFAULT_CIPHERS = 'ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AESCCM:!aNULL';
const DEFAULT_GROUPS = 'X25519:P-256:P-384:P-521';
const MAX_RETRANSMIT_MS = 60_000;

/** A certificate chain and its key, in PEM. */
export interface DtlsCertificate {
  /** The own certificate first, then those above it. RSA or EC. */
  readonly certificate: string;
  readonly privateKey: string;
  /** Of an encrypted key. */
  readonly passphrase?: string | undefined;
}

export interface DtlsContextOptions {
  /** At most one of each kind (one RSA and one EC): the client's abilities choose. A server needs one. */
  readonly certificates?: readonly DtlsCertificate[];
  /** OpenSSL's cipher list. Only authenticated encryption (GCM, ChaCha20, CCM) when left out. */
  readonly ciphers?: string | undefined;
  /** OpenSSL's list of groups, most wanted first. */
  readonly groups?: string | undefined;
  /** `DTLSv1` lets old clients in, with the weak signatures they need. */
  readonly minVersion?: 'DTLSv1' | 'DTLSv1.2';
  /**
   * What a server asks of its clients. `ask` takes those without a certificate too. Without {@link authorities} any
   * certificate passes, self-signed ones as well: judge it with `verifyPeer`.
   */
  readonly clientCertificate?: 'none' | 'ask' | 'require';
  /** Certificates in PEM that the peer's chain must end in. A client checks the server's chain and name against them. */
  readonly authorities?: string | undefined;
  /** Protocols in the order of preference (RFC 7301); a client with none of them is refused. */
  readonly alpnProtocols?: readonly string[];
  /** OpenSSL's names of SRTP profiles, most wanted first (RFC 5764). */
  readonly srtpProfiles?: readonly string[];
  /** Time until a flight without answer is sent again; it doubles each time up to a minute (RFC 6347 4.2.4.1). */
  readonly retransmitMs?: number;
}

/** Certificates and rules that sessions start with. Sessions keep theirs when a server is given another. */
export interface DtlsContext {
  readonly hasCertificate: boolean;
  /** For the native part alone. */
  readonly native: NativeContext;
}

/**
 * Reads certificates and settings. Fails with `DTLS_OFF` where there is no native part, `DTLS_SETTINGS` with OpenSSL's
 * reason (a key that does not belong to the certificate, an unknown cipher …), and UsageError for wrong options.
 */
export function createDtlsContext(options: DtlsContextOptions): DtlsContext {
  const { native } = useNative();
  const { certificates = [], alpnProtocols = [], srtpProfiles = [], retransmitMs = 1000 } = options;
  if (!(retransmitMs >= 1 && retransmitMs <= MAX_RETRANSMIT_MS))
    throw new UsageError(`DTLS sends a flight again after 1 to ${MAX_RETRANSMIT_MS} ms, not ${retransmitMs}.`);
  const wrong = alpnProtocols.find((name) => !/^[\x21-\x7e]{1,127}$/.test(name));
  if (wrong !== undefined) throw new UsageError(`“${wrong}” cannot be the name of an ALPN protocol.`);
  const asks = options.clientCertificate ?? 'none';
  try {
    const context = native.createContext({
      certificates,
      ciphers: options.ciphers ?? DEFAULT_CIPHERS,
      groups: options.groups ?? DEFAULT_GROUPS,
      allowsDtls10: options.minVersion === 'DTLSv1',
      requestsCertificate: asks !== 'none' || options.authorities !== undefined,
      requiresCertificate: asks === 'require' || options.authorities !== undefined,
      authorities: options.authorities,
      srtpProfiles: srtpProfiles.length === 0 ? undefined : srtpProfiles.join(':'),
      alpn:
        alpnProtocols.length === 0
          ? undefined
          : alpnProtocols.map((name) => String.fromCharCode(name.length) + name).join(''),
      retransmitMs,
    });
    return { hasCertificate: certificates.length > 0, native: context };
  } catch (cause) {
    throw new AtollError('DTLS_SETTINGS', `The DTLS settings cannot be used: ${errorMessage(cause)}.`, { cause });
  }
}
