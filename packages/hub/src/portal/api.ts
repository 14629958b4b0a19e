/**
 * What the portal's page and its server say to each other: JSON over HTTP(S), all below `/api/`. Times are Unix
 * milliseconds, sizes bytes. Refusals are `{"error":{"code","message"}}` with a fitting status.
 *
 * | route | who | answer |
 * |---|---|---|
 * | `GET /api/join` | everyone | {@link JoinFacts} |
 * | `GET /api/network` | everyone | {@link NetworkFacts} |
 * | `GET /api/history?hours=24` | everyone | {@link History} |
 * | `GET /api/reach` | everyone | {@link ReachFacts}: what the hub sees of this very device |
 * | `GET /api/why?of=NAME-OR-ID&to=NAME-OR-ID&language=en` | everyone | {@link Findings}: why these two do not meet |
 * | `POST /api/quality` | everyone, rate limited | {@link QualitySeat} of a new room for two browsers that measure |
 * | `POST /api/quality/CODE` | everyone, rate limited | {@link QualitySeat}: the second one of the room |
 * | `POST /api/quality/CODE/messages` `{"seat","message"}` | its two members, rate limited | 204; the message is a string |
 * | `GET /api/quality/CODE/messages?seat=SEAT&after=N` | its two members, rate limited | {@link QualityMessages}: what the other one said, without its first N |
 * | `POST /api/session` `{"password"}` or `{"link"}` | everyone, rate limited | {@link Session} and a cookie |
 * | `DELETE /api/session` | operator | 204 |
 * | `GET /api/operator` | operator | {@link OperatorFacts} |
 * | `POST /api/operator/services/NAME` `{"isOn"}` | operator | {@link ServiceFacts} |
 * | `POST /api/operator/password` `{"password"}` | operator | 204 |
 * | `GET`, `POST` `{"name","password"}` `/api/operator/turn-users`, `DELETE /api/operator/turn-users/NAME` | operator | {@link TurnUser}[] |
 * | `GET /api/operator/names?after=NAME`, `DELETE /api/operator/names/NAME` | operator | {@link NamePage} |
 * | `GET`, `POST` `{"name"}` `/api/operator/reserved-names`, `DELETE /api/operator/reserved-names/NAME` | operator | string[] |
 * | `GET`, `PATCH` `/api/operator/settings` | operator | {@link SettingFacts}[]; a change is kept and takes effect as it says |
 * | `GET /api/operator/backup` | operator | the backup file of the whole state |
 * | `POST /api/operator/restore` (the file as body) | operator | 204; the hub starts again from it |
 * | `POST /api/operator/certificate` `{"certificate","key"}` (PEM) | operator | {@link CertificateFacts} |
 * | `GET /api/operator/log?after=CURSOR` | operator | {@link LogPage} |
 * | `GET /api/operator/doctor?language=en` | operator | {@link Findings} |
 *
 * Everything but GET needs the header `X-Atoll: 1`, which a foreign page cannot send. A PATCH of settings is
 * `{"key": value, …}`, and `null` takes a change back; lists of names and users are answered anew after each change. A
 * route whose part this hub was built without answers 501.
 *
 * The operator's first link is `…/operator#link=SECRET`: the page posts the secret to `/api/session`. Over HTTP only the
 * pages `/`, `/join`, `/trust` and `/quality` are served, with files and what everyone may ask; other pages lead to HTTPS
 * (307), and sessions and operator routes answer 403 `PORTAL_NEEDS_HTTPS` unless asked from the hub itself. The
 * authority's certificate lies at `/trust/atoll.crt`, `.der` and `.mobileconfig`.
 */

/** What a person enters in a Jami app, and what one QR code carries to Atoll clients. */
export interface JoinFacts {
  /** The hub's name, as people call it. */
  readonly name: string;
  readonly version: string;
  /** `address:port`. */
  readonly bootstrap: string;
  /** URL. */
  readonly proxy?: string;
  /** URL. */
  readonly nameServer?: string;
  readonly turn?: {
    /** `address:port`. */
    readonly server: string;
    readonly user: string;
    readonly password: string;
    readonly realm: string;
    readonly tlsPort?: number;
    /** The name that its certificate has, where that is not the host of `server`. */
    readonly tlsHost?: string;
  };
  /** Where the page is served over HTTP and HTTPS, the addresses people type. */
  readonly urls: readonly string[];
  /** The hub's own authority, when it makes its own certificates. */
  readonly authority?: {
    /** SHA-256 of the certificate, hex in pairs with colons. */
    readonly fingerprint: string;
    /** Where its certificate is fetched, as PEM (`.crt`), DER (`.der`) and Apple profile (`.mobileconfig`). */
    readonly certificate: string;
    readonly der: string;
    readonly profile: string;
  };
  /** The text of the one QR code: `atoll:join?…`. */
  readonly code: string;
  /** Whether the page is being served over HTTPS. */
  readonly isSecure: boolean;
}

export type ServiceName = 'dht' | 'proxy' | 'names' | 'turn' | 'portal' | 'portMap';

export interface ServiceFacts {
  readonly name: ServiceName;
  readonly isOn: boolean;
  /** It answered its last probe through its whole path. */
  readonly isWell: boolean;
  readonly sinceMs?: number;
  readonly restarts: number;
  /** In plain words. */
  readonly lastError?: { readonly atMs: number; readonly message: string };
}

/** Counts and rates now. */
export interface Figures {
  readonly nodes: number;
  readonly values: number;
  readonly storageBytes: number;
  /** Listens of other nodes and of proxy clients. */
  readonly listens: number;
  readonly proxyClients: number;
  readonly pushSubscriptions: number;
  readonly names: number;
  readonly allocations: number;
  /** Bytes a second through DHT, proxy and relay together, in and out. */
  readonly inBytesPerSecond: number;
  readonly outBytesPerSecond: number;
  readonly residentBytes: number;
}

export interface NetworkFacts {
  readonly nowMs: number;
  readonly startedMs: number;
  readonly services: readonly ServiceFacts[];
  readonly figures: Figures;
  /** Nodes of the routing table on the key space. */
  readonly keySpace: {
    /** 40 hex. */
    readonly self: string;
    readonly nodes: readonly { readonly id: string; readonly isGood: boolean; readonly address: string }[];
  };
  /** Other hubs on this LAN. */
  readonly hubs: readonly { readonly name: string; readonly url: string; readonly seenMs: number }[];
  /** Devices of the two generations that the bridge serves; absent when it is off. */
  readonly bridge?: { readonly older: number; readonly newer: number; readonly copied: number };
}

/** Figures over time, oldest first; each series has one number per time. */
export interface History {
  readonly timesMs: readonly number[];
  readonly series: Readonly<Record<keyof Figures, readonly number[]>>;
}

/** What the hub sees of the device that asks. */
export interface ReachFacts {
  readonly address: string;
  /** A DHT node of that address has been heard lately. */
  readonly isDhtSeen: boolean;
  /** A TURN request of that address has been heard lately. */
  readonly isTurnSeen: boolean;
  readonly isProxySeen: boolean;
  readonly isNameServerSeen: boolean;
}

export type Severity = 'good' | 'warning' | 'fault' | 'unknown';

/** One thing that was looked at. */
export interface Finding {
  /** Stable, in kebab-case: `multicast-blocked`. */
  readonly id: string;
  readonly severity: Severity;
  /** What was found, one sentence. */
  readonly sentence: string;
  /** What to do, one sentence; absent when all is well. */
  readonly remedy?: string;
  readonly facts?: Readonly<Record<string, string | number | boolean>>;
}

export interface Findings {
  /** No fault among them. */
  readonly isWell: boolean;
  readonly findings: readonly Finding[];
}

/** A place in a room where two browsers find each other; the room lasts ten minutes. */
export interface QualitySeat {
  /** What the other device enters. */
  readonly code: string;
  /** Secret of this member. */
  readonly seat: string;
}

export interface QualityMessages {
  readonly messages: readonly string[];
}

export interface Session {
  readonly endsMs: number;
  /** No password was set yet: the page asks for one. */
  readonly needsPassword: boolean;
}

export interface TurnUser {
  readonly name: string;
  /** The one that Join shows. */
  readonly isOwn: boolean;
}

export interface NamePage {
  readonly names: readonly { readonly name: string; readonly address: string; readonly registeredMs: number }[];
  /** Ask again with this as `after`. */
  readonly next?: string;
}

export interface SettingFacts {
  /** As in the configuration file. */
  readonly key: string;
  readonly value: string;
  readonly text: string;
  /** Given on the command line or in the environment: the page cannot change it. */
  readonly isFixed: boolean;
  readonly needsRestart: boolean;
}

export interface CertificateFacts {
  readonly subject: string;
  readonly notAfterMs: number;
  readonly isOwnAuthority: boolean;
  /** It came from an ACME directory, and the hub renews it. */
  readonly isAcme: boolean;
  /** Present when the hub is to get its certificate by ACME, whether it has one or not. */
  readonly acme?: AcmeFacts;
}

/** How getting a certificate by ACME goes. */
export interface AcmeFacts {
  /** Host of the directory. */
  readonly directory: string;
  readonly names: readonly string[];
  /** When it is asked next. */
  readonly nextMs: number;
  /** Why the last attempt came to nothing, in plain words. */
  readonly problem?: { readonly code: string; readonly message: string };
}

export interface LogPage {
  readonly lines: readonly { readonly atMs: number; readonly level: string; readonly message: string }[];
  readonly cursor: number;
}

export interface OperatorFacts {
  readonly services: readonly ServiceFacts[];
  readonly certificate?: CertificateFacts;
  readonly isPasswordSet: boolean;
  readonly stateDirectory: string;
  readonly diskFreeBytes: number;
}
