/** Where a core takes its time from. The simulation gives a virtual one. */
export interface Clock {
  /** Monotonic time in milliseconds, from an arbitrary start; fractions allowed. */
  nowMs(): number;
  /** Wall clock in milliseconds since the UNIX epoch. May jump. */
  unixMs(): number;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  unixMs: () => Date.now(),
};
