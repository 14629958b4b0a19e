/** Limits of a realm; 0 for none. */
export interface RealmOptions {
  /** Allocations of one user. */
  readonly userQuota: number;
  /** Allocations of the realm. */
  readonly totalQuota: number;
  /** Bytes a second of one session in each direction. */
  readonly maxBps: number;
}

/** Realms of a server: the default one, and others chosen by the client's ORIGIN. */
export class Realms {
  readonly defaultName: string;
  private readonly defaults: RealmOptions;
  private origins: ReadonlyMap<string, string> = new Map();
  private options: ReadonlyMap<string, Partial<RealmOptions>> = new Map();

  constructor(defaultName: string, defaults: RealmOptions) {
    this.defaultName = defaultName;
    this.defaults = defaults;
  }

  /** Replaces what the user store says about realms. */
  set(origins: ReadonlyMap<string, string>, options: ReadonlyMap<string, Partial<RealmOptions>>): void {
    this.origins = origins;
    this.options = options;
  }

  /** The realm of a client that names this origin. */
  of(origin: string | undefined): string {
    if (origin === undefined || this.origins.size === 0) return this.defaultName;
    return this.origins.get(normalizedOrigin(origin)) ?? this.defaultName;
  }

  optionsOf(realm: string): RealmOptions {
    const own = this.options.get(realm);
    return own === undefined ? this.defaults : { ...this.defaults, ...own };
  }
}

/** An origin as it is compared: lower case, without the usual port and anything behind the host. */
export function normalizedOrigin(origin: string): string {
  const match = /^([a-z][a-z0-9+.-]*:\/\/)?([^/?#]*)/i.exec(origin.trim());
  const scheme = (match?.[1] ?? '').toLowerCase();
  const host = (match?.[2] ?? origin).toLowerCase();
  const usual = scheme === 'https://' ? ':443' : scheme === 'http://' ? ':80' : undefined;
  return scheme + (usual !== undefined && host.endsWith(usual) ? host.slice(0, -usual.length) : host);
}
