import type { FuzzRandom } from './fuzz-random.js';

/** What is fed: a file in `fuzz/src/targets` that exports one or several as `targets`. */
export interface FuzzTarget {
  /** Name on the command line and of the file with an input that broke it. */
  readonly name: string;
  /** Its share of all inputs, beside those of the others. */
  readonly weight: number;
  /** Inputs that are well formed, to start from. */
  readonly corpus: () => readonly Buffer[];
  /** Takes one input; throws when something does not hold that always must. */
  readonly run: (input: Buffer, random: FuzzRandom) => void;
  /**
   * For targets with a memory: forgets everything. Called with a seeded source before the first input and after every
   * {@link EPISODE_INPUTS}, so that a failure repeats from the start of its episode.
   */
  readonly begin?: (random: FuzzRandom) => void;
}

/** Inputs of one episode. */
export const EPISODE_INPUTS = 5000;

/** Fails a target with a sentence. */
export function holds(condition: boolean, sentence: () => string): asserts condition {
  if (!condition) throw new Error(sentence());
}
