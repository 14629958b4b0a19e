import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { AtollError, errorMessage } from '@atoll/base';

/** Memory that datagrams to send and received plaintext lie in after a call. */
const ARENA_BYTES = 262_144;
const META_BYTES = 4096;

/** Words of the metadata, as in native/dtls.h. */
export const META_TIMER = 0;
export const META_SESSION = 1;
export const META_ENTRIES = 2;
/** Low byte of what a call gives back; the number of entries stands above it. */
export const FLAG_OPENED = 1;
export const FLAG_CLOSED = 2;
export const FLAG_FAILED = 4;
export const FLAG_TIMER = 8;
export const FLAG_ACCEPTED = 16;

export type NativeContext = object;

/** Settings of a context as native/module.c reads them. */
interface NativeSettings {
  readonly certificates: readonly { certificate: string; privateKey: string; passphrase?: string | undefined }[];
  readonly ciphers: string;
  readonly groups: string;
  readonly allowsDtls10: boolean;
  readonly requestsCertificate: boolean;
  readonly requiresCertificate: boolean;
  readonly authorities: string | undefined;
  readonly srtpProfiles: string | undefined;
  readonly alpn: string | undefined;
  readonly retransmitMs: number;
}

/** What the two sides agreed upon. */
export interface DtlsFacts {
  /** `DTLSv1.2`, or `DTLSv1` where that was asked for. */
  readonly version: string;
  /** OpenSSL's name of the cipher suite. */
  readonly cipher: string;
  /** Name the client asked for (SNI). */
  readonly serverName?: string;
  readonly alpn?: string;
  /** OpenSSL's name of the profile (RFC 5764), as `SRTP_AES128_CM_SHA1_80`. */
  readonly srtpProfile?: string;
  /** RFC 7627. */
  readonly hasExtendedMasterSecret: boolean;
}

export interface NativePart {
  init(arena: Buffer, meta: Buffer): void;
  createContext(settings: NativeSettings): NativeContext;
  open(context: NativeContext, isServer: boolean, mtuBytes: number, serverName: string): number;
  listen(
    context: NativeContext,
    mtuBytes: number,
    bytes: Uint8Array,
    cookieKey: Uint8Array,
    cookieSecrets: Uint8Array,
    at: number,
  ): number;
  start(session: number, at: number): number;
  receive(session: number, bytes: Uint8Array, at: number): number;
  timeout(session: number, at: number): number;
  send(session: number, bytes: Uint8Array, at: number): number;
  close(session: number, at: number): number;
  rest(session: number): number;
  failure(): string;
  describe(session: number): DtlsFacts;
  peerCertificates(session: number): Buffer[];
  exportKeys(session: number, label: string, lengthBytes: number, context: Uint8Array | undefined): Buffer | undefined;
}

/**
 * The memory shared with the native part. Calls nest (a datagram handed out may come straight back in a test), so each
 * writes behind what the calls around it still read: {@link at} is the top of that stack.
 */
export class Arena {
  readonly bytes = Buffer.allocUnsafeSlow(ARENA_BYTES);
  readonly metaBytes = Buffer.alloc(META_BYTES);
  readonly meta = new Uint32Array(this.metaBytes.buffer, this.metaBytes.byteOffset, META_BYTES / 4);
  at = 0;
  /** The view handed out last: lengths repeat, so it often serves again. */
  private last = this.bytes.subarray(0, 0);
  private lastAt = 0;

  view(at: number, length: number): Buffer {
    if (this.lastAt !== at || this.last.length !== length) {
      this.last = this.bytes.subarray(at, at + length);
      this.lastAt = at;
    }
    return this.last;
  }
}

interface Loaded {
  readonly native: NativePart;
  readonly arena: Arena;
}

function load(): Loaded | string {
  if (process.env.ATOLL_DTLS === 'off') return 'it is switched off by ATOLL_DTLS=off';
  const path = fileURLToPath(new URL('../native/build/Release/dtls.node', import.meta.url));
  if (!existsSync(path)) return 'its native part was not built on this machine';
  try {
    const native = createRequire(import.meta.url)(path) as NativePart;
    const arena = new Arena();
    native.init(arena.bytes, arena.metaBytes);
    return { native, arena };
  } catch (error) {
    return `its native part cannot be loaded: ${errorMessage(error)}`;
  }
}

const loaded = load();

/** Whether DTLS can be used here, and if not why. */
export const nativeDtls: { readonly available: boolean; readonly reason?: string } =
  typeof loaded === 'string' ? { available: false, reason: loaded } : { available: true };

/** The native part and its memory. Fails with `DTLS_OFF` where there is none. */
export function useNative(): Loaded {
  if (typeof loaded === 'string') throw new AtollError('DTLS_OFF', `DTLS is off: ${loaded}.`);
  return loaded;
}
