import { execFile } from 'node:child_process';
import { addressKind } from './core/address-kind.js';
import type { Gateway } from './gateway.js';

/** An address for documents (RFC 5737): what is sent there never arrives anywhere, and ends at the second hop. */
const NOWHERE = '192.0.2.1';
const PING_MS = 3000;

/** The way from a router to the Internet. */
export interface WayOutside {
  readonly router: string;
  readonly method: Gateway['method'];
  /** The router's own address outside; absent where it tells none. */
  readonly externalAddress?: string;
  /** Who comes behind the router; absent where that cannot be told. */
  readonly next?: 'internet' | 'second-router' | 'carrier';
  /** Address of the second router on our side, where its page is. */
  readonly secondRouter?: string;
}

/**
 * Tells whether a router is on the Internet itself. Many routers behind another one refuse to map and do not tell their
 * private address either: then the second hop says what stands there.
 */
export async function wayOutside(gateway: Gateway): Promise<WayOutside> {
  const told = await gateway.externalAddress().catch(() => undefined);
  const kind = told === undefined ? 'none' : addressKind(told);
  const externalAddress = kind === 'none' ? undefined : told;
  const router = { router: gateway.address, method: gateway.method };
  const known = { ...router, ...(externalAddress === undefined ? {} : { externalAddress }) };
  if (kind === 'public') return { ...known, next: 'internet' };
  const hop = await secondHop();
  const hopKind = hop === undefined ? 'none' : addressKind(hop);
  if (kind === 'carrier' || (kind === 'none' && hopKind === 'carrier')) return { ...known, next: 'carrier' };
  if (kind === 'private' || hopKind === 'private') {
    return { ...known, next: 'second-router', ...(hopKind === 'private' && hop ? { secondRouter: hop } : {}) };
  }
  return known;
}

/** The router behind the router, by the complaint of `ping` when its packet may not go further. */
function secondHop(): Promise<string | undefined> {
  const args =
    process.platform === 'win32'
      ? ['-n', '1', '-w', '2000', '-i', '2', NOWHERE]
      : process.platform === 'darwin'
        ? ['-n', '-c', '1', '-t', '2', '-m', '2', NOWHERE]
        : ['-n', '-c', '1', '-W', '2', '-t', '2', NOWHERE];
  return new Promise((resolve) => {
    const options = { timeout: PING_MS, env: { ...process.env, LC_ALL: 'C' } };
    execFile('ping', args, options, (_error, output) => resolve(hopIn(output ?? '')));
  });
}

/** The address in a line such as `From 192.168.1.1 icmp_seq=1 Time to live exceeded`, whatever system it is of. */
export function hopIn(output: string): string | undefined {
  const [, address] = /^.*?(\d{1,3}(?:\.\d{1,3}){3})\b.*\b(?:time to live|ttl)\b/im.exec(output) ?? [];
  return address === NOWHERE ? undefined : address;
}
