/** A mapping of a router, as far as people are told of it. */
interface MappedPort {
  readonly transport: string;
  readonly internalPort: number;
  readonly externalPort: number;
}

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
  startingAgain: 'Starting again from the backup …',
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
      acme: 'Here the ACME directory looks before it gives a certificate. Closed, there is none of a public authority.',
      mdns: 'Multicast DNS, 224.0.0.251 and ff02::fb. Closed, the hub is not found as atoll.local, and does not see other hubs.',
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
  portMap: {
    router: (address: string, method: string, outside: string | undefined) =>
      `Router ${address} (${method}), address outside: ${outside ?? 'it does not tell'}`,
    mappings: 'Mappings of the router:',
    own: 'Mappings of this machine (this router does not tell of others):',
    noMappings: 'No mappings.',
    mapped: ({ transport, internalPort, externalPort }: MappedPort) =>
      externalPort === internalPort
        ? `${internalPort}/${transport} is open outside.`
        : `${internalPort}/${transport} is open outside as port ${externalPort}.`,
    until: (seconds: number) =>
      `For ${Math.round(seconds / 60)} minutes, unless it is renewed: a hub with --port-map true renews it while it runs.`,
    removed: (count: number) => `Mappings removed: ${count}.`,
    unknownWay: (router: string) => [
      `The router ${router} tells no address on the Internet. Either it is not connected at this moment, or another router stands between it and the Internet.`,
      `Look at its own page (http://${router}/) for the address under “Internet” or “WAN”:`,
      '  - none: the connection is down, or the cable is in the wrong socket;',
      '  - 10.…, 172.16.… to 172.31.… or 192.168.…: there is a second router; forward the ports there too, or switch one of the two to bridge mode;',
      '  - 100.64.… to 100.127.…: the provider shares one address among many customers (CGNAT); ask for a public IPv4 address, or use IPv6.',
    ],
    secondRouter: (router: string, outside: string | undefined, page: string | undefined) => [
      `There is a second router${page === undefined ? '' : `, ${page},`} between ${router} and the Internet: ${router} has ${outside === undefined ? 'no address on the Internet itself' : `${outside} outside, an address of a private network`}.`,
      'What comes from the Internet stops at that second router. One of these makes it pass:',
      `  1. Best: switch one of the two to bridge mode (“modem only”, “access point”), so that one router is left. Then run “atoll portmap add” again.`,
      `  2. Or open the page of the second router${page === undefined ? '' : ` (http://${page}/)`} and forward the same ports, same protocol, to ${outside ?? `${router}’s address on its side (on its page under “connected devices”)`}; give it a fixed address there. ${outside === undefined ? `If ${router} refuses to map ports while it has no address on the Internet, forward them by hand on its page, too, to this machine.` : ''}`.trimEnd(),
      `  3. Or enter that address there as “exposed host” or “DMZ”: everything passes on to ${router}, which lets in only what is forwarded.`,
      '  4. Nobody can change the second router? Then nobody outside reaches the hub over IPv4: use IPv6, or run a second hub where ports can be opened, and give its address as --bootstrap.',
      'To see whether it works, somebody outside uses the address that a “what is my IP” page shows, with the port.',
    ],
    carrier: (router: string, outside: string | undefined) => [
      `The provider has a router of its own between ${router} and the Internet: ${outside === undefined ? '' : `${outside} is `}an address shared by many customers (CGNAT).`,
      'No setting here lets anybody in over IPv4. One of these does:',
      '  1. Ask the provider for a public IPv4 address; many give one on request, some for a fee.',
      '  2. Use IPv6, if the provider has it: open the same ports for this machine in the IPv6 firewall of the router.',
      '  3. Run a second hub on a machine that has a public address, and give its address here as --bootstrap.',
      'The network at home works without any of it.',
    ],
  },
  doctorWell: 'No fault was found.',
  doctorFaults: 'Faults were found; each arrow says what to do.',
  bundleWritten: (file: string, bytes: number) =>
    `${file}: ${bytes} bytes. Secrets and names are struck out; look into it before you send it.`,
  qualityServes: (port: number) => `Answers quality tests on UDP port ${port}. Stop with Ctrl-C.`,
  quality: {
    title: 'Video there and back',
    frames: 'frames shown a second',
    loss: 'loss, %',
    delay: 'delay there and back, ms',
    camera: 'camera, 1920×1080, 30 frames/s',
    screen: 'screen, 1920×1080, 120 frames/s',
    ways: { direct: 'directly', turn: 'through TURN' },
    table: {
      shown: 'frames shown/s',
      freezes: 'freezes (longest, ms)',
      loss: 'loss (there), %',
      jitter: 'jitter, ms',
      delay: 'delay (95 %), ms',
      rate: 'Mbit/s',
    },
    carries: (rate: number, calls: number) => `carries at least ${rate} Mbit/s each way: ${calls} video calls at once`,
  },
  portalLabel: 'Portal',
  trustedPageLabel: 'Page that devices trust already',
  certificateLabel: 'Certificate',
  certificateUntil: (subject: string, day: string, isOwn: boolean) =>
    `${subject}, until ${day}${isOwn ? ' (the hub’s own authority)' : ''}`,
  acmeProblem: (message: string, time: string) => `ACME: ${message} Next attempt: ${time} UTC.`,
  joinAt: 'Everything to join, with a QR code, is on the page',
  operatorLabel: 'Operator’s page (this link works once)',
  serviceOff: 'off',
  serviceWell: 'well',
  serviceUnwell: 'does not answer',
  restarts: (count: number) => `started again ${count} times`,
  figures: (nodes: number, values: number, clients: number, allocations: number) =>
    `nodes ${nodes}, values ${values}, proxy clients ${clients}, TURN allocations ${allocations}`,
};

/** The keys of every language. */
export type Messages = typeof en;
