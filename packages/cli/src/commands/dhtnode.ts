import { Command } from 'commander';
import { runDhtnode } from '../dhtnode/run.js';

/** `atoll dhtnode`: takes its arguments as they are, because they are `dhtnode`'s. */
export function dhtnodeCommand(): Command {
  return new Command('dhtnode')
    .description('Run a DHT node with the options and commands of OpenDHT’s dhtnode (-h shows them)')
    .helpOption(false)
    .allowUnknownOption()
    .argument('[args...]')
    .passThroughOptions()
    .action(async (args: string[]) => {
      process.exitCode = await runDhtnode(args);
    });
}
