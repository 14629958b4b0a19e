import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FuzzRandom } from './fuzz-random.js';
import { EPISODE_INPUTS, type FuzzTarget } from './fuzz-target.js';
import { mutate } from './mutate.js';
import { Watchdog } from './watchdog.js';

const USAGE = `Usage: npm run fuzz [-- OPTIONS]

Feeds every decoder and core with changed packets. Ends with 1 when one throws, hangs or keeps growing.
  --inputs N     inputs in all (10000000)
  --seconds S    stop after S seconds
  --slice        a bounded slice for every test run: 45 s
  --seed N       another sequence (1); the same seed gives the same inputs
  --target NAME  only this one; may be repeated
`;
const OUTPUT = fileURLToPath(new URL('../../output', import.meta.url));
const SLICE_SECONDS = 45;
/** Inputs between two looks at the clock. */
const BLOCK_INPUTS = 500;
/** A target may keep so much more at its end than after its first tenth, in bytes: caches fill, leaks go on. */
const MAX_GROWTH_BYTES = 48 * 1024 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Every target there is: the files in `targets`. */
async function findTargets(): Promise<FuzzTarget[]> {
  const folder = new URL('targets/', import.meta.url);
  const targets: FuzzTarget[] = [];
  for (const file of readdirSync(folder)
    .filter((name) => name.endsWith('.js'))
    .sort()) {
    targets.push(...((await import(new URL(file, folder).href)) as { targets: FuzzTarget[] }).targets);
  }
  return targets;
}

interface Budget {
  readonly inputs: number;
  readonly seconds: number;
  readonly seed: number;
}

/** Feeds one target; returns the number of inputs, or undefined when it broke. */
function fuzz(target: FuzzTarget, { inputs, seconds, seed }: Budget, watchdog: Watchdog): number | undefined {
  const corpus = target.corpus();
  const random = new FuzzRandom(seed);
  const startMs = performance.now();
  let heldBytes: number | undefined;
  let fed = 0;
  while (fed < inputs && performance.now() - startMs < 1000 * seconds) {
    for (let block = 0; block < BLOCK_INPUTS && fed < inputs; block++, fed++) {
      if (fed % EPISODE_INPUTS === 0) {
        random.reseed(seed + fed / EPISODE_INPUTS);
        target.begin?.(random);
      }
      const input = mutate(random, corpus);
      watchdog.begin(input);
      try {
        target.run(input, random);
      } catch (error) {
        broken(target, input, `${fed} of seed ${seed}`, error);
        return undefined;
      }
    }
    const share = Math.max(fed / inputs, (performance.now() - startMs) / (1000 * seconds));
    if (heldBytes === undefined && share > 0.1) heldBytes = memoryHeld();
  }
  const grown = memoryHeld() - (heldBytes ?? memoryHeld());
  if (grown > MAX_GROWTH_BYTES) {
    console.error(`MEMORY: ${target.name} holds ${Math.round(grown / 1e6)} MB more than after its first tenth.`);
    return undefined;
  }
  const perSecond = Math.round((1000 * fed) / (performance.now() - startMs));
  console.log(`${target.name.padEnd(24)} ${String(fed).padStart(9)} inputs  ${String(perSecond).padStart(7)}/s`);
  return fed;
}

function memoryHeld(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function broken(target: FuzzTarget, input: Buffer, which: string, error: unknown): void {
  mkdirSync(OUTPUT, { recursive: true });
  const path = join(OUTPUT, `fuzz-${target.name}.hex`);
  writeFileSync(path, `${input.toString('hex')}\n`);
  console.error(`BROKEN: ${target.name} at input ${which}, written to ${path}`);
  console.error(error);
}

const { values } = parseArgs({
  options: {
    inputs: { type: 'string' },
    seconds: { type: 'string' },
    seed: { type: 'string', default: '1' },
    slice: { type: 'boolean', default: false },
    target: { type: 'string', multiple: true },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

async function run(): Promise<number> {
  const all = await findTargets();
  const wanted = values.target ?? all.map((target) => target.name);
  const unknown = wanted.find((name) => !all.some((target) => target.name === name));
  const inputs = Number(
    values.inputs ?? (values.slice || values.seconds !== undefined ? Number.MAX_SAFE_INTEGER : 10_000_000),
  );
  const seconds = Number(values.seconds ?? (values.slice ? SLICE_SECONDS : Number.MAX_SAFE_INTEGER));
  const seed = Number(values.seed);
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (unknown !== undefined || !(inputs > 0) || !(seconds > 0) || !Number.isInteger(seed)) {
    const names = all.map((target) => target.name).join(', ');
    process.stderr.write(unknown === undefined ? USAGE : `There is no target “${unknown}”; there are ${names}.\n`);
    return 2;
  }
  const targets = all.filter((target) => wanted.includes(target.name));
  const weights = targets.reduce((sum, target) => sum + target.weight, 0);
  const startMs = performance.now();
  let fed = 0;
  let failures = 0;
  for (const target of targets) {
    const share = target.weight / weights;
    const watchdog = new Watchdog(join(OUTPUT, `fuzz-${target.name}.hex`));
    // Time is shared out evenly by weight too, so that a slow target is fed less, not longer.
    const budget = { inputs: Math.ceil(inputs * share), seconds: seconds * share, seed };
    const done = fuzz(target, budget, watchdog);
    await watchdog.end();
    if (done === undefined) failures++;
    else fed += done;
  }
  const took = ((performance.now() - startMs) / 1000).toFixed(0);
  console.log(`${fed} inputs to ${targets.length} targets in ${took} s with seed ${seed}, ${failures} failures`);
  return failures > 0 ? 1 : 0;
}

process.exitCode = await run();
