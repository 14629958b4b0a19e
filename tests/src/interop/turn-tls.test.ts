import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { eventually, type Host, Lan } from '@atoll/testkit';
import { ATOLL, Scratch, startTurn, type UclientResult, uclient } from './turn-server-process.js';

const OPERATORS_FILE = `# listening-port=3478
no-udp
no-tcp
tls-listening-port=5349
min-port=63100
max-port=63200
fingerprint
lt-cred-mech
realm=quantumman
syslog
no-cli
`;

function certificate(scratch: Scratch, name: string, days: number, ...kind: string[]): [string, string] {
  const [cert, key] = [scratch.file(`${name}.crt`), scratch.file(`${name}.key`)];
  const options = [
    'req',
    '-x509',
    '-nodes',
    '-subj',
    `/CN=${name}`,
    '-days',
    String(days),
    '-keyout',
    key,
    '-out',
    cert,
  ];
  execFileSync('openssl', [...options, ...kind], { stdio: 'ignore' });
  return [cert, key];
}

/**
 * Sessions went on to their end. The client reads one TLS record for each wake-up: of several that arrive at once the
 * others stay in its buffer, with any server, and at the end it calls them lost. Over UDP, TCP and DTLS nothing may be.
 */
function came(result: UclientResult): void {
  assert.equal(result.exitCode, 0, result.output);
  assert.ok(result.sent > 0 && result.received >= 0.75 * result.sent, result.output);
}

/** The name in the certificate that a handshake shows. */
async function shownName(host: Host, address: string): Promise<string> {
  const client = host.spawn('openssl', ['s_client', '-connect', `${address}:5349`]);
  client.writeLine('Q');
  const [, name = ''] = await client.waitForOutput(/subject=CN = (\S+)/);
  await client.stop();
  return name;
}

test("the operator's own configuration works as it stands, with its user from turnadmin", async () => {
  await using lan = await Lan.create({ hosts: 2 });
  const [server, client] = [lan.host(0), lan.host(1)];
  using scratch = await Scratch.make();
  const file = scratch.file('turnserver.conf');
  const db = scratch.file('turndb');
  writeFileSync(file, OPERATORS_FILE);
  execFileSync(process.execPath, [
    ATOLL,
    'turnadmin',
    '-a',
    '-u',
    'alice',
    '-p',
    'wonder',
    '-r',
    'quantumman',
    '-b',
    db,
  ]);
  const env = { LC_ALL: 'C', XDG_STATE_HOME: scratch.path };
  const args = [ATOLL, 'turn', '-c', file, '-b', db];
  const check = server.spawn(process.execPath, [...args, '--check'], env);
  assert.equal(await check.ended(), 0, check.output);
  assert.match(check.output, /is sound: realm quantumman, relay ports 63100 to 63200/);
  assert.doesNotMatch(check.output, /UDP|TCP/);
  assert.match(check.output, /DTLS/);
  const pidFile = scratch.file('pid');
  await using _turn = server.spawn(process.execPath, [...args, '--pidfile', pidFile], env);
  const ready = async (): Promise<boolean> => {
    const listening = server.exec('ss', '-ltn');
    return listening.includes(`${server.address}:5349`) && !listening.includes(':3478');
  };
  await eventually(ready, 'the TLS listener did not come up');
  const result = await uclient(
    client,
    '-t',
    '-S',
    '-u',
    'alice',
    '-w',
    'wonder',
    '-y',
    '-n',
    '5',
    '-m',
    '4',
    server.address,
  );
  came(result);
  const dtls = await uclient(client, '-S', '-u', 'alice', '-w', 'wonder', '-y', '-n', '5', '-m', '4', server.address);
  assert.ok(dtls.sent > 0 && dtls.received === dtls.sent, dtls.output);
});

test('OpenSSL and GnuTLS shake hands, the certificate is changed while clients talk, and a bad one is not taken', async () => {
  await using lan = await Lan.create({ hosts: 2 });
  const [server, client] = [lan.host(0), lan.host(1)];
  using scratch = await Scratch.make();
  const [cert, key] = certificate(scratch, 'first', 30, '-newkey', 'rsa:2048');
  const tls = ['-a', '-u', 'ring:ring', '-r', 'ring', '--cert', cert, '--pkey', key];
  await using turn = await startTurn(server, scratch, ...tls);
  assert.equal(await shownName(client, server.address), 'first');
  // As with coturn, the plain port takes TLS too.
  const onPlainPort = uclient(
    client,
    '-t',
    '-S',
    '-u',
    'ring',
    '-w',
    'ring',
    '-y',
    '-p',
    '3478',
    '-n',
    '5',
    server.address,
  );
  const gnutls = client.spawn('gnutls-cli', ['--insecure', '-p', '5349', server.address]);
  await gnutls.waitForOutput(/Handshake was completed/);
  await gnutls.stop();
  const talk = uclient(
    client,
    '-t',
    '-S',
    '-u',
    'ring',
    '-w',
    'ring',
    '-y',
    '-n',
    '100',
    '-m',
    '4',
    '-z',
    '50',
    server.address,
  );
  const [second, secondKey] = certificate(
    scratch,
    'second',
    30,
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-384',
  );
  execFileSync('cp', [secondKey, key]);
  execFileSync('cp', [second, cert]);
  process.kill(turn.pid, 'SIGHUP');
  await turn.waitForOutput(/The certificate was read again/);
  assert.equal(await shownName(client, server.address), 'second');
  writeFileSync(cert, 'damaged');
  process.kill(turn.pid, 'SIGHUP');
  await turn.waitForOutput(/The old certificate stays in use: .*first\.crt is no PEM certificate/);
  assert.equal(await shownName(client, server.address), 'second');
  came(await onPlainPort);
  const result = await talk;
  assert.ok(result.sent >= 400, result.output);
  came(result);
});

test('half a configuration does not start: each time a sentence that names what is wrong', async () => {
  await using lan = await Lan.create({ hosts: 1 });
  const server = lan.host(0);
  using scratch = await Scratch.make();
  const [cert, key] = certificate(scratch, 'good', 30, '-newkey', 'rsa:2048');
  const [, otherKey] = certificate(scratch, 'other', 30, '-newkey', 'rsa:2048');
  const noDatabase = scratch.file('no-database');
  writeFileSync(noDatabase, 'this is no database at all, however long it is looked at'.repeat(20));
  const old = scratch.file('old.crt');
  execFileSync('openssl', ['x509', '-in', cert, '-signkey', key, '-days', '-1', '-out', old], { stdio: 'ignore' });
  const locked = scratch.file('locked.conf');
  writeFileSync(locked, 'realm=x\nunknown-thing\n');
  chmodSync(locked, 0o644);
  const cases: [string[], number, RegExp][] = [
    [
      ['-n', '--cert', scratch.file('none'), '--pkey', key, '-u', 'a:b'],
      1,
      /The certificate \S+none cannot be read by root: ENOENT/,
    ],
    [
      ['-n', '--cert', cert, '--pkey', otherKey, '-u', 'a:b'],
      1,
      /private key \S+other\.key cannot be used with the certificate \S+good\.crt/,
    ],
    [['-n', '--cert', old, '--pkey', key, '-u', 'a:b'], 1, /certificate \S+old\.crt expired on/],
    [
      ['-n', '--no-tls', '--no-dtls', '-b', noDatabase],
      1,
      /The database \S+no-database cannot be used by root \(its mode is 0\d+\)/,
    ],
    [
      ['-n', '--no-tls', '--no-dtls', '-u', 'a:b', '-L', '192.0.2.77'],
      1,
      /UDP port 3478 on 192\.0\.2\.77 \(IPv4\): this machine has no such address/,
    ],
    [
      ['-n', '--no-tls', '--no-dtls', '-u', 'a:b', '--redis-userdb', 'x'],
      2,
      /Atoll does not have redis-userdb: Atoll keeps users in SQLite/,
    ],
    [['-n', '--no-tls', '--no-dtls', '--no-such-thing'], 2, /--no-such-thing: there is no such option/],
    [['-c', locked], 2, /locked\.conf, line 2: there is no directive “unknown-thing”/],
    [['-n', '--no-tls', '--no-dtls', '--no-udp', '--no-tcp', '-u', 'a:b'], 2, /there is nothing to serve/],
    [['-n', '--min-port', '9', '--max-port', '8'], 2, /max-port 8 is below min-port 9/],
  ];
  for (const [args, code, sentence] of cases) {
    const turn = server.spawn(process.execPath, [ATOLL, 'turn', ...args], {
      LC_ALL: 'C',
      XDG_STATE_HOME: scratch.path,
    });
    assert.equal(await turn.ended(), code, `${args.join(' ')}: ${turn.output}`);
    assert.match(turn.output, sentence);
  }
  {
    await using _first = await startTurn(server, scratch, '--no-tls', '--no-dtls', '-u', 'a:b');
    const second = server.spawn(process.execPath, [ATOLL, 'turn', '-n', '--no-tls', '--no-dtls', '-u', 'a:b'], {
      LC_ALL: 'C',
    });
    assert.equal(await second.ended(), 1);
    assert.match(second.output, /UDP port 3478 on \S+ \(IPv4\) is in use by another program/);
  }
  const ignoring = server.spawn(process.execPath, [
    ATOLL,
    'turn',
    '-n',
    '--check',
    '--no-tls',
    '-u',
    'a:b',
    '--web-admin',
    '--ignore-unsupported',
  ]);
  assert.equal(await ignoring.ended(), 0, ignoring.output);
  assert.match(ignoring.output, /Atoll does not have web-admin/);
});

test('a slow client and half-open handshakes hold nobody up', async () => {
  await using lan = await Lan.create({ hosts: 2 });
  const [server, client] = [lan.host(0), lan.host(1)];
  using scratch = await Scratch.make();
  await using _turn = await startTurn(server, scratch, '-a', '-u', 'ring:ring', '-r', 'ring');
  // Three hundred connections to each port that say half a word.
  const script = `import socket
held = []
for n in range(300):
  for port, word in ((3478, b'\\x00\\x03\\x00'), (5349, b'\\x16\\x03\\x01')):
    s = socket.create_connection(('${server.address}', port)); s.send(word); held.append(s)
print('held', flush=True)
input()
`;
  await using holding = client.spawn('python3', ['-c', script]);
  await holding.waitForOutput(/held/);
  for (const how of [['-t'], ['-t', '-S'], []]) {
    const result = await uclient(
      client,
      ...how,
      '-u',
      'ring',
      '-w',
      'ring',
      '-y',
      '-n',
      '5',
      '-m',
      '4',
      server.address,
    );
    came(result);
  }
});
