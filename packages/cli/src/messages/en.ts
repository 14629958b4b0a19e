/** What the command line says to people, in English. The other languages have exactly these keys. */
export const en = {
  hubRuns: 'Atoll is running. In the account settings of each Jami app, enter:',
  bootstrapLabel: 'Bootstrap (DHT settings)',
  proxyLabel: 'DHT proxy (for phones)',
  namesLabel: 'Name server',
  turnLabel: 'TURN server',
  turnAs: (user: string, password: string, realm: string) => `(user ${user}, password ${password}, realm ${realm})`,
  discoveryHint: 'Apps on this network with “local peer discovery” switched on find it by themselves.',
  otherAddresses: 'It can also be reached at',
  howToStop: 'Stop with Ctrl-C.',
  slower: 'Network packets are handled one by one, which is slower:',
  stopping: 'Stopping …',
  firewall: {
    heading: 'These ports have to be open on this machine:',
    none: 'Nothing has to be open: the services listen on this machine alone.',
    why: {
      dht: 'DHT node: how apps find each other. Closed, they stay offline unless they use the DHT proxy.',
      discovery:
        'Discovery on the LAN, multicast 239.192.0.1 and ff08::101 with answers to the same port. Closed, apps have to be told the bootstrap address by hand.',
      proxy: 'DHT proxy: what phones use instead of a node of their own. Closed, phones stay offline.',
      names: 'Name server. Closed, people are found by their 40 digits only.',
      turn: 'TURN server: the way between devices that cannot reach each other. Closed, their calls and messages fail.',
      'turn-tls': 'TURN server over TLS (TCP) and DTLS (UDP), for networks that let nothing else through.',
      relay:
        'Relay ports: what the TURN server passes on comes in here. A server of its own can have fewer: min-port and max-port of its configuration.',
      portal: 'The page of the hub, for browsers.',
    },
    unchanged: 'The firewall is already as it should be; nothing was changed.',
    applied: (count: number) => `Done; commands run: ${count}.`,
    wouldRun: 'This would be run:',
    untilReboot: {
      iptables:
        'It holds until the next start of the machine: keep it with “netfilter-persistent save”. IPv6 is a table of its own (--format ip6tables).',
      ip6tables:
        'It holds until the next start of the machine: keep it with “netfilter-persistent save”. IPv4 is a table of its own (--format iptables).',
      nftables:
        'It holds until nftables is started again: to keep it, write the printed rules into /etc/nftables.conf.',
      macos: 'It holds until the next start of the machine.',
    },
  },
};

/** The keys of every language. */
export type Messages = typeof en;
