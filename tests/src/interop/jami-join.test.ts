import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, type Host, Jamid, Lan, type ManagedProcess } from '@atoll/testkit';
import { FOUND, lookupName, REGISTERED, registerName } from './jami-names.js';
import { ATOLL, Scratch } from './turn-server-process.js';

/** What `atoll join --json` prints, as far as it is entered in an app. */
interface Join {
  readonly bootstrap: string;
  readonly proxy: string;
  readonly nameServer: string;
  readonly turn: { readonly server: string; readonly user: string; readonly password: string; readonly realm: string };
}

/** A machine on which nothing comes in but answers. */
const CLOSED = `table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    ct state established,related accept
  }
}
`;

/** Who is on which host of the LAN; everybody meets Bob. */
const PEOPLE = ['bob', 'neighbor', 'phone', 'stranger'] as const;
type Person = (typeof PEOPLE)[number];

let lan: Lan;
let scratch: Scratch;
let hub: ManagedProcess;
let join: Join;
const daemons = new Map<Person, Jamid>();

before(async () => {
  lan = await Lan.create({ hosts: PEOPLE.length + 1 });
  scratch = await Scratch.make();
  const host = lan.host(PEOPLE.length);
  const ofHub = ['--state', scratch.file('state')];
  hub = host.spawn(process.execPath, [ATOLL, 'up', ...ofHub], { LC_ALL: 'C' });
  await hub.waitForOutput(/TURN server: +\S+:3478/, 60_000);
  host.exec('nft', CLOSED);
  assert.throws(() => hostOf('bob').exec('curl', '--max-time', '1', `http://${host.address}:8000/health`), 'closed');
  host.exec(process.execPath, ATOLL, 'firewall', ...ofHub, '--format', 'nftables', '--apply');
  join = JSON.parse(host.exec(process.execPath, ATOLL, 'join', ...ofHub, '--json')) as Join;

  const [address, port] = join.bootstrap.split(':') as [string, string];
  const wall = 'table ip wall { chain output { type filter hook output priority 0; }; }';
  hostOf('phone').exec('nft', wall);
  hostOf('phone').exec('nft', `add rule ip wall output ip daddr ${address} udp dport ${port} drop`);
  lan.separate(hostOf('bob'), hostOf('stranger'));
  const withProxy = {
    'Account.proxyEnabled': 'true',
    'Account.proxyServer': join.proxy,
    'Account.dhtProxyListUrl': '',
  };
  // At the same time, for they make keys; and all until the end, for nodes that are gone are waited for.
  const started = await Promise.allSettled(
    PEOPLE.map(async (person) => daemons.set(person, await joined(person, person === 'phone' ? withProxy : {}))),
  );
  for (const result of started) if (result.status === 'rejected') throw result.reason;
});

after(async () => {
  for (const daemon of daemons.values()) await daemon[Symbol.asyncDispose]();
  await hub.stop();
  await lan[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

function hostOf(person: Person): Host {
  return lan.host(PEOPLE.indexOf(person));
}

/** A daemon with an account that was told what the hub's page tells, and nothing else. */
function joined(person: Person, settings: Readonly<Record<string, string>>): Promise<Jamid> {
  const { bootstrap, nameServer, turn } = join;
  return Jamid.start(hostOf(person), {
    displayName: person,
    bootstrap,
    settings: {
      'RingNS.uri': nameServer,
      'TURN.enable': 'true',
      'TURN.server': turn.server,
      'TURN.username': turn.user,
      'TURN.password': turn.password,
      'TURN.realm': turn.realm,
      ...settings,
    },
  });
}

/** The daemon offers a relay only once it has tried the server, which it does anew whenever its connectivity changes. */
function knowsTurnServer(daemon: Jamid): boolean {
  const count = (pattern: RegExp): number => [...daemon.log.matchAll(pattern)].length;
  const tried = count(/Cache refreshed for TURN resolution/g);
  return tried > 0 && tried >= count(/Refresh cache for TURN server resolution/g);
}

/** Somebody takes a name, is found by it and finds Bob, becomes his contact and talks with him. */
async function meetsBob(person: Person): Promise<void> {
  const [other, bob] = [daemons.get(person), daemons.get('bob')];
  assert.ok(other !== undefined && bob !== undefined);
  assert.equal(await registerName(other, person), REGISTERED);
  assert.deepEqual(await lookupName(bob, person), { result: FOUND, address: await other.uri() });
  assert.deepEqual(await lookupName(other, 'bob'), { result: FOUND, address: await bob.uri() });
  await eventually(() => knowsTurnServer(other) && knowsTurnServer(bob), 'a daemon did not try the TURN server');
  const conversation = await other.becomeContactOf(bob);
  await other.sendText(conversation, `${person} says hello`);
  await bob.waitForText(`${person} says hello`, 120_000);
  await bob.sendText(conversation, `hello ${person}`);
  await other.waitForText(`hello ${person}`, 120_000);
}

test('Jami apps that were told what the page says take names at a hub behind a firewall, and meet', async () => {
  const bob = daemons.get('bob');
  assert.ok(bob !== undefined);
  assert.equal(await registerName(bob, 'bob'), REGISTERED);
  await meetsBob('neighbor');
});

test('they meet when the proxy is the only way of one to the network', () => meetsBob('phone'));

test('they meet through the TURN server when nothing passes between them', async () => {
  assert.throws(() => hostOf('bob').exec('ping', '-c', '1', '-W', '1', hostOf('stranger').address), 'the wall stands');
  await meetsBob('stranger');
});
