import { errorCode, errorMessage, UsageError } from '@atoll/base';

const EXIT_FAILED = 1;
const EXIT_WRONG_USE = 2;

/** One sentence for a person, or with `--json` one object for a program; the code is the process's exit code. */
function report(error: unknown): number {
  const message = errorMessage(error);
  const isJson = process.argv.includes('--json');
  process.stderr.write(
    isJson ? `${JSON.stringify({ error: { code: errorCode(error), message } })}\n` : `atoll: ${message}\n`,
  );
  return error instanceof UsageError ? EXIT_WRONG_USE : EXIT_FAILED;
}

// Whoever reads may stop when he has seen enough, as “| head -1” does: that is no error of ours.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => {
    if (errorCode(error) !== 'EPIPE') throw error;
  });
}

/** Resolves to the exit code. */
async function run(): Promise<number> {
  // dhtnode reads its arguments itself and answers at once: what only the other commands need is not loaded for it.
  if (process.argv[2] === 'dhtnode') {
    const { runDhtnode } = await import('./dhtnode/run.js');
    return runDhtnode(process.argv.slice(3));
  }
  const { runProgram } = await import('./program.js');
  const isWrongUse = (await runProgram()) !== 0;
  return isWrongUse ? EXIT_WRONG_USE : Number(process.exitCode ?? 0);
}

// What was asked for is done; sockets or timers that linger must not hold the process.
process.exit(await run().catch(report));
