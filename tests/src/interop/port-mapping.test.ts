import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { type DhtnodeProcess, eventually, type Host, Lan } from '@atoll/testkit';
import { startNode } from './atoll.js';
import { readdress, startRouter } from './home-router.js';
import { ATOLL, Scratch } from './turn-server-process.js';

/** Public addresses, on LANs that have no way out. */
const OUTSIDE = '11.22.33.9';
const WAN = '11.22.33.1';

interface Facts {
  readonly method: string;
  readonly externalAddress?: string;
  readonly next?: string;
  readonly secondRouter?: string;
  readonly mappings: readonly {
    readonly transport: string;
    readonly externalPort: number;
    readonly lifetime: number;
  }[];
}

function portmap(host: Host, scratch: Scratch, ...args: string[]): Facts {
  return JSON.parse(
    host.exec(process.execPath, ATOLL, 'portmap', ...args, '--state', scratch.file('state'), '--json'),
  ) as Facts;
}

/** What `upnpc`, a client of another hand, sees of the router's mappings, as `UDP 4222->10.77.0.1:4222`. */
function seenByUpnpc(host: Host, router: Host): string[] {
  const listed = host.exec('upnpc', '-u', `http://${router.address}:49000/rootDesc.xml`, '-l');
  return [...listed.matchAll(/^ *\d+ (UDP|TCP) +(\d+->[\d.]+:\d+)/gm)].map(([, protocol, way]) => `${protocol} ${way}`);
}

/** A datagram from outside to the router's address arrives at this host. */
async function arrives(from: Host, address: string, port: number, at: Host): Promise<void> {
  await using listener = at.spawn('python3', [
    '-uc',
    `import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 4222)); print('bound'); print(s.recv(99))`,
  ]);
  await listener.waitForOutput(/bound/);
  from.exec(
    'python3',
    '-c',
    `import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'hello', ('${address}', ${port}))`,
  );
  await listener.waitForOutput(/b'hello'/);
}

test('ports are mapped by PCP, NAT-PMP and UPnP, seen by another client, used from outside and taken away', async () => {
  await using lan = await Lan.create({ hosts: 4 });
  const [hub, router, outside, neighbor] = [lan.host(0), lan.host(1), lan.host(2), lan.host(3)];
  using scratch = await Scratch.make();
  lan.partition([outside]);
  readdress(outside, 'eth0', `${OUTSIDE}/24`);
  hub.exec('ip', 'route', 'replace', 'default', 'via', router.address);
  const plan = { host: router, outside: `${WAN}/24`, protocols: { upnp: true, natPmp: true } };
  await using _daemon = await startRouter(lan, plan, scratch);
  for (const method of ['pcp', 'nat-pmp', 'upnp']) {
    const facts = portmap(hub, scratch, 'add', '4222/udp:14222', '--method', method, '--lifetime', '600');
    assert.deepEqual([facts.method, facts.externalAddress, facts.next], [method, WAN, 'internet']);
    assert.deepEqual(
      facts.mappings.map(({ transport, externalPort, lifetime }) => [transport, externalPort, lifetime]),
      [['udp', 14_222, 600]],
    );
    assert.deepEqual(seenByUpnpc(hub, router), [`UDP 14222->${hub.address}:4222`]);
    assert.deepEqual(
      portmap(hub, scratch, 'list', '--method', method).mappings.map(({ externalPort }) => externalPort),
      [14_222],
    );
    await arrives(outside, WAN, 14_222, hub);
    portmap(hub, scratch, 'remove', '--method', method);
    assert.deepEqual(seenByUpnpc(hub, router), []);
  }
  assert.equal(statSync(scratch.file('state/port-mappings.json')).mode & 0o777, 0o600, 'nonces are secrets');

  // A port that another machine has: we get a free one, and leave that machine its own.
  const description = `http://${router.address}:49000/rootDesc.xml`;
  neighbor.exec('upnpc', '-u', description, '-a', neighbor.address, '4300', '14300', 'UDP');
  const [mapped] = portmap(hub, scratch, 'add', '4222/udp:14300', '--method', 'upnp').mappings;
  assert.notEqual(mapped?.externalPort, 14_300);
  await arrives(outside, WAN, mapped?.externalPort ?? 0, hub);
  portmap(hub, scratch, 'remove', '--method', 'upnp');
  portmap(hub, scratch, 'remove', '14300/udp', '--method', 'upnp');
  assert.deepEqual(seenByUpnpc(hub, router), [`UDP 14300->${neighbor.address}:4300`]);
});

test('a hub keeps its ports mapped while it runs, and a node outside joins by them', async () => {
  await using lan = await Lan.create({ hosts: 3 });
  const [hub, router, outside] = [lan.host(0), lan.host(1), lan.host(2)];
  using scratch = await Scratch.make();
  lan.partition([outside]);
  readdress(outside, 'eth0', `${OUTSIDE}/24`);
  hub.exec('ip', 'route', 'replace', 'default', 'via', router.address);
  const plan = { host: router, outside: `${WAN}/24`, protocols: { upnp: true, natPmp: true } };
  await using _daemon = await startRouter(lan, plan, scratch);
  const ready = scratch.file('ready.json');
  // Without TURN: Debian's miniupnpd breaks off when it is asked to list more than seven mappings.
  const args = ['up', '--state', scratch.file('state'), '--port-map', 'true', '--ready-file', ready, '--no-turn'];
  await using running = hub.spawn(process.execPath, [ATOLL, ...args], { LC_ALL: 'C' });
  await eventually(() => existsSync(ready), 'the hub is not ready');
  const { portMap } = JSON.parse(readFileSync(ready, 'utf8')) as { portMap: Facts };
  assert.deepEqual([portMap.method, portMap.externalAddress, portMap.next], ['pcp', WAN, 'internet']);
  const wanted = ['TCP 8000', 'TCP 8001', 'TCP 8080', 'TCP 8443', 'UDP 4222'];
  const seen = (): string =>
    seenByUpnpc(hub, router)
      .map((line) => line.split('->')[0] ?? '')
      .sort()
      .join();
  assert.equal(seen(), wanted.join());
  await using node: DhtnodeProcess = await startNode('dhtnode', outside, { args: ['-b', `${WAN}:4222`] });
  await node.connected();
  await running.stop();
  assert.equal(seen(), '', 'a hub that ends takes its mappings along');
});

test('a second router in between is recognized, and what is advised lets a datagram in', async () => {
  await using lan = await Lan.create({ hosts: 4 });
  const [hub, router, second, outside] = [lan.host(0), lan.host(1), lan.host(2), lan.host(3)];
  using scratch = await Scratch.make();
  lan.partition([second, outside]);
  readdress(outside, 'eth0', `${OUTSIDE}/24`);
  hub.exec('ip', 'route', 'replace', 'default', 'via', router.address);
  const protocols = { upnp: true, natPmp: true };
  const inner = { host: router, outside: '192.168.7.2/24', upstream: '192.168.7.1', protocols };
  const outer = { host: second, inside: '192.168.7.1/24', outside: `${WAN}/24`, protocols };
  await using _outer = await startRouter(lan, outer, scratch);
  await using _inner = await startRouter(lan, inner, scratch);
  const { next, secondRouter } = portmap(hub, scratch, 'list');
  assert.deepEqual([next, secondRouter], ['second-router', '192.168.7.1']);
  // Debian's miniupnpd maps nothing while its own address outside is private; a person is told what to do.
  const state = scratch.file('state');
  const said = hub.spawn(process.execPath, [ATOLL, 'portmap', 'add', '4222/udp', '--state', state], { LC_ALL: 'C' });
  assert.equal(await said.ended(), 1, said.output);
  assert.match(said.output, /There is a second router, 192\.168\.7\.1,/);
  assert.match(said.output, /atoll: The router \S+ does not map the port/);
  const french = hub.spawn(process.execPath, [ATOLL, 'portmap', 'list', '--state', state], { LC_ALL: 'fr_FR.UTF-8' });
  assert.equal(await french.ended(), 0, french.output);
  assert.match(french.output, /Il y a un deuxième routeur, 192\.168\.7\.1,/);
  // Step 2 of the advice: the same port by hand on both.
  const rule = `iifname "eth1" udp dport 4222 dnat ip to ${hub.address}`;
  router.exec('nft', `add rule inet filter prerouting ${rule}; insert rule inet filter forward udp dport 4222 accept`);
  router.exec('upnpc', '-u', 'http://192.168.7.1:49000/rootDesc.xml', '-a', '192.168.7.2', '4222', '4222', 'UDP');
  await arrives(outside, WAN, 4222, hub);
});
