/** The CRC-32 of ITU V.42, which FINGERPRINT is made of (RFC 8489 section 14.7). */
const TABLE = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  TABLE[byte] = value >>> 0;
}

/** The CRC-32 of `bytes` up to `end`, as an unsigned number. */
export function crc32(bytes: Uint8Array, end: number): number {
  let value = 0xffffffff;
  for (let at = 0; at < end; at++) {
    value = (TABLE[(value ^ (bytes[at] as number)) & 0xff] as number) ^ (value >>> 8);
  }
  return (value ^ 0xffffffff) >>> 0;
}
