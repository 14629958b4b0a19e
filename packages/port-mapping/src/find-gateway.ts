import { createSocket } from 'node:dgram';
import { AtollError } from '@atoll/base';
import { defaultGateway } from './default-gateway.js';
import type { Gateway, MappingMethod } from './gateway.js';
import { PortControl } from './port-control.js';
import { UpnpGateway } from './upnp-gateway.js';

export interface FindOptions {
  /** The router's IPv4 address; the default gateway when left out. */
  readonly address?: string | undefined;
  /** Protocols to try; all when left out. */
  readonly methods?: readonly MappingMethod[] | undefined;
  /** Secret of this machine; see {@link PortControl.find}. */
  readonly key: Uint8Array;
}

const ALL: readonly MappingMethod[] = ['pcp', 'nat-pmp', 'upnp'];

/**
 * Finds the router of this machine and a protocol it speaks: PCP before NAT-PMP before UPnP, all asked at once. Fails
 * with `PORT_MAP_NO_ROUTER`.
 */
export async function findGateway({ address, methods = ALL, key }: FindOptions): Promise<Gateway> {
  const router = address ?? (await defaultGateway());
  if (router === undefined) {
    throw new AtollError(
      'PORT_MAP_NO_ROUTER',
      'This machine knows no router: it has no default route. Name one with --gateway.',
    );
  }
  const local = await localAddress(router);
  const upnp =
    local !== undefined && methods.includes('upnp')
      ? UpnpGateway.find(local, router, address !== undefined)
      : undefined;
  const found = (await PortControl.find(router, key, methods)) ?? (await upnp);
  if (found !== undefined) return found;
  throw new AtollError(
    'PORT_MAP_NO_ROUTER',
    `The router ${router} speaks none of ${methods.join(', ')}: switch UPnP, NAT-PMP or PCP on in its settings, or forward the ports there by hand.`,
  );
}

/** Our own address as another one sees it; nothing is sent. */
function localAddress(remote: string): Promise<string | undefined> {
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    const end = (address: string | undefined): void => {
      socket.close();
      resolve(address);
    };
    socket.on('error', () => end(undefined));
    socket.once('connect', () => end(socket.address().address));
    socket.connect(9, remote);
  });
}
