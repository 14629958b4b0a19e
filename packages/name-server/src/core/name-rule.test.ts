import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { skeletonOf } from './look-alike.js';
import { toAddress, toName } from './name-rule.js';
import { isBad, readRegistration } from './registration.js';

const UNICODE = { allowsUnicode: true };

test('plain names', () => {
  for (const name of ['abc', 'a_b-1', '-abc', '___', 'a'.repeat(32)]) assert.equal(toName(name), name);
  assert.equal(toName('MyName'), 'myname');
  for (const text of [
    '',
    'ab',
    'a'.repeat(33),
    'a b',
    'a.b.c',
    'élan',
    'abc\n',
    'abc\0',
    'a"bc',
    'ＡＢＣ',
    '５５５',
    'a'.repeat(1e6),
  ]) {
    assert.equal(toName(text), undefined, text.slice(0, 40));
  }
  // What folds into ASCII is no ASCII: the Kelvin sign.
  assert.equal(toName('\u212Aelvin'), undefined);
});

test('names of other scripts, where they are allowed', () => {
  for (const name of ['élan', 'анна', 'ζωή', '山田さん', 'محمد', 'अनिता', '한국어', 'anna-2', 'анна_2', 'straße']) {
    assert.equal(toName(name, UNICODE), name, name);
  }
  assert.equal(toName('É LAN', UNICODE), undefined);
  assert.equal(toName('E\u0301LAN', UNICODE), 'élan', 'composed');
  assert.equal(toName('ＡＢＣ', UNICODE), 'abc', 'wide letters are letters');
  for (const text of [
    'pаypal',
    'annα',
    '\u0301abc',
    'a\u200db',
    'ab\u202e',
    'a😀bc',
    'ab\ud800',
    'é'.repeat(33),
    'яя',
  ]) {
    assert.equal(toName(text, UNICODE), undefined, JSON.stringify(text));
  }
});

test('addresses', () => {
  const address = 'AbCdEf0123456789abcdef0123456789abcdef01';
  for (const prefix of ['', '0x', '0X', 'ring:', 'jami:']) {
    assert.equal(toAddress(prefix + address), address.toLowerCase());
  }
  for (const text of ['', '0x', address.slice(1), `${address}0`, `${address}\n`, `0x0x${address}`, '0'.repeat(40)]) {
    assert.equal(toAddress(text), undefined, text);
  }
});

test('names that look alike have one skeleton, others have not', () => {
  const same = (...names: string[]): void => assert.equal(new Set(names.map(skeletonOf)).size, 1, names.join(' '));
  same('paypal', 'paypa1', 'раураӏ');
  same('mary', 'rnary');
  same('a-b', 'a_b');
  same('google', 'g00gle', 'gооgle');
  for (const [one, other] of [
    ['alice', 'alicia'],
    ['anna', 'hanna'],
    ['bob1', 'bob2'],
    ['a-b', 'ab'],
  ]) {
    assert.notEqual(skeletonOf(one ?? ''), skeletonOf(other ?? ''));
  }
});

test('whatever a stranger sends as a name: the spelling is stable, safe and within bounds', () => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.string({ unit: 'grapheme', maxLength: 40 }),
    fc.string({
      unit: fc.constantFrom('a', 'Z', '0', '-', '_', 'é', 'ß', 'İ', 'ﬀ', 'ſ', 'я', '\u0301', 'ǆ'),
      maxLength: 35,
    }),
  );
  fc.assert(
    fc.property(texts, fc.boolean(), (text, allowsUnicode) => {
      const name = toName(text, { allowsUnicode });
      if (name === undefined) return;
      assert.equal(toName(name, { allowsUnicode }), name);
      assert.equal(toName(text.toUpperCase().toLowerCase() === text ? text : name, { allowsUnicode }), name);
      assert.ok([...name].length >= 3 && [...name].length <= 32);
      assert.equal(JSON.stringify(name), `"${name}"`, 'needs no escaping');
      assert.ok(!/[\s/\\"'<>&%?#@:]/.test(name));
      assert.equal(toAddress(name), undefined, 'is never taken for an address');
      assert.equal(skeletonOf(skeletonOf(name)), skeletonOf(name));
      if (!allowsUnicode) assert.match(name, /^[a-z0-9_-]{3,32}$/);
    }),
    { numRuns: 3000 },
  );
});

test('whatever a stranger sends as a registration: it is refused with a reason', () => {
  const members = fc.record(
    {
      addr: fc.oneof(
        fc.anything(),
        fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 40, maxLength: 40 }),
      ),
      owner: fc.oneof(fc.anything(), fc.string()),
      signature: fc.oneof(fc.anything(), fc.base64String()),
      publickey: fc.oneof(fc.anything(), fc.base64String()),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.string(), fc.oneof(fc.anything(), members), (name, body) => {
      const result = readRegistration(name, body, {});
      assert.ok(isBad(result) && result.reason !== '' && [400, 401].includes(result.status));
    }),
    { numRuns: 2000 },
  );
});
