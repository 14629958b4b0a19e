import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Value } from './value.js';

const plain = Value.plain({ id: 7n, type: 3, data: 'content', userType: 'text/plain', priority: 1, pushType: 'x' });

test('a value that was read shows what the one that was written does', () => {
  const read = Value.decode(plain.packed);
  assert.ok(read !== undefined);
  assert.equal(read.data.toString(), 'content');
  assert.equal(read.isEncrypted, false);
  assert.equal(read.cypher, undefined);
  assert.equal(read.sizeBytes, plain.sizeBytes);
  assert.equal(read.equals(plain), true);
  assert.equal(String(read), String(plain));
  assert.deepEqual(read.packed, plain.packed);
});

test('a value is read from the middle of other bytes, and does not share their memory', () => {
  const { packed } = plain;
  const bytes = Buffer.concat([Buffer.alloc(5, 0xff), packed, Buffer.alloc(3, 0xff)]);
  const read = Value.decode(bytes, 5, 5 + packed.length);
  assert.ok(read !== undefined);
  bytes.fill(0);
  assert.equal(read.data.toString(), 'content');
  assert.deepEqual(read.packed, packed);
});

test('a copy of a value that was read keeps its content', () => {
  const read = Value.decode(plain.packed);
  const copy = read?.withId(9n);
  assert.equal(copy?.id, 9n);
  assert.equal(copy?.data.toString(), 'content');
  assert.equal(Value.decode(copy?.packed ?? Buffer.alloc(0))?.id, 9n);
});

test('sealed content is read as such', () => {
  const sealed = Value.sealed(plain, Buffer.from('cypher'));
  const read = Value.decode(sealed.packed);
  assert.equal(read?.isEncrypted, true);
  assert.equal(read?.cypher?.toString(), 'cypher');
  assert.equal(read?.data.length, 0);
  assert.equal(read?.sizeBytes, 'cypher'.length + 'x'.length);
  assert.equal(read?.equals(sealed), true);
  assert.equal(read?.equals(plain), false);
});

test('other orders and forms of the same value are kept in the canonical form', () => {
  // {"dat": {"body": {"data": "hi" as str, "type": 0}}, "id": 7 as uint32}
  const odd = Buffer.from('82a364617481a4626f647982a464617461a26869a47479706500a26964ce00000007', 'hex');
  const read = Value.decode(odd);
  assert.equal(read?.data.toString(), 'hi');
  assert.deepEqual(read?.packed, Value.plain({ id: 7n, data: 'hi' }).packed);
});
