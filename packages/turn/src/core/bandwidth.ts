/** A bucket of bytes that fills with time: datagrams that go over are dropped, streams wait. */
export class Bandwidth {
  private readonly bytesPerSecond: number;
  private left: number;
  private atMs: number;

  constructor(bytesPerSecond: number, nowMs: number) {
    this.bytesPerSecond = bytesPerSecond;
    this.left = bytesPerSecond;
    this.atMs = nowMs;
  }

  /** Takes `bytes`; false when they are over the limit. */
  take(bytes: number, nowMs: number): boolean {
    this.fill(nowMs);
    if (this.left < bytes) return false;
    this.left -= bytes;
    return true;
  }

  /** Takes `bytes` of a stream, where nothing may be dropped; returns how long to wait before more is read, ms. */
  takeOfStream(bytes: number, nowMs: number): number {
    this.fill(nowMs);
    this.left -= bytes;
    return Math.max(0, (-1000 * this.left) / this.bytesPerSecond);
  }

  private fill(nowMs: number): void {
    const { bytesPerSecond } = this;
    this.left = Math.min(bytesPerSecond, this.left + ((nowMs - this.atMs) / 1000) * bytesPerSecond);
    this.atMs = nowMs;
  }
}
