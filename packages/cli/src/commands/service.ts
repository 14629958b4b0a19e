import { Command } from 'commander';
import { installService, ownCommand, removeService, serviceStatus } from '../service/systemd.js';
import { SERVICE, SERVICE_SETTINGS, SERVICE_STATE, serviceUnit } from '../service/unit.js';

/** `atoll service`: the hub as a service of this machine. */
export function serviceCommand(): Command {
  const service = new Command('service').description('Run the hub as a service of this machine (systemd)');
  service
    .command('install')
    .description('Start it now and at each start of the machine')
    .option('--print', 'Print the unit and do nothing')
    .option('--command <PATH>', 'With --print: what runs as atoll, instead of this very program')
    .action(async (options: { print?: boolean; command?: string }) => {
      if (options.print) {
        process.stdout.write(serviceUnit(options.command === undefined ? ownCommand() : [options.command]));
        return;
      }
      await installService();
      process.stdout.write(
        `The hub runs as the service ${SERVICE}. Settings: ${SERVICE_SETTINGS}; state: ${SERVICE_STATE}; log: journalctl -u ${SERVICE}.\n`,
      );
    });
  service
    .command('remove')
    .description('Stop it and take it away; state and settings stay')
    .action(async () => {
      await removeService();
      process.stdout.write(`The service is gone. ${SERVICE_STATE} and ${SERVICE_SETTINGS} are still there.\n`);
    });
  service
    .command('status')
    .description('Whether it is installed and runs')
    .option('--json', 'Print JSON')
    .action((options: { json?: boolean }) => {
      const status = serviceStatus();
      const installed = status.isInstalled ? 'installed' : 'not installed';
      const enabled = status.isEnabled ? 'starts with the machine' : 'does not start with the machine';
      process.stdout.write(
        options.json ? `${JSON.stringify(status)}\n` : `${SERVICE}: ${installed}, ${status.state}, ${enabled}.\n`,
      );
      if (status.state !== 'active') process.exitCode = 1;
    });
  return service;
}
