import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually, ManagedProcess } from '@atoll/testkit';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
/** Exposure of the unit as systemd counts it, in tenths: 10 is the least, 100 nothing at all done about it. */
const MOST_EXPOSURE = 25;
/** Somebody who may do nothing, as systemd's dynamic users. */
const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

/** Prints what sd_notify(3) is told. */
const LISTENER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('listening', flush=True)
while True: print('told ' + ' '.join(s.recv(4096).decode().split()), flush=True)
`;

/** This machine's Debian with a layer on top that is gone afterwards, and a network of its own: a place to install into. */
class ThrowAwayDebian {
  private readonly holder: ManagedProcess;
  private readonly folder: string;

  private constructor(holder: ManagedProcess, folder: string) {
    this.holder = holder;
    this.folder = folder;
  }

  static async start(): Promise<ThrowAwayDebian> {
    const folder = await mkdtemp(join(tmpdir(), 'atoll-deb-'));
    const script = `set -e
      ip link set lo up
      mount -t tmpfs none ${folder}
      mkdir ${folder}/upper ${folder}/work ${folder}/root
      mount -t overlay none -o lowerdir=/,upperdir=${folder}/upper,workdir=${folder}/work ${folder}/root
      mount -t proc none ${folder}/root/proc
      mount --rbind /dev ${folder}/root/dev
      echo mounted
      exec cat`;
    const holder = new ManagedProcess('throw-away Debian', 'unshare', [
      ...['--mount', '--net', '--propagation', 'private'],
      ...['sh', '-c', script],
    ]);
    await holder.waitForOutput(/mounted/);
    return new ThrowAwayDebian(holder, folder);
  }

  run(...command: string[]): string {
    const [program = '', ...args] = this.enter(command);
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  spawn(name: string, command: readonly string[]): ManagedProcess {
    const [program = '', ...args] = this.enter(command);
    return new ManagedProcess(name, program, args);
  }

  has(path: string): boolean {
    return this.run('sh', '-c', `if [ -e ${path} ]; then echo yes; fi`) === 'yes\n';
  }

  private enter(command: readonly string[]): string[] {
    const path = 'PATH=/usr/sbin:/usr/bin:/sbin:/bin';
    const where = ['nsenter', `--target=${this.holder.pid}`, '--mount', '--net', 'chroot', `${this.folder}/root`];
    return [...where, 'env', '-i', path, 'LC_ALL=C', ...command];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.holder.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}

test('the Debian package is installed, runs by its unit, keeps the state when removed and takes all when purged', async () => {
  execFileSync(process.execPath, [join(ROOT, 'scripts/deb.mjs')], { stdio: ['ignore', 'pipe', 'pipe'] });
  const name = readdirSync(join(ROOT, 'output')).find((file) => /^atoll_.*\.deb$/.test(file)) ?? '';
  await using debian = await ThrowAwayDebian.start();
  // The package brings its own.
  debian.run('sh', '-c', 'rm -f /usr/bin/node /usr/local/bin/node');
  debian.run('dpkg', '--install', join(ROOT, 'output', name));
  assert.match(debian.run('atoll', '--version'), /^\d+\.\d+\.\d+\n$/);
  assert.ok(debian.has('/etc/systemd/system/multi-user.target.wants/atoll.service'), 'starts with the machine');

  const unit = debian.run('cat', '/lib/systemd/system/atoll.service');
  debian.run('systemd-analyze', 'verify', '/lib/systemd/system/atoll.service');
  const security = ['security', '--offline=true', `--threshold=${MOST_EXPOSURE}`, '--no-pager'];
  debian.run('systemd-analyze', ...security, '/lib/systemd/system/atoll.service');

  debian.run('install', '--directory', '--owner=65534', '--group=65534', '--mode=700', '/var/lib/atoll', '/run/atoll');
  await using listener = debian.spawn('systemd', [...NOBODY, 'python3', '-c', LISTENER, '/run/atoll/notify']);
  await listener.waitForOutput(/listening/);
  const [, start = ''] = /^ExecStart=(.*)$/m.exec(unit) ?? [];
  const command = start.replaceAll('%t', '/run').split(' ');
  const hub = debian.spawn('atoll', [...NOBODY, 'env', 'NOTIFY_SOCKET=/run/atoll/notify', ...command]);
  await hub.waitForOutput(/Bootstrap/);
  const [, pid = ''] = await listener.waitForOutput(/told MAINPID=(\d+) READY=1|told READY=1 MAINPID=(\d+)/);
  assert.ok(debian.has('/run/atoll/ready.json'));
  assert.equal(debian.run('readlink', `/proc/${hub.pid}/exe`), '/usr/lib/atoll/node\n');
  assert.equal(pid === '' ? hub.pid : Number(pid), hub.pid);
  await hub.stop();
  assert.equal(hub.exitCode, 0, hub.output);
  assert.ok(!debian.has('/run/atoll/ready.json'));

  debian.run('dpkg', '--remove', 'atoll');
  assert.deepEqual(
    ['/usr/lib/atoll', '/usr/bin/atoll', '/var/lib/atoll/names.db', '/etc/atoll/atoll.yaml'].map((path) =>
      debian.has(path),
    ),
    [false, false, true, true],
  );
  debian.run('dpkg', '--purge', 'atoll');
  await eventually(() => !debian.has('/var/lib/atoll') && !debian.has('/etc/atoll'), 'purge leaves something');
  assert.ok(!existsSync('/usr/lib/atoll'), 'nothing of it on this machine');
});
