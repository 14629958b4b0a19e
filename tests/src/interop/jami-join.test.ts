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

let lan: Lan;
let scratch: Scratch;
let hub: ManagedProcess;
let join: Join;

before(async () => {
  lan = await Lan.create({ hosts: 3 });
  scratch = await Scratch.make();
  const host = lan.host(2);
  const ofHub = ['--state', scratch.file('state')];
  hub = host.spawn(process.execPath, [ATOLL, 'up', ...ofHub], { LC_ALL: 'C' });
  await hub.waitForOutput(/TURN server: +\S+:3478/, 60_000);
  host.exec('nft', CLOSED);
  assert.throws(() => lan.host(0).exec('curl', '--max-time', '1', `http://${host.address}:8000/health`), 'closed');
  host.exec(process.execPath, ATOLL, 'firewall', ...ofHub, '--format', 'nftables', '--apply');
  join = JSON.parse(host.exec(process.execPath, ATOLL, 'join', ...ofHub, '--json')) as Join;
});

after(async () => {
  await hub.stop();
  await lan[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

/** A daemon with an account that was told what the hub's page tells, and nothing else. */
function joined(host: Host, displayName: string, settings: Readonly<Record<string, string>> = {}): Promise<Jamid> {
  const { bootstrap, nameServer, turn } = join;
  return Jamid.start(host, {
    displayName,
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

/** Two people take names, find each other by them, become contacts and talk. */
async function meet(alice: Jamid, bob: Jamid, names: readonly [string, string]): Promise<void> {
  const [aliceName, bobName] = names;
  assert.equal(await registerName(alice, aliceName), REGISTERED);
  assert.equal(await registerName(bob, bobName), REGISTERED);
  assert.deepEqual(await lookupName(bob, aliceName), { result: FOUND, address: await alice.uri() });
  assert.deepEqual(await lookupName(alice, bobName), { result: FOUND, address: await bob.uri() });
  await eventually(() => knowsTurnServer(alice) && knowsTurnServer(bob), 'a daemon did not try the TURN server');
  const conversation = await alice.becomeContactOf(bob);
  await alice.sendText(conversation, 'hello');
  await bob.waitForText('hello', 120_000);
  await bob.sendText(conversation, 'hello yourself');
  await alice.waitForText('hello yourself', 120_000);
}

test('two Jami apps that were told what the page says meet through a hub behind a firewall', async () => {
  await using alice = await joined(lan.host(0), 'alice');
  await using bob = await joined(lan.host(1), 'bob');
  await meet(alice, bob, ['alice', 'bob']);
});

test('they meet when the proxy is the only way of one to the network', async () => {
  const host = lan.host(0);
  const [address, port] = join.bootstrap.split(':') as [string, string];
  host.exec('nft', 'table ip wall { chain output { type filter hook output priority 0; } }');
  host.exec('nft', `add rule ip wall output ip daddr ${address} udp dport ${port} drop`);
  await using alice = await joined(host, 'alice', {
    'Account.proxyEnabled': 'true',
    'Account.proxyServer': join.proxy,
    'Account.dhtProxyListUrl': '',
  });
  await using bob = await joined(lan.host(1), 'bob');
  await meet(alice, bob, ['alice-on-a-phone', 'bob-at-home']);
  host.exec('nft', 'delete', 'table', 'ip', 'wall');
});

test('they meet through the TURN server when nothing passes between them', async () => {
  const [a, b] = [lan.host(0), lan.host(1)];
  lan.separate(a, b);
  assert.throws(() => a.exec('ping', '-c', '1', '-W', '1', b.address), 'the wall stands');
  await using alice = await joined(a, 'alice');
  await using bob = await joined(b, 'bob');
  await meet(alice, bob, ['alice-far-away', 'bob-far-away']);
});
