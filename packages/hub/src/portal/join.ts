import type { HubCertificate } from '../authority/hub-certificate.js';
import type { ReadyFacts } from '../ready-facts.js';
import type { JoinFacts } from './api.js';

export interface JoinComponents {
  readonly version: string;
  /** The hub's name, as people call it. */
  readonly name: () => string;
  /** What the services that run say of themselves. */
  readonly ready: () => Partial<ReadyFacts>;
  readonly certificate: HubCertificate | undefined;
  /** Names under which the portal is reached, the best first. */
  readonly names: () => readonly string[];
  /** Addresses that people are told. */
  readonly addresses: () => readonly string[];
}

/**
 * What a person enters in a Jami app. `reachedAt`: the hub's address that the asking device used, which is the one that
 * works from there.
 */
export function joinFacts(parts: JoinComponents, isSecure: boolean, reachedAt?: string): JoinFacts {
  const { dht, proxy, names, turn, portal } = parts.ready();
  const address = reachedAt !== undefined && parts.addresses().includes(reachedAt) ? reachedAt : undefined;
  const { certificate } = parts;
  // Jami apps know nothing of our authority: with it, they are sent to the ports without TLS. Others know its names only.
  const isPublic = certificate !== undefined && !certificate.current().isOwnAuthority;
  const authority = certificate?.authority;
  const urlOf = (service: { url?: string; urlTls?: string } | undefined): string | undefined =>
    isPublic && service?.urlTls !== undefined
      ? secureUrl(certificate, service.urlTls, address)
      : at(service?.url, address);
  const proxyUrl = urlOf(proxy);
  const nameServer = urlOf(names);
  const bootstrap =
    dht?.addresses.find((entry) => address !== undefined && hostPart(entry) === address) ?? dht?.bootstrap ?? '';
  const turnHost = address ?? turn?.host ?? '';
  const tlsHost = certificate?.hostFor(turnHost) ?? turnHost;
  const facts: Omit<JoinFacts, 'code'> = {
    name: parts.name(),
    version: parts.version,
    bootstrap,
    ...(proxyUrl === undefined ? {} : { proxy: proxyUrl }),
    ...(nameServer === undefined ? {} : { nameServer }),
    ...(turn === undefined
      ? {}
      : {
          turn: {
            server: `${bracketed(turnHost)}:${turn.port}`,
            user: turn.user,
            password: turn.password,
            realm: turn.realm,
            ...(turn.tlsPort === undefined ? {} : { tlsPort: turn.tlsPort }),
            ...(tlsHost === turnHost ? {} : { tlsHost }),
          },
        }),
    urls: urls(portal, [...parts.names(), ...parts.addresses()], certificate),
    ...(authority === undefined || isPublic
      ? {}
      : {
          authority: {
            fingerprint: authority.fingerprint,
            certificate: '/trust/atoll.crt',
            der: '/trust/atoll.der',
            profile: '/trust/atoll.mobileconfig',
          },
        }),
    isSecure,
  };
  const page = portal?.urlTls === undefined ? undefined : secureUrl(certificate, portal.urlTls, address);
  return { ...facts, code: codeOf(facts, page) };
}

/** Everything that a client needs, in one QR code: `atoll:join?…`. */
function codeOf(
  { name, bootstrap, proxy, nameServer, turn, authority }: Omit<JoinFacts, 'code'>,
  portal?: string,
): string {
  const parts: Record<string, string | undefined> = {
    v: '1',
    name,
    bootstrap,
    proxy,
    names: nameServer,
    turn: turn?.server,
    turnTls: turn?.tlsPort === undefined ? undefined : String(turn.tlsPort),
    user: turn?.user,
    password: turn?.password,
    realm: turn?.realm,
    portal,
    ca: authority?.fingerprint.replaceAll(':', '').toLowerCase(),
  };
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parts)) if (value !== undefined && value !== '') query.set(key, value);
  return `atoll:join?${query}`;
}

function urls(
  portal: ReadyFacts['portal'],
  hosts: readonly string[],
  certificate: HubCertificate | undefined,
): string[] {
  const all = hosts.flatMap((host) => [
    at(portal?.url, host),
    portal?.urlTls === undefined ? undefined : secureUrl(certificate, portal.urlTls, host),
  ]);
  return [...new Set(all)].filter((url) => url !== undefined);
}

/** A URL over TLS under the wanted host, or under one that the certificate has. */
export function secureUrl(certificate: HubCertificate | undefined, url: string, wanted?: string): string {
  const host = wanted ?? new URL(url).hostname.replace(/^\[|\]$/g, '');
  return at(url, certificate?.hostFor(host) ?? host) ?? url;
}

/** A URL with another host. */
function at(url: string | undefined, host: string | undefined): string | undefined {
  if (url === undefined || host === undefined) return url;
  return url.replace(/^(https?:\/\/)(?:\[[^\]]*\]|[^:/]*)/, (_whole, scheme: string) => `${scheme}${bracketed(host)}`);
}

export function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

function hostPart(endpoint: string): string {
  return endpoint.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}
