import { existsSync } from 'node:fs';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import type { Check } from '../check.js';
import { type Verdict, verdict } from '../finding.js';

/** Links that lead into this machine only: bridges of Docker, libvirt, LXC, Podman and Kubernetes. */
const INNER_LINK = /^(docker|br-|virbr|veth|lxc|lxd|cni|podman|flannel|cali|vnet)/;
/** What Docker and Podman give to containers unless told otherwise. */
const CONTAINER_NETWORK = /^(172\.(1[7-9]|2\d|3[01])|10\.88)\./;

/** What was seen of this machine's links. */
export interface AddressFacts {
  readonly interfaces: Readonly<Record<string, readonly Pick<NetworkInterfaceInfo, 'address' | 'internal'>[]>>;
  readonly isContainer: boolean;
}

/** Judges the addresses of this machine. */
export function judgeAddresses({ interfaces, isContainer }: AddressFacts): readonly Verdict[] {
  const inner: string[] = [];
  const outer: string[] = [];
  for (const [link, addresses] of Object.entries(interfaces)) {
    for (const { address, internal } of addresses) {
      if (internal || /^fe80/i.test(address) || address.startsWith('169.254.')) continue;
      const isInner = INNER_LINK.test(link) || (isContainer && CONTAINER_NETWORK.test(address));
      (isInner ? inner : outer).push(address);
    }
  }
  if (outer.length > 0) return [verdict('good', 'addresses-good', { addresses: outer.join(', ') })];
  if (inner.length === 0) return [verdict('fault', 'no-address')];
  return [verdict('fault', 'only-container-address', { addresses: inner.join(', ') })];
}

/** Interfaces and addresses of this machine. */
export const checkAddresses: Check = async () => {
  const interfaces = Object.fromEntries(Object.entries(networkInterfaces()).map(([name, list]) => [name, list ?? []]));
  return judgeAddresses({ interfaces, isContainer: existsSync('/.dockerenv') || existsSync('/run/.containerenv') });
};
