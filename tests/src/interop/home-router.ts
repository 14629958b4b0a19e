import { writeFileSync } from 'node:fs';
import { eventually, type Host, type Lan, type ManagedProcess } from '@atoll/testkit';
import type { Scratch } from './turn-server-process.js';

/** A home's router: masquerades, lets in only what was asked for, and maps ports by Debian's miniupnpd. */
export interface RouterPlan {
  readonly host: Host;
  /** Its address on the inner link `eth0`; that of the LAN when left out. */
  readonly inside?: string;
  /** Its address on the outer link, `eth1`. */
  readonly outside: string;
  readonly upstream?: string;
  readonly protocols: { readonly upnp: boolean; readonly natPmp: boolean };
}

export async function startRouter(lan: Lan, plan: RouterPlan, scratch: Scratch): Promise<ManagedProcess> {
  const { host, inside, outside, upstream, protocols } = plan;
  lan.addLink(host);
  readdress(host, 'eth1', outside);
  if (inside !== undefined) readdress(host, 'eth0', inside);
  if (upstream !== undefined) host.exec('ip', 'route', 'replace', 'default', 'via', upstream);
  else host.exec('ip', 'route', 'replace', 'default', 'dev', 'eth1');
  // Both links may be on one switch: each answers for its own address only.
  host.exec('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.conf.all.arp_ignore=1');
  host.exec(
    'nft',
    `table inet filter {
      chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname "eth0" accept
        jump miniupnpd
      }
      chain miniupnpd {
      }
      chain prerouting {
        type nat hook prerouting priority -100; policy accept;
        jump prerouting_miniupnpd
      }
      chain postrouting {
        type nat hook postrouting priority 100; policy accept;
        jump postrouting_miniupnpd
        oifname "eth1" masquerade
      }
      chain prerouting_miniupnpd {
      }
      chain postrouting_miniupnpd {
      }
    }
    `,
  );
  const file = scratch.file(`${host.name}.conf`);
  const answer = (isOn: boolean): string => (isOn ? 'yes' : 'no');
  writeFileSync(
    file,
    `ext_ifname=eth1
listening_ip=eth0
http_port=49000
enable_natpmp=${answer(protocols.natPmp)}
enable_upnp=${answer(protocols.upnp)}
secure_mode=yes
upnp_table_name=filter
upnp_nat_table_name=filter
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
uuid=00000000-0000-4000-8000-00000000000${host.number}
allow 1024-65535 0.0.0.0/0 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
`,
  );
  const daemon = host.spawn('miniupnpd', ['-d', '-f', file, '-P', scratch.file(`${host.name}.pid`)]);
  await eventually(() => {
    const ports = host.exec('ss', '-uln');
    return (!protocols.natPmp || ports.includes(':5351')) && (!protocols.upnp || ports.includes(':1900'));
  }, `miniupnpd does not listen: ${daemon.output}`);
  return daemon;
}

/** Gives a link another address than that of the LAN. */
export function readdress(host: Host, link: string, address: string): void {
  host.exec('ip', 'addr', 'flush', 'dev', link);
  host.exec('ip', 'addr', 'add', address, 'dev', link);
  host.exec('ip', 'route', 'replace', 'default', 'dev', link);
}
