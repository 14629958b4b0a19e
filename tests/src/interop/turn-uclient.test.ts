import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { type Host, Lan, type ManagedProcess } from '@atoll/testkit';
import { ATOLL, Scratch, startTurn, type UclientResult, uclient } from './turn-server-process.js';

const WHO = ['-u', 'ring', '-w', 'ring'];
const FEW = ['-n', '5', '-m', '4', '-l', '170'];
let lan: Lan;
let server: Host;
let client: Host;
let scratch: Scratch;
let turn: ManagedProcess;

before(async () => {
  lan = await Lan.create({ hosts: 2, ipv6: true });
  [server, client] = [lan.host(0), lan.host(1)];
  scratch = await Scratch.make();
  // A second address of each family: NAT behavior discovery needs two.
  const [a, b, c] = server.address.split('.');
  server.exec('ip', 'addr', 'add', `${a}.${b}.${c}.101/24`, 'dev', 'eth0');
  turn = await startTurn(
    server,
    scratch,
    '-a',
    '-u',
    'ring:ring',
    '-r',
    'ring',
    '--mobility',
    '--no-tls',
    '--no-dtls',
    '-v',
    ...['-L', server.address, '-L', `${a}.${b}.${c}.101`, '-L', server.address6],
  );
});

after(async () => {
  await turn.stop();
  await lan[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

function lossless(result: UclientResult): void {
  assert.equal(result.exitCode, 0, result.output.slice(-2000));
  assert.ok(result.sent > 0, result.output.slice(-2000));
  assert.equal(result.received, result.sent, result.output.slice(-2000));
}

const MODES: readonly (readonly [string, readonly string[]])[] = [
  ['channels over UDP', ['-y']],
  ['channels over TCP', ['-t', '-y']],
  ['Send indications over UDP', ['-s', '-y']],
  ['Send indications over TCP', ['-t', '-s', '-y']],
  ['without RTCP', ['-y', '-c']],
  ['padding of channels', ['-D', '-y']],
  ['DONT-FRAGMENT', ['-g', '-y']],
  ['an IPv4 relay asked for', ['-X', '-y']],
  ['an IPv6 relay', ['-x', '-y']],
  ['both families', ['-Z', '-y']],
  ['mobility', ['-M', '-y']],
  ['further requests', ['-G', '-y']],
  ['random disconnects', ['-B', '-y']],
  ['wrong requests', ['-N', '-y']],
  ['TCP relay', ['-T']],
  ['large messages', ['-y', '-l', '1400']],
];

// A client waits for its own timers more than it works.
describe('turnutils_uclient', { concurrency: 4 }, () => {
  test('with peers that connect to the relays themselves (-P)', async () => {
    // Half of its messages go nowhere with coturn as well: only one side of each pair connects.
    const result = await uclient(client, ...WHO, ...FEW, '-P', '-L', client.address, server.address);
    assert.equal(result.exitCode, 0, result.output.slice(-2000));
    assert.ok(result.received >= result.sent / 2 && result.received > 0, result.output.slice(-2000));
  });

  for (const [what, args] of MODES) {
    test(`loses nothing: ${what}`, async () => {
      lossless(await uclient(client, ...WHO, ...FEW, ...args, server.address));
    });
  }

  for (const [what, family] of [
    ['IPv6', '-x'],
    ['IPv4', '-X'],
  ] as const) {
    test(`over IPv6, relaying ${what}`, async () => {
      lossless(await uclient(client, ...WHO, ...FEW, family, '-y', server.address6));
    });
  }
});

test('five hundred clients at once lose nothing', async () => {
  lossless(await uclient(client, ...WHO, '-y', '-c', '-n', '5', '-m', '500', '-z', '100', server.address));
});

test('abusive clients (-R, -O) harm nobody', async () => {
  // -O connects and goes away again for as long as it is let; -R spoils its requests and may wait for ever for an answer.
  const flood = client.spawn('turnutils_uclient', [...WHO, ...FEW, '-O', '-y', server.address]);
  const spoiling = client.spawn('turnutils_uclient', [...WHO, ...FEW, '-R', '-y', server.address]);
  lossless(await uclient(client, ...WHO, ...FEW, '-y', '-c', server.address));
  await spoiling.kill();
  await flood.kill();
  lossless(await uclient(client, ...WHO, ...FEW, '-y', server.address));
});

test('a wrong password is refused', async () => {
  const result = await uclient(client, '-u', 'ring', '-w', 'wrong', '-n', '1', '-y', server.address);
  assert.equal(result.received, 0);
  assert.match(result.output, /401|Unauthorized|Cannot complete Allocation/);
});

test('turnutils_stunclient and turnutils_natdiscovery find that there is no NAT', async () => {
  const stun = client.spawn('turnutils_stunclient', [server.address]);
  assert.equal(await stun.ended(), 0);
  assert.match(stun.output, new RegExp(`UDP reflexive addr: ${client.address}:`));
  for (const what of ['-m', '-f']) {
    const discovery = client.spawn('turnutils_natdiscovery', [what, '-P', '-L', client.address, server.address]);
    assert.equal(await discovery.ended(60_000), 0, discovery.output);
    assert.match(discovery.output, /No NAT detected|Endpoint Independent/, discovery.output);
  }
});

test('OAuth, shared secrets and a turndb that the real turnadmin made', async () => {
  const db = scratch.file('turndb');
  const real = (...args: string[]): void => void execFileSync('turnadmin', [...args, '-b', db], { stdio: 'ignore' });
  real('-a', '-u', 'alice', '-p', 'wonder', '-r', 'ring');
  real('-s', 'geheim', '-r', 'ring');
  execFileSync(process.execPath, [ATOLL, 'turnadmin', '-a', '-u', 'bob', '-p', 'builder', '-r', 'ring', '-b', db]);
  assert.match(
    execFileSync(process.execPath, [ATOLL, 'turnadmin', '-l', '-b', db], { encoding: 'utf8' }),
    /alice\[ring\]/,
  );
  assert.match(execFileSync('turnadmin', ['-l', '-b', db], { encoding: 'utf8' }), /bob\[ring\]/);
  const { TurnDatabase } = await import('@atoll/turn');
  const store = TurnDatabase.openFile(db);
  // The keys that turnutils_uclient has built in.
  for (const [kid, ikm_key, as_rs_alg] of [
    ['north', 'MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEK', 'A256GCM'],
    ['union', 'MTIzNDU2Nzg5MDEyMzQ1Ngo=', 'A128GCM'],
    ['oldempire', 'MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIK', 'A256GCM'],
  ] as const) {
    store.setOauthKey({ kid, ikm_key, as_rs_alg, timestamp: 0, lifetime: 0, realm: null });
  }
  store.close();
  const more = ['-r', 'ring', '--no-tls', '--no-dtls', '-b', db, '-L', server.address];
  {
    await using _second = await startTurn(
      server,
      scratch,
      ...more,
      '-p',
      '3500',
      '-a',
      '--oauth',
      '--server-name',
      'blackdow.carleon.gov',
    );
    const at = ['-p', '3500', ...FEW, '-y', server.address];
    // Added while the server runs.
    real('-a', '-u', 'carol', '-p', 'late', '-r', 'ring');
    const credentials = [
      ['-u', 'alice', '-w', 'wonder'],
      ['-u', 'bob', '-w', 'builder'],
      ['-u', 'carol', '-w', 'late'],
      ['-J'],
    ];
    await Promise.all(credentials.map(async (who) => lossless(await uclient(client, ...who, ...at))));
  }
  await using _third = await startTurn(
    server,
    scratch,
    ...more,
    '-p',
    '3600',
    '--use-auth-secret',
    '--static-auth-secret',
    'other',
  );
  const bySecret = async (secret: string): Promise<void> =>
    lossless(await uclient(client, '-u', 'dave', '-W', secret, '-p', '3600', ...FEW, '-y', server.address));
  await Promise.all(['geheim', 'other'].map(bySecret));
  const wrong = await uclient(client, '-u', 'dave', '-W', 'guess', '-p', '3600', '-n', '1', '-y', server.address);
  assert.equal(wrong.received, 0);
});
