import { Reader } from './reader.js';
import { Writer } from './writer.js';

/** A msgpack float, kept apart from whole numbers so that it is written as it was read. */
export class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** A msgpack extension. */
export class Extension {
  readonly type: number;
  readonly data: Buffer;

  constructor(type: number, data: Buffer) {
    this.type = type;
    this.data = data;
  }
}

/** Any msgpack object. Whole numbers beyond 2^53 are bigint; `bin` is a byte array, `str` a string. */
export type Tree =
  | null
  | boolean
  | number
  | bigint
  | string
  | Float
  | Uint8Array
  | Extension
  | Tree[]
  | Map<Tree, Tree>;

const MAX_DEPTH = 64;

/** Reads one object of unknown shape; undefined when the bytes are no msgpack or nest deeper than 64. */
export function decodeTree(bytes: Buffer): Tree | undefined {
  const reader = new Reader(bytes);
  const tree = readTree(reader, 0);
  return reader.failed ? undefined : tree;
}

/** Reads the next object of unknown shape; look at `reader.failed` afterwards. Byte strings are copied. */
export function readTree(reader: Reader, depth = 0): Tree {
  if (depth > MAX_DEPTH) {
    reader.fail('nests too deep');
    return null;
  }
  switch (reader.peek()) {
    case 'bool':
      return reader.bool();
    case 'uint': {
      const value = reader.u64();
      return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
    }
    case 'int':
      return reader.int();
    case 'float':
      return new Float(reader.number());
    case 'str':
      return reader.str();
    case 'bin':
      return Buffer.from(reader.bin());
    case 'ext': {
      const { type, data } = reader.ext();
      return new Extension(type, Buffer.from(data));
    }
    case 'array': {
      const list: Tree[] = [];
      for (let left = reader.array(); left > 0 && !reader.failed; left--) list.push(readTree(reader, depth + 1));
      return list;
    }
    case 'map': {
      const map = new Map<Tree, Tree>();
      for (let left = reader.map(); left > 0 && !reader.failed; left--) {
        const key = readTree(reader, depth + 1);
        map.set(key, readTree(reader, depth + 1));
      }
      return map;
    }
    case 'nil':
      reader.nil();
      return null;
    default:
      reader.fail('not an object');
      return null;
  }
}

/** Writes a tree, every part in its shortest form. */
export function encodeTree(tree: Tree): Buffer {
  const writer = new Writer();
  writeTree(writer, tree);
  return writer.take();
}

/** Writes a tree to a writer. */
export function writeTree(writer: Writer, tree: Tree): void {
  if (tree === null) writer.nil();
  else if (typeof tree === 'boolean') writer.bool(tree);
  else if (typeof tree === 'number') writer.int(tree);
  else if (typeof tree === 'bigint') writer.u64(tree);
  else if (typeof tree === 'string') writer.str(tree);
  else if (tree instanceof Float) writer.float64(tree.value);
  else if (tree instanceof Uint8Array) writer.bin(tree);
  else if (tree instanceof Extension) writer.ext(tree.type, tree.data);
  else if (tree instanceof Map) {
    writer.map(tree.size);
    for (const [key, value] of tree) {
      writeTree(writer, key);
      writeTree(writer, value);
    }
  } else {
    writer.array(tree.length);
    for (const element of tree) writeTree(writer, element);
  }
}
