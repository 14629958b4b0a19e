import assert from 'node:assert/strict';
import { test } from 'node:test';
import { turnServerDefaults } from '@atoll/turn';
import { readConfiguration } from '../configuration.js';
import { type FirewallCommand, firewallNamed } from './firewall.js';
import { type OpenPort, openPorts, turnPorts } from './open-ports.js';

const texts = (ports: readonly OpenPort[]): string[] =>
  ports.map(({ use, transport, from, to, families }) => `${use} ${transport} ${from}-${to} ${families.join('+')}`);

const configured = async (given: Record<string, string>): Promise<OpenPort[]> =>
  openPorts(await readConfiguration(given, {}, undefined));

test('the ports of a configuration are exactly those that its services open', async () => {
  assert.deepEqual(texts(await configured({})), [
    'dht udp 4222-4222 4+6',
    'discovery udp 8888-8888 4+6',
    'proxy tcp 8080-8080 4+6',
    'proxy tcp 8443-8443 4+6',
    'names tcp 8000-8000 4+6',
    'names tcp 8001-8001 4+6',
    'portal tcp 8088-8088 4+6',
    'portal tcp 8444-8444 4+6',
    'mdns udp 5353-5353 4+6',
    'turn udp 3478-3478 4+6',
    'turn tcp 3478-3478 4+6',
    'turn-tls udp 5349-5349 4+6',
    'turn-tls tcp 5349-5349 4+6',
    'relay udp 49152-65535 4+6',
    'relay tcp 49152-65535 4+6',
  ]);
  const given = {
    turn: 'false',
    names: 'false',
    peerDiscovery: 'false',
    portal: 'false',
    host: '192.168.1.2,127.0.0.1',
  };
  assert.deepEqual(texts(await configured(given)), [
    'dht udp 4222-4222 4',
    'proxy tcp 8080-8080 4',
    'proxy tcp 8443-8443 4',
  ]);
  assert.ok(texts(await configured({ acmeDomain: 'hub.school.example' })).includes('acme tcp 80-80 4+6'));
  assert.deepEqual(
    texts(await configured({ mdns: 'false' })).filter((port) => port.startsWith('mdns')),
    [],
  );
  const files = { certificate: 'c', privateKey: 'k', turn: 'false', portal: 'false', proxyPort: '80' };
  assert.deepEqual(
    (await configured(files)).map(({ from }) => from),
    [4222, 8888, 80, 8443, 8000, 8001],
  );
  assert.deepEqual(await configured({ host: '127.0.0.1,::1' }), [], 'nobody reaches loopback');
});

test('ports that the system chooses come from the ready file, and only from there', async () => {
  await assert.rejects(configured({ dhtPort: '0' }), /--dht-port 0 .* ready file/);
  const configuration = await readConfiguration({ dhtPort: '0' }, {}, undefined);
  const ready = {
    dht: { addresses: ['10.0.0.1:5001', '[fd00::1]:5002'] },
    proxy: { url: 'http://10.0.0.1:5003' },
    turn: { port: 5004, tlsPort: 5005 },
    portal: { url: 'http://10.0.0.1:5006/', urlTls: 'https://hub.local/' },
  };
  assert.deepEqual(texts(openPorts(configuration, ready)).slice(0, 11), [
    'dht udp 5001-5001 4',
    'dht udp 5002-5002 6',
    'discovery udp 8888-8888 4+6',
    'proxy tcp 5003-5003 4+6',
    'portal tcp 5006-5006 4+6',
    'portal tcp 443-443 4+6',
    'mdns udp 5353-5353 4+6',
    'turn udp 5004-5004 4+6',
    'turn tcp 5004-5004 4+6',
    'turn-tls udp 5005-5005 4+6',
    'turn-tls tcp 5005-5005 4+6',
  ]);
});

test('a TURN server opens relay ports only for what it relays', () => {
  const server = {
    ...turnServerDefaults('realm'),
    udp: [
      { address: '10.0.0.1', port: 3478 },
      { address: '127.0.0.1', port: 3478 },
    ],
    tls: [{ address: 'fd00::1', port: 5349 }],
    dtls: [{ address: 'fd00::1', port: 5349 }],
    minPort: 50_000,
    maxPort: 50_100,
    relayAddresses: ['10.0.0.1'],
    behavior: { tcpRelay: false },
  };
  assert.deepEqual(texts(turnPorts(server)), [
    'turn udp 3478-3478 4',
    'turn-tls tcp 5349-5349 6',
    'turn-tls udp 5349-5349 6',
    'relay udp 50000-50100 4',
  ]);
  assert.equal(turnPorts({ ...server, behavior: { stunOnly: true } }).length, 3);
});

const PORTS: readonly OpenPort[] = [
  { use: 'dht', transport: 'udp', from: 4222, to: 4222, families: [4, 6] },
  { use: 'relay', transport: 'udp', from: 49_152, to: 65_535, families: [4] },
];

test('the rules are those that an administrator would write', () => {
  const printed = (format: string): string => firewallNamed(format).print(PORTS, {});
  assert.match(
    printed('iptables'),
    /^# DHT node \(UDP 4222\)\n-A INPUT -p udp -m state --state NEW --dport 4222 -j ACCEPT /m,
  );
  assert.match(printed('iptables'), /^-A INPUT -p udp -m state --state NEW --dport 49152:65535 -j ACCEPT /m);
  assert.match(printed('ip6tables'), /--dport 4222 /);
  assert.doesNotMatch(printed('ip6tables'), /49152/, 'IPv4 only');
  assert.match(printed('nftables'), /^add rule inet filter atoll udp dport 4222 ct state new accept comment "atoll: /m);
  assert.match(printed('nftables'), /atoll meta nfproto ipv4 udp dport 49152-65535 /);
  assert.match(printed('ufw'), /^ufw allow 49152:65535\/udp comment 'atoll: /m);
  assert.match(printed('firewalld'), /^firewall-cmd --permanent --service=atoll --add-port=49152-65535\/udp$/m);
  assert.match(
    printed('windows'),
    /^New-NetFirewallRule -Group 'Atoll' -DisplayName 'Atoll: DHT node \(UDP 4222\)' -Direction Inbound -Action Allow -Protocol UDP -LocalPort 4222 /m,
  );
  assert.match(printed('macos'), /^pass in quick proto udp from any to any port 4222 keep state$/m);
  assert.match(printed('macos'), /^pass in quick inet proto udp from any to any port 49152:65535 keep state$/m);
  assert.throws(() => firewallNamed('toString'), /There is no format “toString”; there are iptables, ip6tables/);
});

test('rules go before one that drops everything, and what is there already is left alone', async () => {
  const plan = (present: string, ports = PORTS): Promise<FirewallCommand[]> =>
    firewallNamed('iptables').plan(ports, {}, async () => present);
  const dht = '-A INPUT -p udp -m udp --dport 4222 -m comment --comment "atoll: udp 4222 DHT node" -j ACCEPT';
  const old = '-A INPUT -p udp -m udp --dport 4000 -m comment --comment "atoll: udp 4000 DHT node" -j ACCEPT';
  const [command] = await plan(`-P INPUT ACCEPT\n-A INPUT -i lo -j ACCEPT\n${old}\n${dht}\n-A INPUT -j DROP\n`);
  assert.equal(
    command?.input,
    [
      '*filter',
      old.replace('-A', '-D'),
      '-I INPUT 3 -p udp -m state --state NEW --dport 49152:65535 -j ACCEPT -m comment --comment "atoll: udp 49152-65535 what the TURN server relays"',
      'COMMIT',
      '',
    ].join('\n'),
  );
  assert.deepEqual(await plan(dht, PORTS.slice(0, 1)), []);
  assert.deepEqual(await plan('-A INPUT -j DROP', []), []);
});
