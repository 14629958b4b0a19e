import { networkInterfaces } from 'node:os';

/**
 * The addresses under which people on the LAN reach this machine: IPv4 first, then global and unique local IPv6, never
 * loopback unless there is nothing else.
 */
export function lanAddresses(): string[] {
  const ipv4: string[] = [];
  const ipv6: string[] = [];
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address, family, internal } of addresses ?? []) {
      if (internal || address.startsWith('169.254.') || address.toLowerCase().startsWith('fe80')) continue;
      (family === 'IPv4' ? ipv4 : ipv6).push(address);
    }
  }
  const all = [...ipv4, ...ipv6];
  return all.length > 0 ? all : ['127.0.0.1'];
}
