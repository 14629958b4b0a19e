declare global {
  interface Buffer {
    /** Bytes `start` to `end` as a binary string. In Node for ever, missing in its type declarations. */
    latin1Slice(start?: number, end?: number): string;
    /** Writes a binary string; returns the number of bytes written. */
    latin1Write(text: string, offset?: number, length?: number): number;
  }
}

/** The bytes of a binary string (an address, a hash): one byte per character. */
export function binaryBytes(binary: string): Buffer {
  return Buffer.from(binary, 'latin1');
}

/** The binary string of some bytes: one character (0..255) per byte. */
export function binaryString(bytes: Uint8Array): string {
  return asBuffer(bytes).latin1Slice();
}

/** The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
