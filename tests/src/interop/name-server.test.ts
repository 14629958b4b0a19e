import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { PrivateKey } from '@atoll/identity';
import { AirGap, eventually, type Host, Jamid, LAN_GROUPS, Lan, type ManagedProcess } from '@atoll/testkit';
import { ATOLL } from './atoll.js';
import { FOUND, lookupName, NOT_FOUND, REGISTERED, registerName, TAKEN } from './jami-names.js';

/** A command on a host; its output, or the reason why it failed. */
async function atoll(host: Host, ...args: string[]): Promise<{ code: number | null; output: string }> {
  const process_ = host.spawn(process.execPath, [ATOLL, ...args], { LC_ALL: 'C' });
  const code = await process_.ended(60_000);
  return { code, output: process_.output };
}

async function lookupAddress(jamid: Jamid, address: string): Promise<{ result: unknown; name: unknown }> {
  const seen = jamid.bus.signals.length;
  await jamid.call('lookupAddress', 'sss', [jamid.account, '', address]);
  const isNew = (args: readonly unknown[]): boolean =>
    args[2] === address && jamid.bus.signals.findIndex((signal) => signal.args === args) >= seen;
  const [, result, , name] = await jamid.bus.waitFor('registeredNameFound', isNew);
  return { result, name };
}

async function registeredName(jamid: Jamid): Promise<string | undefined> {
  const details = await jamid.call('getVolatileAccountDetails', 's', [jamid.account]);
  return (Object.fromEntries(details as [string, string][]) as Record<string, string>)['Account.registeredName'];
}

async function readyHub(host: Host, state: string, ...args: string[]): Promise<ManagedProcess> {
  const hub = host.spawn(process.execPath, [ATOLL, 'up', '--state', state, ...args], { LC_ALL: 'C' });
  await hub.waitForOutput(/Name server: +https?:\S+:800[01]/, 30_000);
  return hub;
}

test('real Jami daemons register names at a hub, are refused taken ones, and find each other by name', async () => {
  const state = await mkdtemp(join(tmpdir(), 'atoll-state-'));
  await using lan = await Lan.create({ hosts: 3 });
  const [a, b, h] = [lan.host(0), lan.host(1), lan.host(2)];
  const gap = AirGap.watch(h, [lan.network, ...LAN_GROUPS]);
  try {
    const readyFile = join(state, 'ready.json');
    await using hub = await readyHub(h, join(state, 'hub'), '--ready-file', readyFile);
    const server = `http://${h.address}:8000`;
    await eventually(
      async () => (await readFile(readyFile, 'utf8').catch(() => '')) !== '',
      'the hub wrote no ready file',
    );
    assert.deepEqual(JSON.parse(await readFile(readyFile, 'utf8')).names, {
      url: server,
      urlTls: server.replace('http://', 'https://').replace(':8000', ':8001'),
    });
    const bootstrap = `${h.address}:4222`;
    const settings = { 'RingNS.uri': server };
    await using alice = await Jamid.start(a, { displayName: 'alice', bootstrap, settings });
    await using bob = await Jamid.start(b, { displayName: 'bob', bootstrap, settings });

    assert.equal(await registerName(alice, 'Alice'), REGISTERED);
    assert.equal(await registerName(bob, 'alice'), TAKEN);
    assert.equal(await registerName(bob, 'a1ice'), TAKEN, 'it looks like alice');
    assert.equal(await registerName(bob, 'bob-42'), REGISTERED);
    assert.equal(await registeredName(bob), 'bob-42');

    assert.deepEqual(await lookupName(bob, 'ALICE'), { result: FOUND, address: await alice.uri() });
    assert.deepEqual(await lookupName(bob, 'nobody'), { result: NOT_FOUND, address: '' });
    assert.deepEqual(await lookupAddress(alice, await bob.uri()), { result: FOUND, name: 'bob-42' });
    assert.deepEqual(await lookupAddress(alice, '1'.repeat(40)), { result: NOT_FOUND, name: '' });

    // A contact by name: what an app does with the name that a person typed.
    const { address } = await lookupName(alice, 'bob-42');
    assert.equal(address, await bob.uri());
    const conversation = await alice.becomeContactOf(bob);
    await alice.sendText(conversation, 'found you by name');
    await bob.waitForText('found you by name');

    // The operator’s commands beside the running hub, and other clients.
    const found = await atoll(a, 'names', 'lookup', 'alice', '--server', server, '--json');
    assert.deepEqual(JSON.parse(found.output), { name: 'alice', id: await alice.uri(), signed: true });
    const listed = await atoll(h, 'names', 'list', '--state', join(state, 'hub'));
    assert.equal(listed.output, `${await alice.uri()}  alice\n${await bob.uri()}  bob-42\n`);
    const keyFile = join(state, 'carol.pem');
    const key = await PrivateKey.generateRsa(2048);
    await writeFile(keyFile, key.toPem());
    const taken = await atoll(a, 'names', 'register', 'alice', '--key', keyFile, '--server', server, '--json');
    assert.deepEqual([taken.code, JSON.parse(taken.output).error.code], [1, 'NAMES_TAKEN']);
    assert.equal((await atoll(a, 'names', 'register', 'carol', '--key', keyFile, '--server', server)).code, 0);
    assert.deepEqual(await lookupName(bob, 'carol'), { result: FOUND, address: key.publicKey.id.toString() });
    assert.equal((await atoll(h, 'names', 'delete', 'carol', '--state', join(state, 'hub'))).code, 0);
    const deleted = await atoll(a, 'names', 'lookup', 'carol', '--server', server);
    assert.equal(deleted.code, 1);
    gap.assertQuiet();
    await hub.stop();
  } finally {
    await rm(state, { recursive: true, force: true });
  }
});

test('a name that waits for approval is no success, and found by its daemon once it is approved', async () => {
  const state = await mkdtemp(join(tmpdir(), 'atoll-state-'));
  await using lan = await Lan.create({ hosts: 2 });
  const [a, h] = [lan.host(0), lan.host(1)];
  try {
    const server = `http://${h.address}:8000`;
    await using hub = await readyHub(h, state, '--names-approval', 'true');
    const settings = { 'RingNS.uri': server };
    await using alice = await Jamid.start(a, { displayName: 'alice', bootstrap: `${h.address}:4222`, settings });
    const ERROR = 4;
    assert.equal(await registerName(alice, 'alice'), ERROR);
    assert.deepEqual(await lookupAddress(alice, await alice.uri()), { result: NOT_FOUND, name: '' });
    const waiting = await atoll(h, 'names', 'list', '--waiting', '--state', state, '--json');
    assert.deepEqual([JSON.parse(waiting.output).name, JSON.parse(waiting.output).waiting], ['alice', true]);
    assert.equal((await atoll(h, 'names', 'approve', 'alice', '--state', state)).code, 0);
    assert.deepEqual(await lookupAddress(alice, await alice.uri()), { result: FOUND, name: 'alice' });
    await hub.stop();
  } finally {
    await rm(state, { recursive: true, force: true });
  }
});

test('a server that forwards answers for its upstream, also when the way there is cut', async () => {
  const state = await mkdtemp(join(tmpdir(), 'atoll-state-'));
  await using lan = await Lan.create({ hosts: 3 });
  const [a, near, far] = [lan.host(0), lan.host(1), lan.host(2)];
  try {
    const farUrl = `http://${far.address}:8000`;
    const nearUrl = `http://${near.address}:8000`;
    // Each is the other's upstream, which must not make a question go round for ever.
    const serve = ['names', 'serve', '--host', far.address, '--state', join(state, 'far'), '--upstream', nearUrl];
    await using farServer = far.spawn(process.execPath, [ATOLL, ...serve], { LC_ALL: 'C' });
    await farServer.waitForOutput(/Name server: http:\S+:8000/, 30_000);
    await using _near = await readyHub(near, join(state, 'near'), '--names-upstream', farUrl);
    const keyFile = join(state, 'key.pem');
    const key = await PrivateKey.generateRsa(2048);
    await writeFile(keyFile, key.toPem());
    const otherFile = join(state, 'other.pem');
    await writeFile(otherFile, (await PrivateKey.generateRsa(2048)).toPem());
    assert.equal((await atoll(a, 'names', 'register', 'faraway', '--key', keyFile, '--server', farUrl)).code, 0);

    const settings = { 'RingNS.uri': nearUrl };
    await using alice = await Jamid.start(a, { displayName: 'alice', bootstrap: `${near.address}:4222`, settings });
    const id = key.publicKey.id.toString();
    assert.deepEqual(await lookupName(alice, 'faraway'), { result: FOUND, address: id });
    assert.deepEqual(await lookupName(alice, 'nowhere'), { result: NOT_FOUND, address: '' });
    assert.equal((await atoll(a, 'names', 'lookup', id, '--server', nearUrl)).output, 'faraway\n');
    const doubled = await atoll(a, 'names', 'register', 'faraway', '--key', otherFile, '--server', nearUrl);
    assert.match(doubled.output, /registered at the upstream server/);
    assert.equal(doubled.code, 1);

    lan.cut(far);
    const kept = await atoll(a, 'names', 'lookup', 'faraway', '--server', nearUrl, '--json');
    assert.deepEqual(JSON.parse(kept.output), { name: 'faraway', id, signed: true });
    // What was never asked is not called unknown: nobody knows.
    const ERROR = 3;
    assert.deepEqual(await lookupName(alice, 'unasked'), { result: ERROR, address: '' });
  } finally {
    await rm(state, { recursive: true, force: true });
  }
});

test('a real Jami daemon registers and finds names over HTTPS, when it believes the certificate', async () => {
  const state = await mkdtemp(join(tmpdir(), 'atoll-state-'));
  await using lan = await Lan.create({ hosts: 3 });
  const [a, b, h] = [lan.host(0), lan.host(1), lan.host(2)];
  try {
    const [certificate, privateKey] = [join(state, 'hub.crt'), join(state, 'hub.key')];
    const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', privateKey, '-subj', '/CN=hub'];
    const subject = ['-addext', `subjectAltName=IP:${h.address}`, '-out', certificate, '-days', '2'];
    execFileSync('openssl', ['req', '-x509', ...key, ...subject], { stdio: 'ignore' });
    const secured = ['--certificate', certificate, '--private-key', privateKey];
    await using hub = await readyHub(h, join(state, 'hub'), ...secured);
    const bootstrap = `${h.address}:4222`;
    const settings = { 'RingNS.uri': `https://${h.address}:8001` };
    const env = { CA_ROOT_FILE: certificate };
    await using alice = await Jamid.start(a, { displayName: 'alice', bootstrap, settings, env });
    await using bob = await Jamid.start(b, { displayName: 'bob', bootstrap, settings });
    assert.equal(await registerName(alice, 'alice'), REGISTERED);
    assert.deepEqual(await lookupName(alice, 'alice'), { result: FOUND, address: await alice.uri() });
    const ERROR = 3;
    assert.deepEqual(await lookupName(bob, 'alice'), { result: ERROR, address: '' }, 'not believed');
    await hub.stop();
  } finally {
    await rm(state, { recursive: true, force: true });
  }
});
