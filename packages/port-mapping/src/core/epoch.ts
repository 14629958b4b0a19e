/**
 * Tells from a server's epoch whether it still has the mappings that it granted (RFC 6887 section 8.5, which holds for
 * NAT-PMP as well).
 */
export class Epoch {
  private previous: { readonly nowMs: number; readonly epoch: number } | undefined;

  /** Takes the epoch (seconds) of an answer; false when the server lost what it knew since the last one. */
  isContinued(epoch: number, nowMs: number): boolean {
    const { previous } = this;
    this.previous = { nowMs, epoch };
    if (previous === undefined) return true;
    if (epoch + 1 < previous.epoch) return false;
    const client = Math.floor((nowMs - previous.nowMs) / 1000);
    const server = epoch - previous.epoch;
    return client + 2 >= server - server / 16 && server + 2 >= client - client / 16;
  }
}
