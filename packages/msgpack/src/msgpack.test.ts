import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeTree, Extension, encodeTree, Float, keyCode, Reader, type Tree, Writer } from './index.js';

const hex = (write: (writer: Writer) => void): string => {
  const writer = new Writer(4);
  write(writer);
  return writer.take().toString('hex');
};

test('every family takes its shortest form at the borders', () => {
  const uints: [number, string][] = [
    [0, '00'],
    [127, '7f'],
    [128, 'cc80'],
    [255, 'ccff'],
    [256, 'cd0100'],
    [65535, 'cdffff'],
    [65536, 'ce00010000'],
    [4294967295, 'ceffffffff'],
    [4294967296, 'cf0000000100000000'],
    [Number.MAX_SAFE_INTEGER, 'cf001fffffffffffff'],
  ];
  for (const [value, expected] of uints) {
    assert.equal(
      hex((w) => w.uint(value)),
      expected,
    );
    assert.equal(
      hex((w) => w.u64(BigInt(value))),
      expected,
    );
  }
  assert.equal(
    hex((w) => w.u64(0xffff_ffff_ffff_ffffn)),
    'cfffffffffffffffff',
  );
  const ints: [number, string][] = [
    [-1, 'ff'],
    [-32, 'e0'],
    [-33, 'd0df'],
    [-128, 'd080'],
    [-129, 'd1ff7f'],
    [-32768, 'd18000'],
    [-32769, 'd2ffff7fff'],
    [-2147483649, 'd3ffffffff7fffffff'],
  ];
  for (const [value, expected] of ints) {
    assert.equal(
      hex((w) => w.int(value)),
      expected,
    );
    assert.equal(new Reader(Buffer.from(expected, 'hex')).int(), value);
  }
  assert.equal(hex((w) => w.str('a'.repeat(32))).slice(0, 4), 'd920');
  assert.equal(hex((w) => w.bin(Buffer.alloc(256))).slice(0, 6), 'c50100');
  assert.equal(
    hex((w) => w.map(16)),
    'de0010',
  );
  assert.equal(
    hex((w) => w.array(65536)),
    'dd00010000',
  );
});

const leaf: fc.Arbitrary<Tree> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.maxSafeInteger(),
  fc.bigInt(0x20_0000_0000_0000n, 0xffff_ffff_ffff_ffffn),
  fc.double({ noNaN: true }).map((value) => new Float(value)),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
  fc
    .tuple(fc.integer({ min: -128, max: 127 }), fc.uint8Array({ maxLength: 40 }))
    .map(([type, data]) => new Extension(type, Buffer.from(data))),
);
const tree: fc.Arbitrary<Tree> = fc.letrec<{ node: Tree }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie('node'), { maxLength: 20 }),
    fc.uniqueArray(fc.tuple(fc.string(), tie('node')), { selector: ([key]) => key }).map((pairs) => new Map(pairs)),
  ),
})).node;

test('what is written is read back the same', () => {
  fc.assert(fc.property(tree, (value) => assert.deepEqual(decodeTree(encodeTree(value)), value)));
});

test('skipping ends exactly where reading ends', () => {
  fc.assert(
    fc.property(tree, (value) => {
      const bytes = Buffer.concat([encodeTree(value), Buffer.from([0x2a])]);
      const reader = new Reader(bytes);
      reader.skip();
      assert.equal(reader.at, bytes.length - 1);
      assert.equal(reader.failed, false);
    }),
  );
});

test('no bytes make a reader throw, loop or allocate beyond their length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      decodeTree(Buffer.from(bytes));
      const reader = new Reader(Buffer.from(bytes));
      for (const read of [
        'map',
        'array',
        'uint',
        'u64',
        'int',
        'number',
        'bool',
        'str',
        'bin',
        'blob',
        'ext',
        'key',
        'skip',
      ] as const) {
        reader.reset(Buffer.from(bytes));
        reader[read]();
        assert.ok(reader.at <= bytes.length);
      }
    }),
    { numRuns: 2000 },
  );
  for (const header of ['dfffffffff', 'ddffffffff', 'dbffffffff', 'c6ffffffff', 'c9ffffffff01']) {
    assert.equal(decodeTree(Buffer.from(header, 'hex')), undefined);
  }
  assert.equal(decodeTree(Buffer.alloc(100_000, 0x91)), undefined, 'deep nesting');
});

test('a key is recognized without making a string', () => {
  const writer = new Writer();
  for (const key of ['a', 'id', 'sid', 'token', 'tokem', 'é']) writer.str(key);
  const reader = new Reader(writer.take());
  assert.equal(reader.key(), keyCode('a'));
  assert.equal(reader.key(), keyCode('id'));
  assert.equal(reader.key(), keyCode('sid'));
  assert.equal(reader.key(), keyCode('token'));
  assert.ok(reader.keyIs('token'));
  reader.key();
  assert.equal(reader.keyIs('token'), false);
  assert.equal(reader.key(), keyCode('\xc3\xa9'));
});
