import { randomBytes, randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { AtollError, Endpoint, errorCode, errorMessage, type Logger, systemClock } from '@atoll/base';
import {
  type CertificateFiles,
  type LoadedCertificate,
  loadCertificate,
  nativeDtls,
  probeTurn,
  TurnServer,
  turnServerDefaults,
  Users,
} from '@atoll/turn';
import type { HubConfiguration } from './configuration.js';
import { type StateDirectory, writeAtomically } from './state-directory.js';
import type { HubService } from './supervisor.js';
import type { TurnUsers } from './turn-users.js';

/** The user that Join shows. */
export const USER = 'atoll';
const REALM = 'atoll';
const PASSWORD_BYTES = 18;
/** Ports tried when the system is to choose one for UDP and TCP together. */
const PORT_TRIES = 20;
const PROBE_MS = 5000;
/** How often it looks for new addresses and a renewed certificate, ms. */
const FOLLOW_MS = 5000;
/** An address that the machine has not had for so long is given up, ms: allocations that nobody renews have ended. */
const GONE_MS = 600_000;

export interface TurnServiceComponents {
  readonly state: StateDirectory;
  readonly logger: Logger;
  /** Users that the operator added. */
  readonly users: TurnUsers;
  /**
   * The certificate for TLS and DTLS at this moment, files or PEM; asked again while it runs. Left out where there is
   * none, and no TLS.
   */
  readonly certificate?: (() => CertificateFiles) | undefined;
  /** The machine's addresses at this moment, where none were chosen: it listens at those that come later as well. */
  readonly addressesNow?: (() => readonly string[]) | undefined;
}

interface Credentials {
  readonly user: string;
  readonly password: string;
  readonly realm: string;
}

/** The hub's TURN server: the way between devices that cannot reach each other. */
export class TurnService implements HubService {
  readonly name = 'turn';
  readonly failed: Promise<never> = new Promise(() => {});
  private readonly components: TurnServiceComponents;
  private readonly configuration: HubConfiguration;
  private readonly addresses: readonly string[];
  private unsubscribe: (() => void) | undefined;
  /** The server while it runs. */
  server: TurnServer | undefined;
  private credentials: Credentials | undefined;
  private certificate: LoadedCertificate | undefined;
  private following: NodeJS.Timeout | undefined;
  private isFollowing = false;
  /** When each address was last one of the machine's. */
  private readonly seenMs = new Map<string, number>();

  /** `addresses`: where it listens, the first one in the ready file. */
  constructor(components: TurnServiceComponents, configuration: HubConfiguration, addresses: readonly string[]) {
    this.components = components;
    this.configuration = configuration;
    this.addresses = addresses;
  }

  async start(): Promise<Readonly<Record<string, unknown>>> {
    const credentials = await this.readCredentials();
    this.credentials = credentials;
    this.server = await this.open(credentials);
    this.following = setInterval(() => void this.follow(), FOLLOW_MS);
    const [host = '127.0.0.1'] = this.addresses;
    const port = this.portOf('udp') ?? 0;
    const tlsPort = this.portOf('tls');
    return { host, port, ...(tlsPort === undefined ? {} : { tlsPort }), ...credentials };
  }

  /** An allocation is made and given back. */
  async probe(): Promise<void> {
    const { server, credentials } = this;
    const local = server?.listeners[0]?.local;
    if (local === undefined || credentials === undefined) {
      throw new AtollError('TURN_NOT_RUNNING', 'The TURN server is not running.');
    }
    await probeTurn(new Endpoint(local.ip, local.port), credentials, PROBE_MS);
  }

  async stop(): Promise<void> {
    this.unsubscribe?.();
    clearInterval(this.following);
    const { server } = this;
    this.server = undefined;
    await server?.close();
  }

  private portOf(protocol: string): number | undefined {
    return this.server?.listeners.find((listener) => listener.protocol === protocol)?.local.port;
  }

  /** Keeps up with the machine and its certificate. */
  private async follow(): Promise<void> {
    if (this.isFollowing) return;
    this.isFollowing = true;
    try {
      this.followCertificate();
      const now = (this.components.addressesNow?.() ?? []).filter((address) => !isLoopback(address));
      for (const address of now) await this.addAddress(address);
      if (now.length > 0) await this.dropGone(now);
    } catch (error) {
      this.components.logger.warn(`The TURN server cannot follow the machine's addresses: ${errorMessage(error)}`);
    }
    this.isFollowing = false;
  }

  /** An address that is away for a moment, its cable pulled, keeps its sessions. */
  private async dropGone(now: readonly string[]): Promise<void> {
    const nowMs = systemClock.nowMs();
    for (const address of this.listeningAt()) {
      const sinceMs = now.includes(address) ? nowMs : (this.seenMs.get(address) ?? nowMs);
      this.seenMs.set(address, sinceMs);
      if (nowMs - sinceMs < GONE_MS) continue;
      this.seenMs.delete(address);
      await this.server?.removeAddress(address);
    }
  }

  private listeningAt(): Set<string> {
    return new Set(this.server?.listeners.map(({ local }) => local.host));
  }

  private async addAddress(address: string): Promise<void> {
    const { server } = this;
    if (server === undefined || this.listeningAt().has(address)) return;
    try {
      await server.addAddress(address);
      this.components.logger.info(`The TURN server listens at ${address} as well`);
    } catch (error) {
      // A new IPv6 address cannot be used for a second or two: it is tried again.
      this.components.logger.debug(`The TURN server cannot listen at ${address} yet: ${errorMessage(error)}`);
    }
  }

  /** Takes a certificate that was renewed; an unusable one leaves the old one in use. */
  private followCertificate(): void {
    const files = this.components.certificate?.();
    if (files === undefined || this.server === undefined) return;
    try {
      const loaded = loadCertificate(files, systemClock.unixMs());
      if (loaded.cert === this.certificate?.cert && loaded.key === this.certificate.key) return;
      this.certificate = loaded;
      this.server.reloadCertificate(files);
    } catch (error) {
      this.components.logger.warn(`The TURN server keeps its certificate: ${errorMessage(error)}`);
    }
  }

  private async open(credentials: Credentials): Promise<TurnServer> {
    const { logger } = this.components;
    // Sessions come and go, the probe's among them: that is nothing to tell of a hub that is well.
    const quiet: Logger = {
      debug: (message, fields) => logger.debug(message, fields),
      info: (message, fields) => logger.debug(message, fields),
      warn: (message, fields) => logger.warn(message, fields),
      error: (message, fields) => logger.error(message, fields),
    };
    const users = new Users(
      { clock: systemClock, database: undefined },
      {
        realm: credentials.realm,
        users: [...this.components.users.all(), { name: credentials.user, password: credentials.password }],
        usesSecrets: false,
        secrets: [],
        separator: ':',
      },
    );
    this.followUsers(users, credentials);
    const certificate = this.components.certificate?.();
    if (certificate !== undefined) {
      this.certificate = loadCertificate(certificate, systemClock.unixMs());
      if (!nativeDtls.available)
        logger.warn(`TURN over DTLS is off: ${nativeDtls.reason ?? ''}. Clients use TLS or UDP`);
    }
    for (let attempt = 1; ; attempt++) {
      const { turnPort, turnTlsPort } = this.configuration;
      const placesAt = (port: number) => this.addresses.map((address) => ({ address, port }));
      const places = placesAt(turnPort || randomInt(20_000, 34_000));
      const tlsPlaces = certificate === undefined ? [] : placesAt(turnTlsPort || randomInt(34_000, 49_000));
      const options = {
        ...turnServerDefaults(credentials.realm),
        udp: places,
        tcp: places,
        tls: tlsPlaces,
        dtls: nativeDtls.available ? tlsPlaces : [],
        certificate,
        // A hub that was put on loopback alone is one for trying things out.
        allowsLoopbackPeers: this.components.addressesNow === undefined && this.addresses.every(isLoopback),
        behavior: { mobility: true },
      };
      try {
        return await TurnServer.open({ logger: quiet, credentials: users }, options);
      } catch (error) {
        const isTaken = ['UDP_PORT_IN_USE', 'TURN_PORT_IN_USE'].includes(errorCode(error));
        const isFixed = turnPort !== 0 && (turnTlsPort !== 0 || certificate === undefined);
        if (!isTaken || isFixed || attempt === PORT_TRIES) throw error;
      }
    }
  }

  /** Takes up what the operator changes, while it runs. */
  private followUsers(users: Users, credentials: Credentials): void {
    let known = this.components.users.all();
    this.unsubscribe = this.components.users.onChange(() => {
      for (const { name } of known) users.remove(name);
      known = this.components.users.all();
      for (const user of known) users.add(user);
      users.add({ name: credentials.user, password: credentials.password });
    });
  }

  /** User and password, made at the first start and kept where only the owner reads them. */
  private async readCredentials(): Promise<Credentials> {
    const path = this.components.state.file('turn-credentials.json');
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (cause) {
      if (errorCode(cause) !== 'ENOENT') {
        throw new AtollError('TURN_CREDENTIALS_UNREADABLE', `${path} cannot be read: ${errorCode(cause)}.`, { cause });
      }
      const made = { user: USER, password: randomBytes(PASSWORD_BYTES).toString('base64url'), realm: REALM };
      await writeAtomically(path, `${JSON.stringify(made, undefined, 2)}\n`);
      return made;
    }
    try {
      const { user, password, realm } = JSON.parse(text) as Partial<Credentials>;
      if (typeof user === 'string' && typeof password === 'string' && typeof realm === 'string') {
        return { user, password, realm };
      }
    } catch {
      // Said below.
    }
    throw new AtollError(
      'TURN_CREDENTIALS_UNREADABLE',
      `${path} does not hold user, password and realm; delete it, and new ones are made.`,
    );
  }
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}
