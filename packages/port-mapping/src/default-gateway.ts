import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';

/** Flags of a route: it is up, and leads through a router. */
const UP_GATEWAY = 0x3;
const MAX_OUTPUT_BYTES = 1024 * 1024;

/** IPv4 address of the router that the system sends to when it knows no better; undefined when there is none. */
export async function defaultGateway(): Promise<string | undefined> {
  const table = await readFile('/proc/net/route', 'latin1').catch(() => undefined);
  return table === undefined ? fromNetstat(await netstat()) : fromProc(table);
}

/** Lines `interface destination gateway flags … metric mask …`, numbers in hex of the machine's byte order. */
export function fromProc(table: string): string | undefined {
  const routes = table.split('\n').flatMap((line) => {
    const [, destination, gateway = '', flags = '', , , metric = ''] = line.trim().split(/\s+/);
    if (destination !== '00000000' || (Number.parseInt(flags, 16) & UP_GATEWAY) !== UP_GATEWAY) return [];
    const bytes = Buffer.from(gateway, 'hex');
    return bytes.length === 4 ? [{ address: bytes.reverse().join('.'), metric: Number(metric) }] : [];
  });
  return routes.sort((a, b) => a.metric - b.metric)[0]?.address;
}

/** macOS, BSD: `default 192.168.1.1 …`; Windows: `0.0.0.0 0.0.0.0 192.168.1.1 …`. */
export function fromNetstat(table: string): string | undefined {
  for (const line of table.split('\n')) {
    const [destination = '', second = '', third = ''] = line.trim().split(/\s+/);
    const gateway = destination === 'default' ? second : destination === '0.0.0.0' ? third : '';
    if (isIPv4(gateway)) return gateway;
  }
  return undefined;
}

function netstat(): Promise<string> {
  return new Promise((resolve) => {
    execFile('netstat', ['-rn'], { maxBuffer: MAX_OUTPUT_BYTES }, (_error, output) => resolve(output ?? ''));
  });
}
