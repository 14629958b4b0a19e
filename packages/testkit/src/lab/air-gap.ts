import type { Host } from './lan.js';

const TABLE = 'atoll_air_gap';

/** Groups that a hub finds the LAN by: Jami's discovery, and mDNS. No router passes them on. */
export const LAN_GROUPS = ['239.192.0.1', 'ff08::101', '224.0.0.251', 'ff02::fb'];

/**
 * Watches what a host sends to anybody who was neither configured nor found on the LAN. It counts in the kernel, before
 * any address is looked up, so nothing is missed and nothing needs to arrive.
 */
export class AirGap {
  private readonly host: Host;

  private constructor(host: Host) {
    this.host = host;
  }

  /** `allowed`: addresses and networks that may be sent to, IPv4 and IPv6. */
  static watch(host: Host, allowed: readonly string[]): AirGap {
    const of = (isV6: boolean): string => allowed.filter((entry) => entry.includes(':') === isV6).join(', ');
    const rule = (family: 'ip' | 'ip6', list: string): string =>
      list === '' ? '' : `${family} daddr { ${list} } return\n`;
    const rules = `table inet ${TABLE} {
      set seen4 { type ipv4_addr . inet_proto . inet_service; size 65535; flags dynamic; }
      set seen6 { type ipv6_addr . inet_proto . inet_service; size 65535; flags dynamic; }
      set other { type ipv4_addr . inet_proto; size 65535; flags dynamic; }
      chain output {
        type filter hook output priority 0; policy accept;
        oifname "lo" return
        ${rule('ip', of(false))}${rule('ip6', of(true))}
        meta l4proto { icmpv6, igmp } return
        meta nfproto ipv4 meta l4proto { tcp, udp } add @seen4 { ip daddr . meta l4proto . th dport }
        meta nfproto ipv6 meta l4proto { tcp, udp } add @seen6 { ip6 daddr . meta l4proto . th dport }
        meta nfproto ipv4 meta l4proto != { tcp, udp } add @other { ip daddr . meta l4proto }
      }
    }`;
    host.exec('nft', rules);
    return new AirGap(host);
  }

  /** Destinations that should not have been sent to, as `address . protocol . port`. */
  strangers(): string[] {
    const listed = this.host.exec('nft', '-n', 'list', 'table', 'inet', TABLE);
    return [...listed.matchAll(/elements = \{([^}]*)\}/g)].flatMap(([, elements = '']) =>
      elements.split(',').map((element) => element.trim()),
    );
  }

  /** Throws with the list when anything went to a stranger. */
  assertQuiet(): void {
    const strangers = this.strangers();
    if (strangers.length > 0) throw new Error(`${this.host.name} sent to strangers: ${strangers.join('; ')}`);
  }
}
