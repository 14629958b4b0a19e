import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Value } from '@atoll/dht';
import fc from 'fast-check';
import { LineSplitter } from './line-splitter.js';
import { decodeValueJson, encodeValueJson, parseJson } from './value-json.js';

const recorded = JSON.parse(readFileSync(new URL('../../vectors/values.json', import.meta.url), 'utf8'));

function decoded(json: unknown): Value {
  const result = decodeValueJson(json);
  assert.ok(typeof result !== 'string', String(result));
  return result.value;
}

test('a signed value of a real account is read, verifies, and is written the same', () => {
  const value = decoded(recorded.signed.json);
  assert.ok(value.verify());
  const { permanent: _permanent, ...members } = recorded.signed.json;
  const written = JSON.parse(encodeValueJson(value));
  assert.deepEqual(written, { ...members, owner: members.owner.replaceAll('\0', '').trimEnd().concat('\n') });
  assert.deepEqual(Object.keys(written), Object.keys(written).sort());
});

test('ids of 64 bits keep their digits as numbers and as text', () => {
  for (const text of [
    '{"id":18446744073709551615}',
    '{"id":"18446744073709551615"}',
    '{ "id" : 18446744073709551615 }',
  ]) {
    assert.equal(decoded(parseJson(text)).id, 0xffff_ffff_ffff_ffffn);
  }
  assert.equal(decoded(parseJson('{"id":"18446744073709551616"}')).id, 0n);
  assert.equal(decoded(parseJson('{"id":true}')).id, 0n);
});

test('what is no value is refused with a reason, never thrown at the reader', () => {
  for (const bad of [
    [],
    null,
    'x',
    { type: 'a' },
    { seq: '1' },
    { data: 'SGVsbG8' },
    { owner: 'no key' },
    { type: 65_536 },
  ]) {
    assert.equal(typeof decodeValueJson(bad), 'string', JSON.stringify(bad));
  }
  fc.assert(
    fc.property(fc.json(), (text) => {
      decodeValueJson(parseJson(text));
    }),
  );
});

test('any plain value comes back from its JSON', () => {
  const fields = fc.record({
    id: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
    type: fc.nat(0xffff),
    data: fc.uint8Array(),
    userType: fc.string(),
    priority: fc.nat(10),
    pushType: fc.string(),
  });
  fc.assert(
    fc.property(fields, (given) => {
      const value = Value.plain(given);
      assert.ok(decoded(parseJson(encodeValueJson(value))).packed.equals(value.packed));
    }),
  );
});

test('lines are cut wherever chunks end; signs of life and blank lines are none', () => {
  const splitter = new LineSplitter(20);
  const push = (text: string): string[] | undefined => splitter.push(Buffer.from(text));
  assert.deepEqual(push('{"a":1}\n{"b"'), ['{"a":1}']);
  assert.deepEqual(push(':2}\n\n \n'), ['{"b":2}']);
  for (let beat = 0; beat < 100; beat++) assert.deepEqual(push(' '), []);
  assert.deepEqual(push('{"c":3}\n'), ['{"c":3}']);
  assert.equal(push('x'.repeat(21)), undefined);
});
