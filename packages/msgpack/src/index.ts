export { type Kind, keyCode, Reader } from './reader.js';
export { decodeTree, Extension, encodeTree, Float, readTree, type Tree, writeTree } from './tree.js';
export { Writer } from './writer.js';
