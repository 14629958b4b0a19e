/** A bucket of bytes that fills with time: what goes over is dropped. */
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
    const { bytesPerSecond } = this;
    this.left = Math.min(bytesPerSecond, this.left + ((nowMs - this.atMs) / 1000) * bytesPerSecond);
    this.atMs = nowMs;
    if (this.left < bytes) return false;
    this.left -= bytes;
    return true;
  }
}
