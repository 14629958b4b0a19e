import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '@atoll/base';
import { parseDhtnodeOptions } from './options.js';

test('every option is taken by its short and its long name', () => {
  const short = '-p 4222 -n 0x10 -b first -b =second:1 -i -I id -v -l log -L -d -s -D -U -P -f state -O'.split(' ');
  const long = (
    '--port=4222 --net 16 --bootstrap second:1 --identity --save-identity id --verbose --logfile log --syslog ' +
    '--daemonize --service --peer-discovery --no-rate-limit --public-stable --persist state'
  ).split(' ');
  const options = parseDhtnodeOptions(short);
  assert.deepEqual(parseDhtnodeOptions(long), options);
  assert.equal(options.bootstrap, 'second:1', 'the last one counts');
  assert.equal(options.network, 16);
  const loaded = parseDhtnodeOptions('-c a.crt -k a.pem -m secret'.split(' '));
  assert.deepEqual(
    loaded,
    parseDhtnodeOptions('--certificate a.crt --privkey a.pem --privkey-password secret'.split(' ')),
  );
});

test('network ids are read as dhtnode reads them', () => {
  for (const [text, id] of [
    ['7', 7],
    ['0x07', 7],
    ['010', 8],
    ['0', 0],
    ['4294967295', 0xffff_ffff],
  ] as const) {
    assert.equal(parseDhtnodeOptions(['-n', text]).network, id, text);
  }
});

test('a wrong option is a usage error of one line', () => {
  for (const args of [
    '-p 65536',
    '-p x',
    '-n 4294967296',
    '-c only.crt',
    '--unknown',
    'word',
    '-e 443',
    '-w only.crt',
    '-S 70000',
    '-p',
  ]) {
    assert.throws(
      () => parseDhtnodeOptions(args.split(' ')),
      (error: unknown) => error instanceof UsageError && !error.message.includes('\n'),
      args,
    );
  }
});
