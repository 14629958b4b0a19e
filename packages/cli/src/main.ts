import { errorCode, errorMessage, UsageError } from '@atoll/base';
import { Command, CommanderError } from 'commander';
import { dhtnodeCommand } from './commands/dhtnode.js';
import { turnadminCommand, turnCommand } from './commands/turn.js';
import { upCommand } from './commands/up.js';
import { VERSION } from './version.js';

const EXIT_FAILED = 1;
const EXIT_WRONG_USE = 2;

/** One sentence for a person, or with `--json` one object for a program; the code is the process's exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_WRONG_USE;
  const message = errorMessage(error);
  const isJson = process.argv.includes('--json');
  process.stderr.write(
    isJson ? `${JSON.stringify({ error: { code: errorCode(error), message } })}\n` : `atoll: ${message}\n`,
  );
  return error instanceof UsageError ? EXIT_WRONG_USE : EXIT_FAILED;
}

const program = new Command('atoll')
  .description('A whole Jami network in one program')
  .version(VERSION, '-V, --version')
  .enablePositionalOptions()
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'atoll: ')) });
for (const command of [upCommand(), dhtnodeCommand(), turnCommand(), turnadminCommand()]) {
  command.exitOverride().configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'atoll: ')) });
  program.addCommand(command);
}

try {
  await program.parseAsync();
} catch (error) {
  process.exit(report(error));
}
// What was asked for is done; sockets or timers that linger must not hold the process.
process.exit(process.exitCode ?? 0);
