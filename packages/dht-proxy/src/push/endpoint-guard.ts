import { isIP } from 'node:net';
import { formatIp, parseIp } from '@atoll/base';
import { type AddressClass, classifyAddress } from './address-class.js';
import type { AllowList } from './allow-list.js';

/** Longest endpoint, bytes (UnifiedPush server specification, Endpoint). */
const MOST_ENDPOINT_BYTES = 1000;
/** Addresses of one name that are looked at; a name with more is refused. */
const MOST_ADDRESSES = 16;
/** Ports below this one are for other services, and get no push, except that of `https`. */
const FIRST_FREE_PORT = 1024;
const HTTP_PORT = 80;
const HTTPS_PORT = 443;

/** An endpoint whose text is in order. Whether it may be connected to is known when its name is resolved. */
export interface Endpoint {
  readonly url: URL;
  /** Host name in lower case without a final dot, or the canonical text of an address. */
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** The host as binary address, where it is written as one. */
  readonly ip: string | undefined;
  /** Whether the operator listed the name: then the system resolves it, and its addresses may be private. */
  readonly isListed: boolean;
}

export interface GuardComponents {
  /**
   * Addresses (texts) of a name, asked anew for every connection. `isListed` names are the operator's and may be in the
   * hosts file; the others are strangers'.
   */
  resolve(name: string, isListed: boolean): Promise<readonly string[]>;
  /** Addresses of this machine (texts). */
  ownAddresses(): readonly string[];
}

export interface GuardOptions {
  readonly allow: AllowList;
  /** Ports of this hub's own services: never reached on its own addresses, whatever the allow list says. */
  readonly ownPorts: () => readonly number[];
  /** Whether strangers' endpoints may be `http:`. Those on the allow list always may. */
  readonly isHttpAllowed: boolean;
  /** For tests that run a push service on the same machine: ports of loopback that may be reached. */
  readonly loopbackPorts?: readonly number[] | undefined;
}

/**
 * Decides which endpoints get a request. An endpoint comes from a stranger, who would like this machine to talk to
 * something that only it can reach. The text is checked when it is handed in ({@link read}), and what its name stands
 * for at every single connection ({@link addressesOf}): the connection is then made to a checked address and not to a
 * name, so that an answer of the DNS which changes has nothing to change.
 */
export class EndpointGuard {
  private readonly components: GuardComponents;
  private readonly options: GuardOptions;

  constructor(components: GuardComponents, options: GuardOptions) {
    this.components = components;
    this.options = options;
  }

  /** An endpoint from its text, or the reason why it gets no request. */
  read(text: string): Endpoint | string {
    if (Buffer.byteLength(text) > MOST_ENDPOINT_BYTES) return 'the endpoint is too long';
    // What URL parsers remove or translate silently (tabs, backslashes, other scripts' digits) hides hosts.
    if (!/^[\x21-\x7e]+$/.test(text) || text.includes('\\')) return 'the endpoint has characters that no URL has';
    const written = /^https?:\/\/([^/?#]*)/i.exec(text)?.[1];
    if (written === undefined) return 'the endpoint is no http or https URL';
    if (written.includes('@')) return 'the endpoint has a user name';
    const name = written.replace(/:\d*$/, '').toLowerCase();
    if (name.includes('%')) return 'the host of the endpoint is written in disguise';
    const url = parseUrl(text);
    if (url === undefined) return 'the endpoint is no URL';
    const isTls = url.protocol === 'https:';
    const port = url.port === '' ? (isTls ? HTTPS_PORT : HTTP_PORT) : Number(url.port);
    if (port === 0) return 'the endpoint has no usable port';
    const host = url.hostname.replace(/\.$/, '');
    const bare = host.startsWith('[') ? host.slice(1, -1) : host;
    const ip = isIP(bare) === 0 ? undefined : parseIp(bare);
    if (ip === undefined) {
      return name.replace(/\.$/, '') === host ? this.readName(url, host, port, isTls) : 'the endpoint has no host name';
    }
    // 0x7f.1, 2130706433, 0177.0.0.1, ::ffff:127.0.0.1: an address is written in its one usual form or not at all.
    const usual = formatIp(ip);
    if (bare !== usual || (name !== usual && name !== `[${usual}]`)) {
      return 'the host of the endpoint is written in disguise';
    }
    const isListed = this.options.allow.allowsAddress(ip, port);
    return (
      this.schemeRefusal(isTls, isListed, port, ip) ??
      this.addressRefusal(ip, port, isListed) ?? {
        url,
        host: bare,
        port,
        isTls,
        ip,
        isListed,
      }
    );
  }

  /**
   * The addresses (binary) that may be connected to right now, or the reason why none may. One bad address among good
   * ones spoils all: nobody but an attacker has such a name.
   */
  async addressesOf(endpoint: Endpoint): Promise<readonly string[] | string> {
    const { host, port, isListed, ip } = endpoint;
    if (ip !== undefined) return this.addressRefusal(ip, port, isListed) ?? [ip];
    const texts = await this.components.resolve(host, isListed);
    if (texts.length === 0) return 'the host of the endpoint has no address';
    if (texts.length > MOST_ADDRESSES) return 'the host of the endpoint has too many addresses';
    const ips: string[] = [];
    for (const text of texts) {
      const found = text.includes('%') ? undefined : parseIp(text);
      if (found === undefined) return 'the host of the endpoint has an address of no known kind';
      const refusal = this.addressRefusal(found, port, isListed);
      if (refusal !== undefined) return refusal;
      if (!isListed && !endpoint.isTls) {
        const scheme = this.schemeRefusal(false, this.options.allow.allowsAddress(found, port), port, found);
        if (scheme !== undefined) return scheme;
      }
      ips.push(found);
    }
    return ips;
  }

  private readName(url: URL, host: string, port: number, isTls: boolean): Endpoint | string {
    if (!/^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(host) || host.length > 253)
      return 'the endpoint has no host name';
    if (/(^|\.)localhost$/.test(host)) return refusalOf('loopback');
    const isListed = this.options.allow.allowsName(host, port);
    if (!isListed && !host.includes('.')) return 'the endpoint has a host name of the local network';
    // Over http only to the operator's hosts; one of those may be listed by the address that this name turns out to have.
    const { allow, isHttpAllowed } = this.options;
    const isHttpHopeless = !isTls && !isListed && !isHttpAllowed && !allow.hasAddressesWith(port);
    const refusal = isHttpHopeless ? 'the endpoint is not https' : this.portRefusal(isTls, isListed, port);
    return refusal ?? { url, host, port, isTls, ip: undefined, isListed };
  }

  private portRefusal(isTls: boolean, isListed: boolean, port: number): string | undefined {
    if (isListed || port === HTTPS_PORT || port >= FIRST_FREE_PORT || (port === HTTP_PORT && !isTls)) return undefined;
    return 'the port of the endpoint belongs to another service';
  }

  private schemeRefusal(isTls: boolean, isListed: boolean, port: number, ip: string): string | undefined {
    if (!isTls && !isListed && !this.options.isHttpAllowed && !this.isTestLoopback(ip, port)) {
      return 'the endpoint is not https';
    }
    return this.portRefusal(isTls, isListed || this.isTestLoopback(ip, port), port);
  }

  private addressRefusal(ip: string, port: number, isListed: boolean): string | undefined {
    if (this.isTestLoopback(ip, port)) return undefined;
    const kind = classifyAddress(ip);
    if (kind !== 'public' && kind !== 'private') return refusalOf(kind);
    const isAllowed = isListed || this.options.allow.allowsAddress(ip, port);
    const isOwn = this.components.ownAddresses().some((text) => parseIp(text) === ip);
    if (isOwn && (!isAllowed || this.options.ownPorts().includes(port))) return 'the endpoint is this machine itself';
    if (kind === 'private' && !isAllowed) return refusalOf(kind);
    return undefined;
  }

  private isTestLoopback(ip: string, port: number): boolean {
    return (this.options.loopbackPorts?.includes(port) ?? false) && classifyAddress(ip) === 'loopback';
  }
}

function refusalOf(kind: AddressClass): string {
  return kind === 'private'
    ? 'the endpoint is on a private network that the operator has not allowed'
    : `the endpoint has a ${kind} address`;
}

function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
