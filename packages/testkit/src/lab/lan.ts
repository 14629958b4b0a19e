import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { onProcessEnd } from './cleanup.js';
import { ManagedProcess } from './managed-process.js';

/** Namespaces of the lab are named `atoll-<pid>-<lan>-<host>`: what a dead process left is known by its pid. */
const PREFIX = 'atoll';
const LOSS_TABLE = 'atoll_loss';
/** What lies here under a namespace's name stands in `/etc` for what `ip netns exec` runs in it. */
const OWN_ETC = '/etc/netns';
let lans = 0;

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** One host of a {@link Lan}: a network namespace with one link. */
export class Host {
  /** Name of the namespace. */
  readonly name: string;
  readonly number: number;
  /** IPv4 address. */
  readonly address: string;
  /** IPv6 address; only in a LAN made with `ipv6`. */
  readonly address6: string;

  constructor(name: string, number: number, address: string, address6: string) {
    this.name = name;
    this.number = number;
    this.address = address;
    this.address6 = address6;
  }

  /** Runs a command on the host to its end; returns its stdout, throws when it fails. */
  exec(command: string, ...args: string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.name, command, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Starts a command on the host. */
  spawn(command: string, args: readonly string[], env?: NodeJS.ProcessEnv): ManagedProcess {
    // `ip netns exec` becomes the command, so its process is the command's.
    return new ManagedProcess(`${command} on ${this.name}`, 'ip', ['netns', 'exec', this.name, command, ...args], env);
  }

  /** Gives the host a folder of `/etc` of its own, beginning as a copy of the machine's. */
  ownEtc(folder: string): void {
    mkdirSync(join(OWN_ETC, this.name), { recursive: true });
    cpSync(join('/etc', folder), join(OWN_ETC, this.name, folder), { recursive: true });
  }

  /** Processes that run on the host, by their ids. */
  pids(): number[] {
    return ip('netns', 'pids', this.name)
      .split('\n')
      .filter((line) => line !== '')
      .map(Number);
  }

  /**
   * Loses a share of what the host sends, in silence. By nftables and not by `tc netem`, which small kernels lack; the
   * sender hears of no error.
   */
  lose(percent: number): void {
    this.exec(
      'nft',
      `table netdev ${LOSS_TABLE} {
        chain egress {
          type filter hook egress device "eth0" priority 0;
          numgen random mod 1000 < ${Math.round(percent * 10)} drop
        }
      }
      `,
    );
  }

  /** Loses nothing any more. */
  loseNothing(): void {
    this.exec('nft', 'delete', 'table', 'netdev', LOSS_TABLE);
  }

  /** Makes what the host sends late, by `tc netem`; throws where the kernel has no such thing. */
  delay(delayMs: number, jitterMs = 0): void {
    this.exec('tc', 'qdisc', 'replace', 'dev', 'eth0', 'root', 'netem', 'delay', `${delayMs}ms`, `${jitterMs}ms`);
  }
}

export interface LanOptions {
  readonly hosts: number;
  /** IPv6 beside IPv4. Not for hosts that run a real jamid of 2023, which blocks in its IPv6 address scan. */
  readonly ipv6?: boolean;
}

/**
 * A LAN of network namespaces on one bridge, without any way out. Needs root.
 *
 * ```ts
 * await using lan = await Lan.create({ hosts: 3 });
 * const [alice, bob, hub] = lan.hosts;
 * ```
 */
export class Lan {
  readonly hosts: readonly Host[];
  /** The network in CIDR form. */
  readonly network: string;
  private readonly hasIpv6: boolean;
  private readonly switchName: string;
  private readonly takeDown: () => void;

  private constructor(
    hosts: readonly Host[],
    network: string,
    hasIpv6: boolean,
    switchName: string,
    takeDown: () => void,
  ) {
    this.hosts = hosts;
    this.network = network;
    this.hasIpv6 = hasIpv6;
    this.switchName = switchName;
    this.takeDown = takeDown;
  }

  static async create({ hosts: count, ipv6 = false }: LanOptions): Promise<Lan> {
    sweepDead();
    const number = lans++;
    const base = `${PREFIX}-${process.pid}-${number}`;
    // LANs never meet, so they may share addresses; different ones make logs easier to read.
    const third = (process.pid + number) % 200;
    const switchName = `${base}-sw`;
    const made: string[] = [];
    const takeDown = onProcessEnd(() => {
      for (const name of made) remove(name);
    });
    const add = (name: string): void => {
      ip('netns', 'add', name);
      made.push(name);
    };
    try {
      add(switchName);
      for (const bridge of ['br0', 'br1']) {
        ip('-n', switchName, 'link', 'add', bridge, 'type', 'bridge');
        ip('-n', switchName, 'link', 'set', bridge, 'up');
      }
      const hosts: Host[] = [];
      for (let i = 1; i <= count; i++) {
        const host = new Host(`${base}-${i}`, i, `10.77.${third}.${i}`, `fd77:${number + 1}::${i}`);
        add(host.name);
        if (!ipv6) host.exec('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1');
        ip('-n', host.name, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', `p${i}`, 'netns', switchName);
        ip('-n', host.name, 'addr', 'add', `${host.address}/24`, 'dev', 'eth0');
        if (ipv6) ip('-n', host.name, 'addr', 'add', `${host.address6}/64`, 'dev', 'eth0', 'nodad');
        ip('-n', host.name, 'link', 'set', 'lo', 'up');
        ip('-n', host.name, 'link', 'set', 'eth0', 'up');
        ip('-n', host.name, 'route', 'add', 'default', 'dev', 'eth0');
        ip('-n', switchName, 'link', 'set', `p${i}`, 'master', 'br0');
        ip('-n', switchName, 'link', 'set', `p${i}`, 'up');
        hosts.push(host);
      }
      return new Lan(hosts, `10.77.${third}.0/24`, ipv6, switchName, takeDown);
    } catch (error) {
      takeDown();
      throw error;
    }
  }

  /** A host by its place, from 0; throws when there is none. */
  host(index: number): Host {
    const host = this.hosts[index];
    if (host === undefined) throw new Error(`the LAN has ${this.hosts.length} hosts`);
    return host;
  }

  /** Pulls the cable of a host. */
  cut(host: Host): void {
    ip('-n', this.switchName, 'link', 'set', `p${host.number}`, 'down');
  }

  /** Puts the cable back. */
  heal(host: Host): void {
    ip('-n', this.switchName, 'link', 'set', `p${host.number}`, 'up');
  }

  /** Moves some hosts to a second switch: both halves go on by themselves. */
  partition(others: readonly Host[]): void {
    for (const host of others) ip('-n', this.switchName, 'link', 'set', `p${host.number}`, 'master', 'br1');
  }

  /** Two hosts no longer reach each other, in silence, though both reach everybody else. */
  separate(one: Host, other: Host): void {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      // Frames for an address that no card has: nobody takes them, and the sender hears of no error.
      for (const address of this.hasIpv6 ? [to.address, to.address6] : [to.address]) {
        from.exec('ip', 'neigh', 'replace', address, 'lladdr', '02:00:00:00:00:00', 'dev', 'eth0', 'nud', 'permanent');
      }
    }
  }

  /**
   * Gives a host a second link, `eth1`, to a second switch, on which nothing else is. Returns its IPv4 address there;
   * its IPv6 address is the same number in `fd78:…`.
   */
  addLink(host: Host): string {
    const address = host.address.replace('10.77.', '10.78.');
    ip(
      '-n',
      host.name,
      'link',
      'add',
      'eth1',
      'type',
      'veth',
      'peer',
      'name',
      `q${host.number}`,
      'netns',
      this.switchName,
    );
    ip('-n', host.name, 'addr', 'add', `${address}/24`, 'dev', 'eth1');
    if (this.hasIpv6) {
      ip('-n', host.name, 'addr', 'add', `${host.address6.replace('fd77:', 'fd78:')}/64`, 'dev', 'eth1', 'nodad');
    }
    ip('-n', host.name, 'link', 'set', 'eth1', 'up');
    ip('-n', this.switchName, 'link', 'set', `q${host.number}`, 'master', 'br1');
    ip('-n', this.switchName, 'link', 'set', `q${host.number}`, 'up');
    return address;
  }

  /** Everybody on one switch again, all cables in. */
  healAll(): void {
    for (const host of this.hosts) {
      ip('-n', this.switchName, 'link', 'set', `p${host.number}`, 'master', 'br0');
      this.heal(host);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.takeDown();
  }
}

/** Names of lab namespaces on this machine; of one process when a pid is given. */
export function labNamespaces(pid?: number): string[] {
  const pattern = new RegExp(`^${PREFIX}-${pid ?? '\\d+'}-`);
  return ip('netns', 'list')
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => pattern.test(name));
}

/** Takes away what processes left that are gone. */
function sweepDead(): void {
  for (const name of labNamespaces()) {
    const pid = Number(name.split('-')[1]);
    try {
      process.kill(pid, 0);
    } catch {
      remove(name);
    }
  }
}

function remove(name: string): void {
  ip('netns', 'del', name);
  if (existsSync(OWN_ETC)) rmSync(join(OWN_ETC, name), { recursive: true, force: true });
}
