/** The services that map ports, the best one first: WANIPConnection:2 is that of IGD 2 (UPnP Forum). */
const SERVICES = [
  'urn:schemas-upnp-org:service:WANIPConnection:2',
  'urn:schemas-upnp-org:service:WANIPConnection:1',
  'urn:schemas-upnp-org:service:WANPPPConnection:1',
] as const;

/** Services looked at in one description. */
const MAX_SERVICES = 64;

/** Where a router takes orders. */
export interface UpnpService {
  readonly type: string;
  readonly controlUrl: URL;
}

/** What a router answered to an order: values by name, or the code of the error (UPnP and IGD specifications). */
export type UpnpAnswer =
  | { readonly values: ReadonlyMap<string, string> }
  | { readonly error: number; readonly description: string };

/**
 * The best service that maps ports in a device's description; undefined when there is none at the same address as the
 * description itself.
 */
export function decodeDescription(xml: string, location: URL): UpnpService | undefined {
  const found: UpnpService[] = [];
  let at = 0;
  for (let count = 0; count < MAX_SERVICES; count++) {
    const from = xml.indexOf('<service>', at);
    const to = from < 0 ? -1 : xml.indexOf('</service>', from);
    if (to < 0) break;
    at = to;
    const block = xml.slice(from, to);
    const type = element(block, 'serviceType');
    const control = element(block, 'controlURL');
    if (type === undefined || control === undefined || !(SERVICES as readonly string[]).includes(type)) continue;
    // URLBase is of IGD 1 and may name another host: what a router says of itself must not lead anywhere else.
    const controlUrl = urlOf(control, location);
    if (controlUrl?.host === location.host) found.push({ type, controlUrl });
  }
  return SERVICES.map((type) => found.find((service) => service.type === type)).find(
    (service) => service !== undefined,
  );
}

/** An order as SOAP 1.1. */
export function encodeAction(type: string, action: string, values: Readonly<Record<string, string | number>>): string {
  const body = Object.entries(values)
    .map(([name, value]) => `<${name}>${escaped(String(value))}</${name}>`)
    .join('');
  return (
    '<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ' +
    's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>' +
    `<u:${action} xmlns:u="${type}">${body}</u:${action}></s:Body></s:Envelope>\r\n`
  );
}

/** The answer to an order; `names` are the values asked for. Undefined when it is none. */
export function decodeActionAnswer(xml: string, action: string, names: readonly string[]): UpnpAnswer | undefined {
  const error = element(xml, 'errorCode');
  if (error !== undefined && /^\d{1,4}$/.test(error)) {
    return { error: Number(error), description: element(xml, 'errorDescription') ?? '' };
  }
  if (!xml.includes(`${action}Response`)) return undefined;
  const values = new Map<string, string>();
  for (const name of names) {
    const value = element(xml, name);
    if (value !== undefined) values.set(name, value);
  }
  return { values };
}

/** The text of the first element of this name, without any namespace of its own. */
function element(xml: string, name: string): string | undefined {
  const open = xml.indexOf(`<${name}`);
  if (open < 0 || !/[\s>/]/.test(xml[open + name.length + 1] ?? '')) return undefined;
  const start = xml.indexOf('>', open) + 1;
  if (start === 0) return undefined;
  if (xml[start - 2] === '/') return '';
  const end = xml.indexOf(`</${name}>`, start);
  return end < 0 ? undefined : unescaped(xml.slice(start, end).trim());
}

function urlOf(text: string, base: URL): URL | undefined {
  return URL.canParse(text, base.href) ? new URL(text, base) : undefined;
}

const ENTITIES: readonly (readonly [string, string])[] = [
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&apos;'],
];

function escaped(text: string): string {
  return ENTITIES.reduce((result, [plain, entity]) => result.replaceAll(plain, entity), text.replaceAll('&', '&amp;'));
}

function unescaped(text: string): string {
  return ENTITIES.reduce((result, [plain, entity]) => result.replaceAll(entity, plain), text).replaceAll('&amp;', '&');
}
