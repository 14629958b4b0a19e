import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { UsageError } from '@atoll/base';
import { type TurnConfiguration, turnConfiguration } from './configuration.js';
import { DIRECTIVES, turnUsage } from './directives.js';
import { readDirectives } from './read-directives.js';

function configured(...args: string[]): TurnConfiguration {
  return turnConfiguration(readDirectives(['-n', ...args]).given);
}

test('letters are joined and carry their values as getopt has it', () => {
  const { server, log, users } = configured(
    '-vaf',
    '-p3500',
    '-r',
    'ring',
    '--user=a:b:c',
    '-L',
    '127.0.0.1',
    '--no-tls',
    '--no-dtls',
  );
  assert.equal(log.level, 'debug');
  assert.equal(server.behavior.fingerprint, true);
  assert.equal(server.realm, 'ring');
  assert.deepEqual(users, [{ name: 'a', password: 'b:c' }]);
  assert.deepEqual(server.udp, [{ address: '127.0.0.1', port: 3500 }]);
  assert.deepEqual(server.tcp, server.udp);
  assert.deepEqual(server.tls, []);
});

test('a file is read as coturn reads it, and the command line weighs more', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-turn-'));
  try {
    const file = join(folder, 'turnserver.conf');
    const lines = [
      '# comment',
      'realm=file',
      'min-port 50000',
      'max-port = 50010',
      'stale-nonce',
      'mobility',
      'no-cli',
      'denied-peer-ip=10.0.0.0-10.0.0.9',
      'allowed-peer-ip=10.0.0.5',
      'external-ip=198.51.100.1/10.0.0.1',
      'user=x:y',
      'alternate-server=10.0.0.7',
    ];
    writeFileSync(file, lines.join('\r\n'));
    const { given } = readDirectives(['-c', file, '-r', 'line', '--mobility=false']);
    const { server } = turnConfiguration(given);
    assert.equal(server.realm, 'line');
    assert.equal(server.behavior.mobility, false);
    assert.deepEqual([server.minPort, server.maxPort], [50_000, 50_010]);
    assert.equal(server.behavior.nonceMs, 600_000);
    assert.equal(server.deniedPeers.length, 1);
    assert.equal(server.allowedPeers.length, 1);
    assert.equal(server.externalAddresses.get('10.0.0.1'), '198.51.100.1');
    assert.deepEqual(server.behavior.alternateServers?.map(String), ['10.0.0.7:3478']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('two addresses of a family get a second port for NAT behavior discovery, unless it is switched off', () => {
  const two = ['-L', '10.0.0.1', '-L', '10.0.0.2'];
  assert.deepEqual(
    configured(...two).server.udp.map(({ address, port }) => `${address}:${port}`),
    ['10.0.0.1:3478', '10.0.0.2:3478', '10.0.0.1:3479', '10.0.0.2:3479'],
  );
  assert.equal(configured(...two, '--no-rfc5780').server.udp.length, 2);
  assert.equal(configured('-L', '10.0.0.1').server.udp.length, 1);
});

test('every wrong value is an error that names its directive', () => {
  const cases: [string[], RegExp][] = [
    [['-p', 'x'], /^listening-port takes a number from 1 to 65535, not “x”/],
    [['-L', 'host'], /^listening-ip takes an IP address/],
    [['--denied-peer-ip', '10.0.0.9-10.0.0.1'], /^denied-peer-ip takes an address or a range/],
    [['-u', 'nobody'], /^user takes a name and a password/],
    [['--alternate-server', 'host:1'], /^alternate-server takes an address and a port/],
    [['-A', 'ipv5'], /^allocation-default-address-family takes/],
    [['-z', '-a'], /^no-auth contradicts/],
    [['--cert', '/x'], /^cert and pkey belong together/],
    [['--realm'], /^--realm needs a value/],
    [['-9'], /no such option/],
  ];
  for (const [args, sentence] of cases) {
    assert.throws(
      () => configured(...args),
      (error: Error) => error instanceof UsageError && sentence.test(error.message),
      args.join(' '),
    );
  }
});

test('directives that Atoll does not have are gathered, each with what to do', () => {
  const { given } = readDirectives(['-n', '--redis-statsdb', 'x', '--web-admin']);
  assert.deepEqual(
    given.unsupported.map(({ directive }) => directive.name),
    ['redis-statsdb', 'web-admin'],
  );
  const names = DIRECTIVES.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  const letters = DIRECTIVES.flatMap(({ short }) => (short === undefined ? [] : [short]));
  assert.equal(new Set(letters).size, letters.length);
  for (const name of names) assert.ok(turnUsage().includes(`--${name}`), name);
});

test('relay-threads is the number of processes', () => {
  assert.deepEqual(
    ['0', '1', '4'].map((number) => configured('-m', number).workers),
    [1, 1, 4],
  );
  assert.equal(configured().workers, 1);
});
