/** What is said about one finding; `{name}` is taken from its facts. */
export interface FindingText {
  readonly sentence: string;
  readonly remedy?: string;
}

/** Every finding that the doctor knows, in English. The other languages have exactly these keys and places. */
export const en = {
  'addresses-good': { sentence: 'This machine has the address {addresses}.' },
  'no-address': {
    sentence: 'This machine has no network address other than its own loopback.',
    remedy: 'Plug in the cable or join the Wi-Fi, and see that the router gives out addresses (DHCP).',
  },
  'only-container-address': {
    sentence:
      'This machine has only the address {addresses}, which exists inside one computer: others cannot reach it.',
    remedy: 'Give the container the host’s network (docker run --network host), or start Atoll outside of it.',
  },
  'multicast-good': { sentence: 'Local discovery works: {hosts} answered to the group {group}.' },
  'multicast-alone': {
    sentence: 'Nobody else answered to the group {group}; that is so when this hub is alone on its network.',
    remedy: 'If there are others, run atoll doctor on one of them: it tells whether this hub is heard there.',
  },
  'multicast-blocked': {
    sentence: '{host} answers when asked directly, but nothing said to the group {group} gets through.',
    remedy:
      'Let UDP to {group} port 8888 through the firewall, and switch off “client isolation” or “multicast filtering” (IGMP snooping without a querier) in access point and switch.',
  },
  'discovery-silent': {
    sentence: 'Nobody answers to local discovery on UDP port 8888, neither in the group {group} nor at {host}.',
    remedy:
      'Let UDP port 8888 in and out, and leave peer-discovery switched on; apps that were told the bootstrap find the hub without it.',
  },
  'hub-not-running': {
    sentence: 'No hub runs on the state directory {state}.',
    remedy: 'Start it with atoll up, or name the state directory of the hub that runs with --state.',
  },
  'no-hub-found': {
    sentence: 'No hub was named, and none was found on this network.',
    remedy: 'Name it with --hub ADDRESS, or let UDP port 8888 through so that it can be found.',
  },
  'port-taken': {
    sentence: '{transport} port {port} of the {service} service is used by {program}.',
    remedy: 'Stop that program, or give the service another port with --{setting}.',
  },
  'dht-good': { sentence: 'The DHT at {address} stored a value and gave it back.' },
  'dht-closed': {
    sentence: 'Nothing listens on UDP port {port} of {host}: the DHT node is not running there.',
    remedy: 'Start the hub on {host}, or correct the port of the bootstrap in the apps.',
  },
  'dht-silent': {
    sentence: 'The DHT node at {address} does not answer.',
    remedy: 'Let UDP port {port} in on {host} (atoll firewall writes the rules), and see that {host} is switched on.',
  },
  'dht-stores-nothing': {
    sentence: 'The DHT node at {address} answers, but a value that was put there does not come back.',
    remedy: 'Look at the hub’s log and its memory; if its storage is full, start it again.',
  },
  'bootstrap-good': { sentence: 'The bootstrap node {address} answers.' },
  'bootstrap-silent': {
    sentence: 'The bootstrap node {address} does not answer.',
    remedy: 'Start it again, or take it out of the bootstrap setting.',
  },
  'bootstrap-unresolved': {
    sentence: 'The name of the bootstrap node {address} leads to no address.',
    remedy: 'Write its IP address into the bootstrap setting, or mend the name in your DNS.',
  },
  'proxy-good': { sentence: 'The DHT proxy {url} stored a value and gave it back.' },
  'proxy-zombie': {
    sentence: 'The DHT proxy {url} answers, but the DHT behind it does not ({status}): phones look offline.',
    remedy: 'Look first at what else is found about the DHT; if that is well, start the proxy again.',
  },
  'proxy-closed': {
    sentence: 'Nothing listens where the DHT proxy should be: {url}.',
    remedy: 'Start the proxy on {host}, or correct its address in the apps.',
  },
  'proxy-silent': {
    sentence: 'The DHT proxy {url} cannot be reached.',
    remedy: 'Let TCP port {port} in on {host}.',
  },
  'names-good': { sentence: 'The name server {url} answers.' },
  'names-unwell': {
    sentence: 'The name server {url} answers with an error ({status}).',
    remedy: 'Look at its log; its database may be full or unreachable.',
  },
  'names-closed': {
    sentence: 'Nothing listens where the name server should be: {url}.',
    remedy: 'Start the name server on {host}, or correct its address in the apps.',
  },
  'names-silent': {
    sentence: 'The name server {url} cannot be reached.',
    remedy: 'Let TCP port {port} in on {host}.',
  },
  'turn-good': { sentence: 'TURN over {transport} at {address} relays (credential: {credential}).' },
  'turn-closed': {
    sentence: 'Nothing listens on {transport} port {port} of {host}, where the TURN server should be.',
    remedy: 'Start the TURN server there, or correct its address in the apps.',
  },
  'turn-silent': {
    sentence: 'The TURN server at {address} does not answer over {transport}.',
    remedy: 'Let {transport} port {port} in on {host}; until then calls between far networks may fail.',
  },
  'turn-password-wrong': {
    sentence: 'The TURN server at {address} does not take the user {user} with this password.',
    remedy: 'Enter user, password and realm as the hub shows them (atoll join); the server itself is reachable.',
  },
  'turn-refused': {
    sentence: 'The TURN server at {address} refuses an allocation over {transport}: error {code}.',
    remedy: 'Error 486 or 508 says that quota or ports are used up: raise them, or wait until calls end.',
  },
  'turn-relay-closed': {
    sentence: 'TURN at {address} gives an allocation, but nothing passes through its relay {relay}.',
    remedy: 'Let the relay’s UDP ports (49152 to 65535 unless set otherwise) in and out on {host}.',
  },
  'turn-unknown': {
    sentence: 'TURN at {address} answers; its relay was not tried, for want of user and password.',
    remedy: 'Give --ready-file, or --turn-user and --turn-password-file.',
  },
  'nat-none': { sentence: 'There is no address translation between here and {host}.' },
  'nat-easy': {
    sentence: 'There is an address translation that peers can get through (seen as {address}, mapping {mapping}).',
  },
  'nat-hard': {
    sentence: 'The address translation here gives each destination another port (seen as {address}).',
    remedy: 'Calls through it need TURN: see that a TURN server is entered in the apps.',
  },
  'nat-unknown': {
    sentence: 'The kind of address translation is not known: {host} has no second address to ask from.',
    remedy: 'Run the TURN server with two addresses, or name a STUN server that has them with --stun HOST.',
  },
  'clock-good': { sentence: 'The clocks here and at {host} agree within {seconds} s.' },
  'clock-off': {
    sentence: 'The clocks here and at {host} differ by {seconds} s: certificates and messages will be refused.',
    remedy: 'Set the clock of the machine that is wrong (timedatectl set-ntp true, or date by hand).',
  },
  'certificate-good': { sentence: 'The certificate of {place} is good until {until}.' },
  'certificate-expired': {
    sentence: 'The certificate of {place} is over since {until}.',
    remedy: 'Renew it; the hub takes the new file by itself.',
  },
  'certificate-early': {
    sentence: 'The certificate of {place} only begins on {from}.',
    remedy: 'Set the clock, or make the certificate again.',
  },
  'certificate-soon': {
    sentence: 'The certificate of {place} ends on {until}, in {days} days.',
    remedy: 'Renew it before; the hub takes the new file by itself.',
  },
  'certificate-name': {
    sentence: 'The certificate of {place} is for {names}, not for {host}.',
    remedy: 'Get a certificate that names {host}, or use the name that it has.',
  },
  'certificate-acme': {
    sentence: 'The hub got no new certificate of {names} by ACME: {reason}',
    remedy: 'Do what it says; the hub tries again by itself, and two minutes after a failure also when it is started.',
  },
  'certificate-unreadable': {
    sentence: 'The certificate or key cannot be used: {reason}',
    remedy: 'Let the hub’s user read {path}, and see that key and certificate belong together.',
  },
  'mtu-good': { sentence: 'Packets of {bytes} bytes pass whole.' },
  'mtu-black-hole': {
    sentence: 'Packets larger than {bytes} bytes vanish on the way to {host}, and nobody says so.',
    remedy:
      'Set the MTU of this machine’s link to {bytes} (ip link set dev LINK mtu {bytes}), or let ICMP “fragmentation needed” through on the way.',
  },
  'loss-good': { sentence: '{percent} % of {sent} packets to {host} got lost; answers took {rttMs} ms.' },
  'loss-some': {
    sentence: '{percent} % of {sent} packets to {host} got lost.',
    remedy: 'Use a cable or a nearer access point if calls stutter.',
  },
  'loss-high': {
    sentence: '{percent} % of {sent} packets to {host} got lost: calls will stutter.',
    remedy: 'Change the cable, the access point’s channel or the switch port; try with a cable if it is Wi-Fi.',
  },
  'firewall-good': { sentence: 'No firewall rule of this machine is in the way.' },
  'firewall-drops': {
    sentence: 'The firewall of this machine drops {transport} port {port} ({service}): {rule}.',
    remedy: 'Remove the rule or allow the port before it; atoll firewall writes rules that fit.',
  },
  'firewall-unknown': {
    sentence: 'The firewall rules of this machine cannot be read: {reason}.',
    remedy: 'Run atoll doctor as root to see them.',
  },
  'dns-good': { sentence: 'Names are resolved as they should be.' },
  'dns-unneeded': { sentence: 'No DNS server answers here, and nothing that is set up needs one.' },
  'dns-broken': {
    sentence: 'The DNS server {server} does not answer, and {name} has to be looked up.',
    remedy: 'Mend the DNS server, or write IP addresses instead of names.',
  },
  'dns-unknown-name': {
    sentence: 'DNS does not know the name {name}.',
    remedy: 'Add it to your DNS, or write the IP address instead.',
  },
  'dns-answers-everything': {
    sentence: 'DNS answers every name, even made-up ones, with {addresses}: a login page or a filter is in the way.',
    remedy: 'Log in to the network first, or use another DNS server, or write IP addresses instead of names.',
  },
  'dns-wrong-address': {
    sentence: 'The name {name} leads to {addresses}, which is not where the hub is ({expected}).',
    remedy: 'Correct the name in your DNS or in /etc/hosts.',
  },
  'disk-good': { sentence: '{free} MB are free for the state directory.' },
  'disk-low': {
    sentence: 'Only {free} MB are free for the state directory {path}.',
    remedy: 'Make room before it is full.',
  },
  'disk-full': {
    sentence: 'The disk of the state directory {path} is full ({free} MB free): nothing new is kept.',
    remedy: 'Make room, or move the state directory to a larger disk.',
  },
  'memory-good': { sentence: '{free} MB of memory are free.' },
  'memory-low': {
    sentence: 'Only {free} MB of memory are free.',
    remedy: 'Stop other programs, or add memory or swap.',
  },
  'descriptors-good': { sentence: 'The hub may open {limit} files and connections.' },
  'descriptors-low': {
    sentence: 'The hub may open only {limit} files and connections: clients will be turned away.',
    remedy: 'Raise the limit (LimitNOFILE= in the systemd unit, ulimit -n in a shell) and start the hub again.',
  },
  'why-name-unknown': {
    sentence: 'Nobody is called {person} at the name server.',
    remedy: 'See how the name is written, or use the 40 digits of the Jami id.',
  },
  'why-name-silent': {
    sentence: 'The name server was asked for {person} and gave no answer: {reason}.',
    remedy: 'Look at the name server with atoll doctor, or use the 40 digits of the Jami id.',
  },
  'why-same': {
    sentence: '{person} is both of them.',
    remedy: 'Name two different people.',
  },
  'why-no-dht': {
    sentence: 'The DHT gave no answer about {person}: {reason}.',
    remedy: 'Look at the DHT with atoll doctor.',
  },
  'why-no-device': {
    sentence: 'No device of {person} says on this network that it is there.',
    remedy:
      'Switch on a device of {person}, and see that its bootstrap is this hub and that its account is enabled; up to a minute passes until it is seen.',
  },
  'why-no-certificate': {
    sentence: 'The device {device} of {person} says that it is there, but its certificate is not to be found.',
    remedy:
      'Let the app run for a few minutes; if it stays so, old and new apps are mixed on this network: switch on the bridge of the hub.',
  },
  'why-device-seen': {
    sentence: 'The device {device} of {person} was heard at {address}, {seconds} s ago.',
  },
  'why-device-unseen': {
    sentence:
      'The device {device} of {person} says that it is there, but its own DHT node was not heard here: it uses a DHT proxy, or it has just left.',
    remedy: 'If it has left, this goes away within ten minutes; wake the phone, or test its notifications.',
  },
  'why-two-networks': {
    sentence: '{person} and {other} are on different networks ({here}, {there}).',
    remedy: 'Between networks calls may need TURN: see that the same TURN server is entered in both apps.',
  },
  'why-nothing': {
    sentence: 'Both are there, and nothing on the hub’s side keeps {person} and {other} apart.',
    remedy: 'Run atoll doctor on the two devices’ networks; see that neither has blocked the other.',
  },
  'check-failed': {
    sentence: 'One thing could not be looked at ({check}): {reason}',
    remedy: 'Mend what else was found, and look again.',
  },
} satisfies Record<string, FindingText>;

/** Ids of all findings. */
export type FindingId = keyof typeof en;
