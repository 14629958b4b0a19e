import { spawn } from 'node:child_process';
import { AtollError, errorCode, UsageError } from '@atoll/base';
import { firewalld } from './firewalld.js';
import { iptables } from './iptables.js';
import { macos } from './macos.js';
import { nftables } from './nftables.js';
import type { OpenPort } from './open-ports.js';
import { ufw } from './ufw.js';
import { windows } from './windows.js';

/** A command that changes the firewall, with what it reads. */
export interface FirewallCommand {
  readonly command: readonly [program: string, ...args: string[]];
  readonly input?: string;
}

/** Runs a command; resolves to what it printed. Rejects when it fails. */
export type RunCommand = (command: FirewallCommand) => Promise<string>;

export interface FirewallOptions {
  /** nftables: `FAMILY TABLE CHAIN` to put the rules in; every chain that filters input when left out. */
  readonly chain?: string | undefined;
  /** firewalld: the zone; its default zone when left out. */
  readonly zone?: string | undefined;
}

/** One kind of firewall. Everything of ours in it carries a mark, so that no rule of others is ever touched. */
export interface Firewall {
  /** The rules with a comment for each, in the firewall's own language. */
  print(ports: readonly OpenPort[], options: FirewallOptions): string;
  /**
   * What is to be run so that these ports are open and none else of ours: nothing when it is so already. Without ports,
   * all that is ours is taken away. `run` is for looking only.
   */
  plan(ports: readonly OpenPort[], options: FirewallOptions, run: RunCommand): Promise<FirewallCommand[]>;
}

const FIREWALLS = {
  iptables: iptables(4),
  ip6tables: iptables(6),
  nftables,
  ufw,
  firewalld,
  windows,
  macos,
} as const satisfies Record<string, Firewall>;

type FirewallFormat = keyof typeof FIREWALLS;

/** The firewall of this name; throws a usage error that names them all. */
export function firewallNamed(format: string): Firewall {
  if (Object.hasOwn(FIREWALLS, format)) return FIREWALLS[format as FirewallFormat];
  throw new UsageError(`There is no format “${format}”; there are ${Object.keys(FIREWALLS).join(', ')}.`);
}

/** Runs a command on this machine. Fails with `FIREWALL_TOOL_MISSING` or `FIREWALL_REFUSED`. */
export const runOnThisMachine: RunCommand = ({ command: [program, ...args], input }) =>
  new Promise((resolve, reject) => {
    // What these programs say is read, so they have to say it in one language.
    const child = spawn(program, args, { env: { ...process.env, LC_ALL: 'C' }, stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    let complaint = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      complaint += chunk;
    });
    child.on('error', (cause) => {
      const message =
        errorCode(cause) === 'ENOENT'
          ? `${program} is not on this machine: choose the --format of the firewall that is.`
          : `${program} cannot be run: ${errorCode(cause)}.`;
      reject(new AtollError('FIREWALL_TOOL_MISSING', message, { cause }));
    });
    child.on('close', (code) => {
      if (code === 0) return resolve(output);
      const said = (complaint.trim() || output.trim()).split('\n').slice(-3).join(' ');
      reject(new AtollError('FIREWALL_REFUSED', `${[program, ...args].join(' ')} failed: ${said}`));
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input ?? '');
  });
