import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { eventually, type Host, Jamid, Lan } from '@atoll/testkit';
import { ATOLL, Scratch } from './turn-server-process.js';

/** Nothing passes between this host and the other one. */
function separate(host: Host, other: Host): void {
  host.exec('nft', 'add', 'table', 'ip', 'wall');
  for (const [chain, direction] of [
    ['input', 'saddr'],
    ['output', 'daddr'],
  ] as const) {
    host.exec('nft', 'add', 'chain', 'ip', 'wall', chain, `{ type filter hook ${chain} priority 0 ; }`);
    host.exec('nft', 'add', 'rule', 'ip', 'wall', chain, 'ip', direction, other.address, 'counter', 'drop');
  }
}

/** The daemon offers a relay only once it has tried the server, which it does anew whenever its connectivity changes. */
function knowsServer(daemon: Jamid): boolean {
  const count = (pattern: RegExp): number => [...daemon.log.matchAll(pattern)].length;
  const tried = count(/Cache refreshed for TURN resolution/g);
  return tried > 0 && tried >= count(/Refresh cache for TURN server resolution/g);
}

test('two real Jami daemons that cannot reach each other talk through the TURN server of a hub', async () => {
  await using lan = await Lan.create({ hosts: 3 });
  const [a, b, h] = [lan.host(0), lan.host(1), lan.host(2)];
  using scratch = await Scratch.make();
  separate(a, b);
  separate(b, a);
  assert.throws(() => a.exec('ping', '-c', '1', '-W', '1', b.address), 'the wall stands');
  const readyFile = scratch.file('ready.json');
  const args = [ATOLL, 'up', '--state', scratch.file('state'), '--ready-file', readyFile];
  await using hub = h.spawn(process.execPath, args, { LC_ALL: 'C' });
  await hub.waitForOutput(/TURN server: +\S+:3478/, 60_000);
  const ready = JSON.parse(readFileSync(readyFile, 'utf8')) as {
    dht: { bootstrap: string };
    turn: { host: string; port: number; user: string; password: string; realm: string };
  };
  const { host, port, user, password, realm } = ready.turn;
  assert.equal(host, h.address);
  const bootstrap = ready.dht.bootstrap;
  // What the Jami apps write into the account's settings.
  const settings = {
    'TURN.enable': 'true',
    'TURN.server': `${host}:${port}`,
    'TURN.username': user,
    'TURN.password': password,
    'TURN.realm': realm,
  };
  await using alice = await Jamid.start(a, { displayName: 'alice', bootstrap, settings });
  await using bob = await Jamid.start(b, { displayName: 'bob', bootstrap, settings });
  await eventually(() => knowsServer(alice) && knowsServer(bob), 'a daemon did not try the TURN server');
  const conversation = await alice.becomeContactOf(bob);
  await alice.sendText(conversation, 'through the wall');
  await bob.waitForText('through the wall', 120_000);
  await bob.sendText(conversation, 'and back');
  await alice.waitForText('and back', 120_000);
});
