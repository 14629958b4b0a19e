import type { Check } from '../check.js';
import { type Verdict, verdict } from '../finding.js';
import { stunBurst } from '../probes/stun-burst.js';

/** Packet sizes tried, bytes with IP header: what Ethernet, PPPoE, VPNs and IPv6's minimum let through. */
const PACKET_BYTES = [1500, 1492, 1480, 1460, 1440, 1420, 1400, 1380, 1360, 1340, 1320, 1300, 1280, 1240, 1200, 576];
const IP_UDP_BYTES = { 4: 28, 6: 48 } as const;
/** Each size so often, so that a lost packet is not taken for one that is too large. */
const TRIES = 4;
const GAP_MS = 5;

/** Judges the largest packet that passed of those that were tried; undefined when none did. */
export function judgeMtu(host: string, largest: number | undefined): readonly Verdict[] {
  if (largest === undefined) return [];
  const most = PACKET_BYTES[0] ?? 0;
  return [
    verdict(largest >= most ? 'good' : 'fault', largest >= most ? 'mtu-good' : 'mtu-black-hole', {
      host,
      bytes: largest,
    }),
  ];
}

/**
 * How large packets may be on the way to the hub. Linux forbids fragments of UDP packets that fit the own link, so they
 * pass whole or not at all; where the own link says that it is smaller, nothing vanishes and nothing is found.
 */
export const checkMtu: Check = async ({ host, turn }, { limitMs }) => {
  if (turn === undefined) return [];
  const headers = IP_UDP_BYTES[host.includes(':') ? 6 : 4];
  const sizes = Array.from({ length: TRIES }, () => PACKET_BYTES.map((bytes) => bytes - headers)).flat();
  const times = await stunBurst(host, turn.port, { sizes, gapMs: GAP_MS, waitMs: limitMs });
  const passed = sizes.filter((_size, index) => times[index] !== undefined);
  return judgeMtu(host, passed.length === 0 ? undefined : Math.max(...passed) + headers);
};
