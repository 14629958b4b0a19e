/**
 * What a server looks at before OpenSSL does (RFC 6347 4.1, 4.2.2):
 *
 * ```text
 * record     0 type (22)   1 version (0xfe ..)   3 epoch (0)   5 sequence   11 length
 * handshake 13 type (1)   14 length   17 sequence   19 fragment offset   22 fragment length
 * hello     25 version   27 random, 32 bytes …
 * ```
 */
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const RANDOM_AT = 27;
const RANDOM_END = 59;

/** Whether a datagram begins with (a fragment of) an unencrypted ClientHello. */
export function isClientHello(bytes: Uint8Array): boolean {
  return (
    bytes[0] === HANDSHAKE &&
    bytes[1] === 0xfe &&
    bytes[3] === 0 &&
    bytes[4] === 0 &&
    bytes[13] === CLIENT_HELLO &&
    bytes.length >= RANDOM_END
  );
}

/** The random bytes of a ClientHello, as a binary string; undefined when the fragment does not hold them. */
export function clientRandom(bytes: Buffer): string | undefined {
  const isFirst = bytes[19] === 0 && bytes[20] === 0 && bytes[21] === 0;
  return isFirst && bytes.length >= RANDOM_END ? bytes.latin1Slice(RANDOM_AT, RANDOM_END) : undefined;
}
