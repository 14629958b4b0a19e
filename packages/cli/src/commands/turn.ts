import { Command } from 'commander';
import { runTurn } from '../turn/run.js';
import { runTurnadmin } from '../turn/turnadmin.js';

/** `atoll turn`: takes its arguments as they are, because they are those of coturn's `turnserver`. */
export function turnCommand(): Command {
  return new Command('turn')
    .description('Run a TURN server with the options and the configuration of coturn’s turnserver (-h shows them)')
    .helpOption(false)
    .allowUnknownOption()
    .argument('[args...]')
    .passThroughOptions()
    .action(async (args: string[]) => {
      process.exitCode = await runTurn(args);
    });
}

/** `atoll turnadmin`: with the options of coturn's `turnadmin`. */
export function turnadminCommand(): Command {
  return new Command('turnadmin')
    .description('Keep the users of a TURN server, with the options of coturn’s turnadmin (-h shows them)')
    .helpOption(false)
    .allowUnknownOption()
    .argument('[args...]')
    .passThroughOptions()
    .action(async (args: string[]) => {
      process.exitCode = await runTurnadmin(args);
    });
}
