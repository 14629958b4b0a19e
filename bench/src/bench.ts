/** What a figure has to reach: the ratio of Atoll to the other program, or Atoll's own figure. */
export interface Target {
  readonly of: 'ratio' | 'atoll';
  readonly is: 'at least' | 'at most';
  readonly limit: number;
}

/** One line of a result: the same thing measured of Atoll and of the program it stands beside. */
export interface Row {
  readonly what: string;
  readonly atoll: number;
  /** The figure of the other program; undefined when only Atoll has one. */
  readonly other: number | undefined;
  readonly unit: string;
  /** `atoll / other`. */
  readonly ratio: number | undefined;
  readonly target: Target | undefined;
}

/** What a bench may be told from the command line. */
export interface BenchContext {
  /** Rounds that alternate between the programs; the figures are medians over them. */
  readonly rounds: number;
  /** Length of one measurement, for benches that measure over a time. */
  readonly seconds: number;
  /** Tells whoever waits how it goes. */
  readonly say: (line: string) => void;
}

/** One bench: a file `NAME.bench.ts` anywhere below `bench/src` that exports it as `bench`. */
export interface Bench {
  /** Name on the command line and of the files with its results. */
  readonly name: string;
  readonly title: string;
  /** The program beside Atoll, as the table's heading says it. */
  readonly other: string;
  /** Debian packages whose versions belong to the result. */
  readonly packages: readonly string[];
  /** What is measured and how, in a few sentences for the reader of the table. */
  readonly how: string;
  run(context: BenchContext): Promise<readonly Row[]>;
}

/** Makes a row from the figures of the rounds: medians, and the ratio of the medians. */
export function row(
  what: string,
  unit: string,
  atoll: readonly number[],
  other: readonly number[] | undefined,
  target?: Target,
): Row {
  const own = median(atoll);
  const others = other === undefined ? undefined : median(other);
  return { what, atoll: own, other: others, unit, ratio: others === undefined ? undefined : own / others, target };
}

/** Whether a row reaches its target; undefined when it has none. */
export function isReached({ target, ratio, atoll }: Row): boolean | undefined {
  if (target === undefined) return undefined;
  const figure = target.of === 'ratio' ? ratio : atoll;
  if (figure === undefined) return undefined;
  return target.is === 'at least' ? figure >= target.limit : figure <= target.limit;
}

/** The middle one, or the mean of the two in the middle. */
function median(figures: readonly number[]): number {
  return percentile(figures, 50);
}

/** The figure that `percent` of all do not exceed, between neighbors in proportion. */
export function percentile(figures: readonly number[], percent: number): number {
  const sorted = [...figures].sort((a, b) => a - b);
  const at = ((sorted.length - 1) * percent) / 100;
  const low = sorted[Math.floor(at)] ?? Number.NaN;
  const high = sorted[Math.ceil(at)] ?? Number.NaN;
  return low + (high - low) * (at - Math.floor(at));
}
