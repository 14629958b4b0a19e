/**
 * Cuts a stream of bytes into lines, wherever its chunks end (protocol/dht-proxy.md 7). Blank lines and blanks before a
 * line, with which a server may show that it lives, are left out.
 */
export class LineSplitter {
  private readonly maxBytes: number;
  private pieces: Buffer[] = [];
  private heldBytes = 0;

  /** `maxBytes`: a longer line is not held, {@link push} says so. */
  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** The lines that are whole now; undefined when one is too long. */
  push(chunk: Buffer): string[] | undefined {
    const lines: string[] = [];
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const piece = chunk.subarray(from, end);
      from = end + 1;
      if (this.heldBytes + piece.length > this.maxBytes) return undefined;
      const line = (this.pieces.length === 0 ? piece : Buffer.concat([...this.pieces, piece])).toString().trim();
      this.pieces = [];
      this.heldBytes = 0;
      if (line !== '') lines.push(line);
    }
    const rest = chunk.subarray(from);
    // A blank on its own is a sign of life, not the start of a line.
    const isBlank = this.heldBytes === 0 && rest.every((byte) => byte === 32);
    if (rest.length > 0 && !isBlank) {
      this.heldBytes += rest.length;
      if (this.heldBytes > this.maxBytes) return undefined;
      this.pieces.push(Buffer.from(rest));
    }
    return lines;
  }
}
