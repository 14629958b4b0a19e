import { createHash } from 'node:crypto';
import { binaryBytes, type Endpoint, type RandomSource } from '@atoll/base';

/** Bytes of a write token. */
const TOKEN_BYTES = 32;
/** Tokens remembered so that a busy peer costs one hash per secret; then the memory starts anew. */
const MAX_REMEMBERED = 8192;

/**
 * Write tokens: they prove that a peer receives at the address it sends from (protocol/dht.md 8).
 * Bound to address and port, not to a key; accepted under the present and the previous secret.
 */
export class Tokens {
  private readonly random: RandomSource;
  private secret: Buffer;
  private previousSecret: Buffer;
  private readonly remembered = new Map<string, string>();

  constructor(random: RandomSource) {
    this.random = random;
    this.secret = random.bytes(8);
    this.previousSecret = random.bytes(8);
  }

  /** The token for a peer, as a binary string of 32. */
  for(peer: Endpoint): string {
    const known = this.remembered.get(peer.key);
    if (known !== undefined) return known;
    const token = makeToken(this.secret, peer);
    if (this.remembered.size >= MAX_REMEMBERED) this.remembered.clear();
    this.remembered.set(peer.key, token);
    return token;
  }

  isValid(token: string, peer: Endpoint): boolean {
    if (token.length !== TOKEN_BYTES) return false;
    return token === this.for(peer) || token === makeToken(this.previousSecret, peer);
  }

  /** Due every 15 to 45 minutes, by chance. */
  rotate(): void {
    this.previousSecret = this.secret;
    this.secret = this.random.bytes(8);
    this.remembered.clear();
  }

  /** When to rotate next, in ms from now. */
  nextRotationMs(): number {
    return this.random.uniform(15 * 60_000, 45 * 60_000);
  }
}

function makeToken(secret: Buffer, peer: Endpoint): string {
  const port = String.fromCharCode(peer.port >> 8, peer.port & 0xff);
  return createHash('sha256')
    .update(secret)
    .update(binaryBytes(peer.ip + port))
    .digest('binary');
}
