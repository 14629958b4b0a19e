import type { Endpoint } from '@atoll/base';
import type { ClientListener } from './client.js';

/**
 * The UDP listeners in pairs of addresses and ports, for NAT behavior discovery (RFC 5780): from each there is one with
 * the other address, one with the other port, and one with both.
 */
export class NatDiscovery {
  private readonly listeners: ClientListener[] = [];

  add(listener: ClientListener): void {
    if (listener.protocol === 'udp') this.listeners.push(listener);
  }

  remove(listener: ClientListener): void {
    const at = this.listeners.indexOf(listener);
    if (at >= 0) this.listeners.splice(at, 1);
  }

  /** The listener an answer is to come from; undefined when there is none. */
  other(of: ClientListener, changesAddress: boolean, changesPort: boolean): ClientListener | undefined {
    const { local } = of;
    if (!changesAddress && !changesPort) return of;
    return this.listeners.find(
      (listener) =>
        listener.local.family === local.family &&
        (listener.local.ip !== local.ip) === changesAddress &&
        (listener.local.port !== local.port) === changesPort,
    );
  }

  /** OTHER-ADDRESS: where both differ. */
  otherAddress(of: ClientListener): Endpoint | undefined {
    return this.other(of, true, true)?.local;
  }
}
