import { isIP } from 'node:net';

/** A STUN or TURN server as a URI names it (RFC 7064, RFC 7065). */
export interface StunUri {
  readonly scheme: 'stun' | 'stuns' | 'turn' | 'turns';
  /** Name or address, without brackets. */
  readonly host: string;
  /** 3478, or 5349 for `stuns` and `turns`, when the URI names none. */
  readonly port: number;
  /** Of TURN: as the URI says; undefined when it leaves the choice. */
  readonly transport: 'udp' | 'tcp' | undefined;
}

const DEFAULT_PORT = 3478;
const DEFAULT_TLS_PORT = 5349;
const URI = /^(stuns?|turns?):(\[[0-9a-f:.]+\]|[a-z0-9._~%!$&'()*+,;=-]+)(?::(\d*))?(?:\?transport=([a-z0-9._~-]+))?$/i;

/** Reads `turn:host`, `turns:[2001:db8::1]:5349?transport=tcp`, `stun:host:3478`; undefined when it is none. */
export function parseStunUri(text: string): StunUri | undefined {
  const match = URI.exec(text.trim());
  if (match === null) return undefined;
  const [, name = '', hostText = '', portText = '', transportText] = match;
  const scheme = name.toLowerCase() as StunUri['scheme'];
  const isBracketed = hostText.startsWith('[');
  const host = isBracketed ? hostText.slice(1, -1) : hostText;
  if (isBracketed && isIP(host) !== 6) return undefined;
  const isSecure = scheme.endsWith('s');
  const port = portText === '' ? (isSecure ? DEFAULT_TLS_PORT : DEFAULT_PORT) : Number(portText);
  if (port < 1 || port > 65_535) return undefined;
  const transport = transportText?.toLowerCase();
  if (transport !== undefined && (scheme.startsWith('stun') || (transport !== 'udp' && transport !== 'tcp'))) {
    return undefined;
  }
  return { scheme, host, port, transport: transport as StunUri['transport'] };
}

/** Writes a URI; the port is left out when it is the usual one. */
export function formatStunUri({ scheme, host, port, transport }: StunUri): string {
  const usual = scheme.endsWith('s') ? DEFAULT_TLS_PORT : DEFAULT_PORT;
  const authority = isIP(host) === 6 ? `[${host}]` : host;
  return `${scheme}:${authority}${port === usual ? '' : `:${port}`}${transport === undefined ? '' : `?transport=${transport}`}`;
}
