import type { Endpoint } from '@atoll/base';

const UNSPECIFIED = '\0'.repeat(16);
const LOOPBACK6 = `${'\0'.repeat(15)}\x01`;
const MAPPED_PREFIX = `${'\0'.repeat(10)}\xff\xff`;

/** An address that no honest node can have (protocol/dht.md 15.3). Link-local IPv6 is accepted, as by newer peers. */
export function isMartian(endpoint: Endpoint): boolean {
  if (endpoint.port === 0) return true;
  const { ip } = endpoint;
  const first = ip.charCodeAt(0);
  if (ip.length === 4) return first === 0 || first >= 224;
  if (first === 0xff) return true;
  return first === 0 && (ip === UNSPECIFIED || ip.startsWith(MAPPED_PREFIX));
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(endpoint: Endpoint): boolean {
  return endpoint.ip.length === 4 ? endpoint.ip.charCodeAt(0) === 127 : endpoint.ip === LOOPBACK6;
}

/** Whether two nodes count as one address: never on the loopback interface, where test networks live. */
export function isSameAddress(a: Endpoint, b: Endpoint): boolean {
  const sameBucket = a.ip.length === 4 ? a.ip === b.ip : b.ip.length === 16 && a.ip.startsWith(b.ip.slice(0, 8));
  return sameBucket && !isLoopback(a);
}

/** Endpoints on the list; beyond it the oldest is let go. */
const MAX_BLOCKED = 4096;

/** Endpoints that broke the protocol: their packets are dropped until restart (protocol/dht.md 15.4). */
export class BlockList {
  private readonly blocked = new Set<string>();

  add(endpoint: Endpoint): void {
    if (this.blocked.size >= MAX_BLOCKED) {
      const [oldest] = this.blocked;
      if (oldest !== undefined) this.blocked.delete(oldest);
    }
    this.blocked.add(endpoint.key);
  }

  has(endpoint: Endpoint): boolean {
    return this.blocked.size > 0 && this.blocked.has(endpoint.key);
  }

  get size(): number {
    return this.blocked.size;
  }
}
