import { Command, CommanderError } from 'commander';
import { joinCommand, statusCommand } from './commands/ask.js';
import { backupCommand, restoreCommand } from './commands/backup.js';
import { dhtnodeCommand } from './commands/dhtnode.js';
import { doctorCommand } from './commands/doctor.js';
import { firewallCommand } from './commands/firewall.js';
import { namesCommand } from './commands/names.js';
import { portmapCommand } from './commands/portmap.js';
import { serviceCommand } from './commands/service.js';
import { supportBundleCommand } from './commands/support-bundle.js';
import { turnadminCommand, turnCommand } from './commands/turn.js';
import { proxyCommand, upCommand } from './commands/up.js';
import { VERSION } from './version.js';

/**
 * Runs the command that the arguments of this process name. Resolves to 0, or to 1 when they are wrong, which has been
 * said then.
 */
export async function runProgram(): Promise<0 | 1> {
  const program = new Command('atoll')
    .description('A whole Jami network in one program')
    .version(VERSION, '-V, --version')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'atoll: ')) });
  const commands = [
    upCommand(),
    joinCommand(),
    statusCommand(),
    proxyCommand(),
    dhtnodeCommand(),
    namesCommand(),
    turnCommand(),
    turnadminCommand(),
    backupCommand(),
    restoreCommand(),
    firewallCommand(),
    portmapCommand(),
    doctorCommand(),
    serviceCommand(),
    supportBundleCommand(),
  ];
  for (const command of commands) {
    for (const each of [command, ...command.commands]) {
      each.exitOverride().configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'atoll: ')) });
    }
    program.addCommand(command);
  }
  try {
    await program.parseAsync();
    return 0;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : 1;
  }
}
