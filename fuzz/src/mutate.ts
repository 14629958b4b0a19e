import { decodeTree, encodeTree, type Tree } from '@atoll/msgpack';
import type { FuzzRandom } from './fuzz-random.js';

/** No input grows beyond this, in bytes: a datagram. */
const MAX_BYTES = 65_507;
const INTERESTING_BYTES = [
  0, 1, 0x7f, 0x80, 0x8f, 0x9f, 0xa0, 0xbf, 0xc0, 0xc4, 0xc6, 0xcf, 0xd9, 0xdb, 0xdd, 0xdf, 0xff,
];
const INTERESTING_NUMBERS: readonly (number | bigint)[] = [
  0,
  1,
  127,
  128,
  255,
  256,
  599,
  600,
  1280,
  65_535,
  65_536,
  65_568,
  65_569,
  0x7fff_ffff,
  0xffff_ffff,
  0x1_0000_0000,
  0x1f_ffff_ffff_ffff,
  0x20_0000_0000_0000n,
  0xffff_ffff_ffff_ffffn,
  -1,
  -33,
  -0x8000_0000,
];
/** First bytes of msgpack objects that state a length. */
const LENGTH_HEADERS = [0xc4, 0xc5, 0xc6, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf];

/** Changes an input: single bits and bytes, pieces of another one, its msgpack structure, or what its lengths say. */
export function mutate(random: FuzzRandom, corpus: readonly Buffer[]): Buffer {
  const seed = random.pick(corpus);
  let input: Buffer = Buffer.from(seed);
  const rounds = 1 + random.below(4);
  for (let round = 0; round < rounds; round++) {
    switch (random.below(12)) {
      case 0:
      case 1:
      case 2:
        flip(random, input);
        break;
      case 3:
      case 4:
        overwrite(random, input);
        break;
      case 5:
        input = cut(random, input);
        break;
      case 6:
        input = insert(random, input);
        break;
      case 7:
        input = splice(random, input, random.pick(corpus));
        break;
      case 8:
        lieAboutLength(random, input);
        break;
      default:
        input = restructure(random, input, random.pick(corpus));
    }
  }
  return input.length > MAX_BYTES ? input.subarray(0, MAX_BYTES) : input;
}

function flip(random: FuzzRandom, input: Buffer): void {
  if (input.length === 0) return;
  const at = random.below(input.length);
  input[at] = (input[at] as number) ^ (1 << random.below(8));
}

function overwrite(random: FuzzRandom, input: Buffer): void {
  if (input.length === 0) return;
  input[random.below(input.length)] = random.below(2) === 0 ? random.pick(INTERESTING_BYTES) : random.below(256);
}

function cut(random: FuzzRandom, input: Buffer): Buffer {
  const from = random.below(input.length + 1);
  if (random.below(2) === 0) return input.subarray(0, from);
  const to = Math.min(input.length, from + 1 + random.below(16));
  return Buffer.concat([input.subarray(0, from), input.subarray(to)]);
}

function insert(random: FuzzRandom, input: Buffer): Buffer {
  const at = random.below(input.length + 1);
  const from = random.below(input.length + 1);
  const piece =
    random.below(2) === 0 ? random.bytes(1 + random.below(16)) : input.subarray(from, from + random.below(64));
  return Buffer.concat([input.subarray(0, at), piece, input.subarray(at)]);
}

function splice(random: FuzzRandom, input: Buffer, other: Buffer): Buffer {
  return Buffer.concat([
    input.subarray(0, random.below(input.length + 1)),
    other.subarray(random.below(other.length + 1)),
  ]);
}

function lieAboutLength(random: FuzzRandom, input: Buffer): void {
  if (input.length < 2) return;
  const start = random.below(input.length - 1);
  for (let step = 0; step < input.length - 1; step++) {
    const at = (start + step) % (input.length - 1);
    const byte = input[at] as number;
    if (LENGTH_HEADERS.includes(byte)) {
      input[at + 1] = random.pick(INTERESTING_BYTES);
      if (random.below(4) === 0) input[at] = random.pick(LENGTH_HEADERS);
      return;
    }
    if (byte >= 0x80 && byte < 0xc0) {
      input[at] = (byte & 0xf0) | random.below(16);
      return;
    }
  }
}

/** Exchanges, removes, doubles or changes parts of the msgpack object that the input is, if it is one. */
function restructure(random: FuzzRandom, input: Buffer, other: Buffer): Buffer {
  const tree = decodeTree(input);
  if (tree === undefined) {
    flip(random, input);
    return input;
  }
  return encodeTree(changed(random, tree, decodeTree(other) ?? null, 0));
}

function changed(random: FuzzRandom, tree: Tree, other: Tree, depth: number): Tree {
  const isContainer = Array.isArray(tree) || tree instanceof Map;
  if (!isContainer || depth > 12 || random.below(4) === 0) return replaced(random, tree, other);
  if (Array.isArray(tree)) {
    const copy = [...tree];
    const at = random.below(copy.length + 1);
    const what = random.below(4);
    if (what === 0 || at === copy.length)
      copy.splice(at, 0, copy.length === 0 ? part(random, other) : random.pick(copy));
    else if (what === 1) copy.splice(at, 1);
    else copy[at] = changed(random, copy[at] as Tree, other, depth + 1);
    return copy;
  }
  const pairs = [...tree];
  const at = random.below(pairs.length + 1);
  const pair = pairs[at];
  if (pair === undefined) pairs.push([random.below(2) === 0 ? part(random, other) : 'zz', part(random, other)]);
  else if (random.below(6) === 0) pairs.splice(at, 1);
  else if (random.below(8) === 0) pair[0] = replaced(random, pair[0], other);
  else pairs[at] = [pair[0], changed(random, pair[1], other, depth + 1)];
  return new Map(pairs);
}

function replaced(random: FuzzRandom, tree: Tree, other: Tree): Tree {
  switch (random.below(8)) {
    case 0:
      return random.pick(INTERESTING_NUMBERS);
    case 1:
      return random.bytes(random.pick([0, 1, 4, 16, 19, 20, 21, 26, 32, 33, 38, 64, 65, 600]));
    case 2:
      return random.pick(['', 'q', 'id', 'values', 'ping', 'text/plain', '\ud800', 'x'.repeat(40)]);
    case 3:
      return random.pick<Tree>([null, true, false, [], new Map()]);
    case 4:
      return Buffer.isBuffer(tree) ? tree.subarray(0, random.below(tree.length + 1)) : part(random, other);
    default:
      return part(random, other);
  }
}

/** Some part of a tree, at any depth. */
function part(random: FuzzRandom, tree: Tree): Tree {
  let at = tree;
  while (random.below(3) > 0) {
    if (Array.isArray(at) && at.length > 0) at = random.pick(at);
    else if (at instanceof Map && at.size > 0) at = random.pick([...at.values()]);
    else break;
  }
  return at;
}
