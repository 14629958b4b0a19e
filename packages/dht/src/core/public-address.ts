/** Different addresses remembered (protocol/dht.md 20). */
const MAX_REPORTED = 32;

/** What others say our address is, by votes; never believed for anything in the protocol itself (protocol/dht.md 20). */
export class PublicAddress {
  private reported: { ip: string; votes: number }[] = [];

  /** One more vote. True when the leading address changed. */
  report(ip: string): boolean {
    const before = this.reported[0]?.ip;
    const known = this.reported.find((entry) => entry.ip === ip);
    if (known !== undefined) known.votes++;
    else {
      if (this.reported.length >= MAX_REPORTED) this.reported.pop();
      this.reported.push({ ip, votes: 1 });
    }
    this.reported.sort((a, b) => b.votes - a.votes);
    return this.reported[0]?.ip !== before;
  }

  /** Addresses as binary strings, the one most reported first. */
  get addresses(): readonly string[] {
    return this.reported.map((entry) => entry.ip);
  }

  clear(): void {
    this.reported = [];
  }
}
