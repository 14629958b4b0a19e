import type { Firewall, FirewallCommand, FirewallOptions, RunCommand } from './firewall.js';
import type { OpenPort } from './open-ports.js';
import { explanation, portText } from './rule-marks.js';

/** The service that holds our ports. */
const SERVICE = 'atoll';

type Prefix = readonly [string, ...string[]];

/** firewalld: a service of our own, switched on in one zone, for IPv4 and IPv6 at once. */
export const firewalld: Firewall = {
  print(ports, options) {
    const prefix = ['firewall-cmd', '--permanent'] as const;
    const lines = ports.flatMap((port) => [`# ${explanation(port)}`, addPort(prefix, place(port)).command.join(' ')]);
    return `${[
      '# Ports of Atoll, as a service of firewalld. Run as root.',
      [...prefix, `--new-service=${SERVICE}`].join(' '),
      ...lines,
      [...prefix, ...zone(options), `--add-service=${SERVICE}`].join(' '),
      'firewall-cmd --reload',
    ].join('\n')}\n`;
  },
  async plan(ports, options, run): Promise<FirewallCommand[]> {
    const isRunning = await succeeds(run, ['firewall-cmd', '--state']);
    const prefix: Prefix = isRunning ? ['firewall-cmd', '--permanent'] : ['firewall-offline-cmd'];
    const ask = async (...args: string[]): Promise<string[]> =>
      (await run({ command: [...prefix, ...args] })).split(/\s+/).filter((word) => word !== '');
    const isThere = (await ask('--get-services')).includes(SERVICE);
    const isOn = (await ask(...zone(options), '--list-services')).includes(SERVICE);
    const present = isThere ? await ask(`--service=${SERVICE}`, '--get-ports') : [];
    const wanted = ports.map(place);
    const commands: FirewallCommand[] = [];
    const add = (...args: string[]): unknown => commands.push({ command: [...prefix, ...args] });
    if (wanted.length === 0) {
      if (isOn) add(...zone(options), `--${isRunning ? 'remove-service' : 'remove-service-from-zone'}=${SERVICE}`);
      if (isThere) add(`--delete-service=${SERVICE}`);
    } else {
      if (!isThere) add(`--new-service=${SERVICE}`);
      for (const port of present.filter((port) => !wanted.includes(port))) {
        add(`--service=${SERVICE}`, `--remove-port=${port}`);
      }
      commands.push(...wanted.filter((port) => !present.includes(port)).map((port) => addPort(prefix, port)));
      if (!isOn) add(...zone(options), `--add-service=${SERVICE}`);
    }
    if (commands.length > 0 && isRunning) commands.push({ command: ['firewall-cmd', '--reload'] });
    return commands;
  },
};

function place(port: OpenPort): string {
  return `${portText(port, '-')}/${port.transport}`;
}

function addPort(prefix: Prefix, port: string): FirewallCommand {
  return { command: [...prefix, `--service=${SERVICE}`, `--add-port=${port}`] };
}

function zone(options: FirewallOptions): string[] {
  return options.zone === undefined ? [] : [`--zone=${options.zone}`];
}

async function succeeds(run: RunCommand, command: Prefix): Promise<boolean> {
  try {
    await run({ command });
    return true;
  } catch {
    return false;
  }
}
