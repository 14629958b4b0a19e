/** Where UPnP devices are looked for (UPnP Device Architecture 1.1, section 1). */
export const SSDP_GROUP = '239.255.255.250';
export const SSDP_PORT = 1900;

/** The kinds of device that have a router in them. */
export const GATEWAY_DEVICES = [
  'urn:schemas-upnp-org:device:InternetGatewayDevice:2',
  'urn:schemas-upnp-org:device:InternetGatewayDevice:1',
] as const;

/** A search for one kind of device; each answers within a second. */
export function encodeSearch(target: string): Buffer {
  return Buffer.from(
    [
      'M-SEARCH * HTTP/1.1',
      `HOST: ${SSDP_GROUP}:${SSDP_PORT}`,
      'MAN: "ssdp:discover"',
      'MX: 1',
      `ST: ${target}`,
      '',
      '',
    ].join('\r\n'),
  );
}

/** Where the device of an answer describes itself; undefined when the answer is none of a router. */
export function decodeSearchAnswer(bytes: Buffer): string | undefined {
  const [status = '', ...lines] = bytes.toString('latin1').split('\r\n');
  if (!/^HTTP\/1\.[01] 200\b/.test(status)) return undefined;
  const header = (name: string): string | undefined => {
    const line = lines.find((text) => text.slice(0, name.length + 1).toLowerCase() === `${name}:`);
    return line?.slice(name.length + 1).trim();
  };
  if (!(GATEWAY_DEVICES as readonly string[]).includes(header('st') ?? '')) return undefined;
  return header('location');
}
