import { UsageError } from '@atoll/base';

/** Most proxies of one list: a range of ports may be meant otherwise than it was written. */
const MAX_PROXIES = 256;
const ENTRY = /^(?:(https?):\/\/)?([\w.\-~]+|\[[0-9a-f:.%]+\])(?::(\d{1,5})|:\[(\d{1,5})-(\d{1,5})\])?\/?$/i;

/**
 * The proxies of a list as Jami writes it (protocol/dht-proxy.md 17): entries `[http://]host[:port]` or
 * `host:[first-last]` with a range of ports, separated by commas, semicolons or blanks. Each is returned as an origin,
 * `http://host:port`. Throws a usage error.
 */
export function parseProxies(text: string): string[] {
  const proxies: string[] = [];
  for (const entry of text.split(/[\s,;]+/).filter((part) => part !== '')) {
    const found = ENTRY.exec(entry);
    if (found === null)
      throw new UsageError(`“${entry}” is no DHT proxy; write http://host:port or https://host:port.`);
    const [, scheme = 'http', host = '', port, first, last] = found;
    const from = Number(first ?? port ?? (scheme.toLowerCase() === 'https' ? 443 : 80));
    const to = Number(last ?? from);
    if (from < 1 || to > 65_535 || to < from) throw new UsageError(`“${entry}”: ports go from 1 to 65535.`);
    for (let each = from; each <= to; each++) proxies.push(`${scheme.toLowerCase()}://${host}:${each}`);
    if (proxies.length > MAX_PROXIES) throw new UsageError(`“${text}” are more than ${MAX_PROXIES} proxies.`);
  }
  if (proxies.length === 0) throw new UsageError('A DHT proxy must be named, as http://host:port.');
  return proxies;
}
