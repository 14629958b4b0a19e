import { statfs } from 'node:fs/promises';
import { BlockList, isIPv6 } from 'node:net';
import { AddressLimits, type Exchange, HttpError } from '@atoll/http';
import type { NameStore } from '@atoll/name-server';
import type { Acme } from '../acme/acme.js';
import type { HubCertificate } from '../authority/hub-certificate.js';
import type { DoctorLanguage } from '../doctor/finding.js';
import type { Measure } from '../measure.js';
import type { SettingsFile } from '../settings-file.js';
import type { TurnUsers } from '../turn-users.js';
import type {
  CertificateFacts,
  Findings,
  JoinFacts,
  NetworkFacts,
  OperatorFacts,
  ServiceFacts,
  ServiceName,
} from './api.js';
import type { FigureHistory } from './history.js';
import { type JoinComponents, joinFacts } from './join.js';
import type { LogRing } from './log-ring.js';
import { exposeMetrics } from './metrics.js';
import type { Sessions } from './sessions.js';

/** Attempts to sign in: of one address, and of all, since each costs a tenth of a second. */
const ATTEMPTS = { perSecond: 0.1, burst: 10 };
const ALL_ATTEMPTS = { perSecond: 1, burst: 30 };
/** Questions that the hub has to ask others for. */
const COSTLY = { perSecond: 0.2, burst: 10 };
/** An answer of /readyz holds for so long, ms: whoever asks more often learns nothing new. */
const READINESS_MS = 5000;

/** What a portal shows and moves. */
export interface PortalComponents {
  readonly stateDirectory: string;
  readonly unixMs: () => number;
  readonly nowMs: () => number;
  readonly startedMs: number;
  readonly join: JoinComponents;
  readonly measure: Measure;
  readonly services: () => readonly ServiceFacts[];
  readonly switchService: (name: ServiceName, isOn: boolean) => Promise<ServiceFacts>;
  /** Probes every service that is on; resolves to whether all answered. */
  readonly probeAll: () => Promise<boolean>;
  /** Other hubs of the LAN. */
  readonly hubs: () => NetworkFacts['hubs'];
  readonly certificate: HubCertificate | undefined;
  /** What gets a certificate from a public authority, if anything does. */
  readonly acme?: Acme | undefined;
  readonly turnUsers: TurnUsers;
  readonly ownTurnUser: string;
  readonly names: () => NameStore | undefined;
  /** A name in the form in which it is registered; undefined when it cannot be. */
  readonly toName: (text: string) => string | undefined;
  readonly settings: SettingsFile;
  readonly log: LogRing;
  readonly bridge?: (() => NetworkFacts['bridge']) | undefined;
  readonly doctor?: ((language: DoctorLanguage) => Promise<Findings>) | undefined;
  readonly why?: ((of: string, to: string, language: DoctorLanguage) => Promise<Findings>) | undefined;
  readonly backup?: (() => Promise<Buffer>) | undefined;
  /** Resolves when the hub will start again from the file. */
  readonly restore?: ((file: Buffer) => Promise<void>) | undefined;
}

/** What the routes of the portal have in common: who may, and the facts. */
export class Portal {
  readonly parts: PortalComponents;
  readonly sessions: Sessions;
  readonly history: FigureHistory;
  private readonly attempts: AddressLimits;
  private readonly allAttempts: AddressLimits;
  private readonly costly: AddressLimits;
  private readonly metricsReaders = new BlockList();
  private lastReadiness: { readonly atMs: number; readonly isReady: Promise<boolean> } | undefined;

  constructor(
    parts: PortalComponents,
    sessions: Sessions,
    history: FigureHistory,
    options: { readonly metricsAllow: readonly string[] },
  ) {
    this.parts = parts;
    this.sessions = sessions;
    this.history = history;
    this.attempts = new AddressLimits(parts, ATTEMPTS);
    this.allAttempts = new AddressLimits(parts, ALL_ATTEMPTS);
    this.costly = new AddressLimits(parts, COSTLY);
    for (const entry of ['127.0.0.0/8', '::1', ...options.metricsAllow]) {
      const [address = '', bits] = entry.split('/');
      const family = isIPv6(address) ? 'ipv6' : 'ipv4';
      if (bits === undefined) this.metricsReaders.addAddress(address, family);
      else this.metricsReaders.addSubnet(address, Number(bits), family);
    }
  }

  join(exchange: Exchange): JoinFacts {
    return joinFacts(this.parts.join, exchange.isSecure, exchange.local);
  }

  async network(): Promise<NetworkFacts> {
    const { parts } = this;
    const bridge = parts.bridge?.();
    return {
      nowMs: parts.unixMs(),
      startedMs: parts.startedMs,
      services: parts.services(),
      figures: await parts.measure.figures(),
      keySpace: parts.measure.keySpace(),
      hubs: parts.hubs(),
      ...(bridge === undefined ? {} : { bridge }),
    };
  }

  async operator(): Promise<OperatorFacts> {
    const { services, certificate, stateDirectory } = this.parts;
    const { bavail, bsize } = await statfs(stateDirectory);
    return {
      services: services(),
      ...(certificate === undefined ? {} : { certificate: this.certificateFacts() }),
      isPasswordSet: this.sessions.isPasswordSet,
      stateDirectory,
      diskFreeBytes: bavail * bsize,
    };
  }

  certificateFacts(): CertificateFacts | undefined {
    return certificateFacts(this.parts.certificate, this.parts.acme);
  }

  /** Whether every service that is on answers now, or did a moment ago. */
  async readiness(): Promise<{ isReady: boolean; services: readonly ServiceFacts[] }> {
    const nowMs = this.parts.nowMs();
    if (this.lastReadiness === undefined || nowMs - this.lastReadiness.atMs > READINESS_MS) {
      this.lastReadiness = { atMs: nowMs, isReady: this.parts.probeAll() };
    }
    return { isReady: await this.lastReadiness.isReady, services: this.parts.services() };
  }

  metrics(): Promise<string> {
    return exposeMetrics(this.parts);
  }

  mayReadMetrics(exchange: Exchange): boolean {
    const { client } = exchange;
    return this.metricsReaders.check(client, isIPv6(client) ? 'ipv6' : 'ipv4') || this.isOperator(exchange);
  }

  isOperator(exchange: Exchange): boolean {
    return this.sessions.isOpen(this.tokenOf(exchange));
  }

  /** A password and what it opens do not go over the network in the clear. */
  requireSecure(exchange: Exchange): void {
    if (exchange.isSecure || isLoopback(exchange.client)) return;
    throw new HttpError(403, 'PORTAL_NEEDS_HTTPS', 'This is for HTTPS only.');
  }

  limitAttempts(exchange: Exchange): void {
    this.limit(this.attempts, exchange.client);
    this.limit(this.allAttempts, '');
  }

  limitCostly(exchange: Exchange): void {
    this.limit(this.costly, exchange.client);
  }

  tokenOf(exchange: Exchange): string {
    const name = cookieName(exchange);
    for (const cookie of (exchange.request.headers.cookie ?? '').split(';')) {
      const [key, value] = cookie.trim().split('=');
      if (key === name) return value ?? '';
    }
    return '';
  }

  /** A session's cookie; taken back when it ends at 0. */
  cookie(exchange: Exchange, token: string, endsMs: number): string {
    const seconds = Math.max(0, Math.floor((endsMs - this.parts.unixMs()) / 1000));
    const secure = exchange.isSecure ? '; Secure' : '';
    return `${cookieName(exchange)}=${token}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`;
  }

  /** Throws the refusal when an address has asked too often. */
  limit(limits: AddressLimits, client: string): void {
    if (limits.take(client)) return;
    throw new HttpError(429, 'PORTAL_TOO_OFTEN', 'Too often; try again later.', {
      headers: ['Retry-After', String(limits.retryAfterSeconds(client))],
    });
  }
}

/** What the hub shows over TLS; undefined when it has no certificate. */
export function certificateFacts(
  certificate: HubCertificate | undefined,
  acme: Acme | undefined,
): CertificateFacts | undefined {
  if (certificate === undefined) return undefined;
  const { subject, notAfterMs, isOwnAuthority, isAcme } = certificate.current();
  return { subject, notAfterMs, isOwnAuthority, isAcme, ...(acme === undefined ? {} : { acme: acme.facts }) };
}

/** Browsers keep a `__Host-` cookie from being planted by another port or name. */
function cookieName(exchange: Exchange): string {
  return exchange.isSecure ? '__Host-atoll' : 'atoll';
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}
