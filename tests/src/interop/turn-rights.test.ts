import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Lan } from '@atoll/testkit';
import { ATOLL, Scratch, startTurn, uclient } from './turn-server-process.js';

const USER = ['--lt-cred-mech', '--user', 'ann:secret', '--realm', 'example.org'];
const SERVES = /serves TURN in the realm/;

test('a TURN server gives the rights of root away and goes on serving', async () => {
  await using lan = await Lan.create({ hosts: 2 });
  const [server, client] = [lan.host(0), lan.host(1)];
  using scratch = await Scratch.make();
  for (const { args, ids } of [
    // On Debian, the user nobody has the group nogroup.
    { args: ['--proc-user', 'nobody'], ids: [65_534, 65_534] },
    { args: ['--proc-user', 'nobody', '--proc-group', 'daemon'], ids: [65_534, 1] },
  ]) {
    const log = scratch.file('log');
    await using turn = await startTurn(server, scratch, '--listening-port', '443', '-l', log, ...args, ...USER);
    const status = readFileSync(`/proc/${turn.pid}/status`, 'utf8');
    const idsOf = (name: string): number[] =>
      (new RegExp(`^${name}:(.*)$`, 'm').exec(status)?.[1] ?? '').trim().split(/\s+/).map(Number);
    const [uid, gid] = ids;
    assert.deepEqual([idsOf('Uid'), idsOf('Gid')], [Array(4).fill(uid), Array(4).fill(gid)]);
    assert.ok(!idsOf('Groups').includes(0), 'nothing of root is left');
    const who = ['-u', 'ann', '-w', 'secret', '-p', '443', '-y', '-n', '3', '-m', '1', '-l', '100'];
    const result = await uclient(client, ...who, server.address);
    assert.ok(result.sent > 0 && result.received === result.sent, result.output.slice(-2000));
  }
});

test('a TURN server that cannot become the wanted user does not serve', async () => {
  await using lan = await Lan.create({ hosts: 1 });
  const args = [ATOLL, 'turn', '-n', '--proc-user', 'no-such-user', ...USER];
  await using turn = lan.host(0).spawn(process.execPath, args, { LC_ALL: 'C' });
  assert.equal(await turn.ended(60_000), 2);
  assert.match(turn.output, /proc-user/);
  assert.doesNotMatch(turn.output, SERVES);
});

test('a TURN server writes to the system log, with facility and severity', async () => {
  await using lan = await Lan.create({ hosts: 1 });
  const host = lan.host(0);
  using scratch = await Scratch.make();
  const socket = scratch.file('log');
  const listen = `import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1])
print('listens')
while True: print(s.recv(65536).decode())`;
  await using systemLog = host.spawn('python3', ['-u', '-c', listen, socket]);
  await systemLog.waitForOutput(/listens/);
  // What runs on a host of the lab has mounts of its own: here a /dev in which the log is ours.
  const ownDev = `set -e; mkdir "$1"; mount --bind /dev "$1"; mount -t tmpfs none /dev
for device in null urandom random; do touch /dev/$device; mount --bind "$1/$device" /dev/$device; done
ln -s "$2" /dev/log; shift 2; exec "$@"`;
  const args = [ATOLL, 'turn', '-n', '--syslog', '--syslog-facility', 'local3', ...USER];
  await using turn = host.spawn('sh', ['-c', ownDev, 'sh', scratch.file('dev'), socket, process.execPath, ...args], {
    LC_ALL: 'C',
  });
  const [, priority] = await systemLog.waitForOutput(/<(\d+)>.* turnserver.*: INFO: .*serves TURN in the realm/);
  assert.equal(Number(priority), (19 << 3) | 6, 'local3, informational');
  assert.doesNotMatch(turn.output, SERVES, 'and not to the terminal as well');
});
