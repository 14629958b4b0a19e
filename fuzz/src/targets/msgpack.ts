import { decodeTree, encodeTree, Reader } from '@atoll/msgpack';
import { recorded } from '../corpus.js';
import { type FuzzTarget, holds } from '../fuzz-target.js';

const corpus = (): Buffer[] => [
  ...recorded('packets', 'hex'),
  ...recorded('values', 'packed'),
  ...recorded('state_files', 'file_hex'),
];

/** Reads one object in the way its first byte says, then whatever follows in another way. */
function readAll(input: Buffer): void {
  const reader = new Reader(input);
  for (let left = 64; left > 0 && !reader.failed && reader.left > 0; left--) {
    const before = reader.at;
    switch (reader.peek()) {
      case 'map':
        reader.map();
        reader.key();
        break;
      case 'array':
        reader.array();
        break;
      case 'str':
        if (left % 2 === 0) reader.str();
        else reader.keyIs(String(reader.key()));
        break;
      case 'bin':
        if (left % 3 === 0) reader.binary(20);
        else reader.blob();
        break;
      case 'uint':
        if (left % 2 === 0) reader.u64();
        else reader.uintUpTo(65_535);
        break;
      case 'int':
        reader.int();
        break;
      case 'float':
        reader.number();
        break;
      default:
        reader.skip();
    }
    holds(reader.at > before && reader.at <= input.length, () => `the reader stands at ${reader.at} after ${before}`);
  }
}

export const targets: FuzzTarget[] = [
  { name: 'msgpack-reader', weight: 25, corpus, run: readAll },
  {
    name: 'msgpack-tree',
    weight: 5,
    corpus,
    run: (input) => {
      const tree = decodeTree(input);
      if (tree === undefined) return;
      const packed = encodeTree(tree);
      const again = decodeTree(packed);
      holds(again !== undefined && encodeTree(again).equals(packed), () => 'packing what was read is not stable');
    },
  },
];
