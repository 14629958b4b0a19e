import { isIP, isIPv6 } from 'node:net';
import { type Exchange, type HeaderList, HttpError } from '@atoll/http';

/** Names of a host that only a network of its own could give away again: never a stranger's. */
const LOCAL_SUFFIXES = ['local', 'lan', 'home.arpa', 'internal', 'localhost'];

/** Nothing from elsewhere, nothing written into the page, in nobody's frame. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

const SECURITY_HEADERS: HeaderList = [
  'Content-Security-Policy',
  CONTENT_SECURITY_POLICY,
  'X-Content-Type-Options',
  'nosniff',
  'X-Frame-Options',
  'DENY',
  'Referrer-Policy',
  'no-referrer',
  'Cross-Origin-Opener-Policy',
  'same-origin',
  'Cross-Origin-Resource-Policy',
  'same-origin',
];

/**
 * Lets a request in, or throws the refusal. `names` are the hub's own; `secureHost` is the one under which its services are
 * reached over TLS by who comes to the given one.
 *
 * A page of a stranger may have its name lead to the hub (DNS rebinding): then the name in `Host` is not ours. An address
 * in `Host` is always true, because no name led there. And it may have a browser send us requests (CSRF): not with the
 * header `X-Atoll`, which only a page of ours can add, nor from another origin.
 */
export function admit(
  exchange: Exchange,
  names: ReadonlySet<string>,
  secureHost: (host: string) => string = (host) => host,
): HeaderList {
  const { headers } = exchange.request;
  const host = hostOf(headers.host ?? '');
  if (host === undefined || !isOwn(host, names)) {
    throw new HttpError(
      421,
      'PORTAL_HOST_UNKNOWN',
      'This hub does not go by that name; use its address, or name it so.',
      {
        headers: SECURITY_HEADERS,
      },
    );
  }
  if (exchange.method !== 'GET' && exchange.method !== 'HEAD') {
    const { origin } = headers;
    const isForeign = origin !== undefined && origin.replace(/^https?:\/\//, '') !== headers.host;
    if (headers['x-atoll'] !== '1' || isForeign) {
      throw new HttpError(403, 'PORTAL_FOREIGN_PAGE', 'Requests that change something come from the hub’s own page.', {
        headers: SECURITY_HEADERS,
      });
    }
  }
  const policy = policyFor(new Set([host, secureHost(host)]));
  // Whether HTTPS is trusted is tried from the page over HTTP, another origin: by the one answer that says nothing.
  const resources = exchange.path === '/healthz' ? 'cross-origin' : 'same-origin';
  return SECURITY_HEADERS.map((text, n) => {
    if (SECURITY_HEADERS[n - 1] === 'Cross-Origin-Resource-Policy') return resources;
    return text === CONTENT_SECURITY_POLICY ? policy : text;
  });
}

/**
 * The policy for a page. The page tests the hub's services from the browser that shows it: they are other ports of these
 * hosts. A policy cannot name an IPv6 address (CSP Level 3 section 2.3.1): there the page says that it may not
 * test.
 */
function policyFor(hosts: ReadonlySet<string>): string {
  const places = [...hosts].filter((host) => !isIPv6(host)).map((host) => ` ${host}:*`);
  return CONTENT_SECURITY_POLICY.replace("connect-src 'self'", `connect-src 'self'${places.join('')}`);
}

/** A host of `Host` without port, in lower case; undefined when it is none. */
export function hostOf(header: string): string | undefined {
  const parts = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(header);
  return (parts?.[1] ?? parts?.[2])?.toLowerCase().replace(/\.$/, '');
}

function isOwn(host: string, names: ReadonlySet<string>): boolean {
  if (isIP(host) !== 0 || names.has(host)) return true;
  const wildcard = `*${host.slice(host.indexOf('.'))}`;
  if (host.includes('.') && names.has(wildcard)) return true;
  return LOCAL_SUFFIXES.some((suffix) => host.endsWith(`.${suffix}`) && names.has(host.slice(0, -suffix.length - 1)));
}
