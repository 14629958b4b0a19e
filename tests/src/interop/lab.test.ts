import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DhtnodeProcess, eventually, type Host, Lan, labNamespaces, type ManagedProcess } from '@atoll/testkit';

const SELF = fileURLToPath(import.meta.url);
const CHILD = 'lab-child';

/** A process that makes a LAN with a node on it, says so, and then ends in the way that it was told. */
async function beChild(end: string): Promise<void> {
  await using lan = await Lan.create({ hosts: 2 });
  await using node = await DhtnodeProcess.start(lan.host(1));
  process.stdout.write(`ready ${node.process.pid}\n`);
  if (end === 'throw') throw new Error('a test went wrong');
  if (end === 'reject') void Promise.reject(new Error('nobody caught it'));
  if (end === 'exit') process.exit(3);
  await new Promise((resolve) => setTimeout(resolve, 600_000));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

if (process.argv[2] === CHILD) await beChild(process.argv[3] ?? '');
else {
  describe('the lab', { concurrency: 3 }, () => {
    for (const end of ['throw', 'reject', 'exit', 'SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      test(`nothing is left of a LAN when its process ends by ${end}`, async () => {
        const child = spawn(process.execPath, [SELF, CHILD, end], { stdio: ['ignore', 'pipe', 'ignore'] });
        const pid = child.pid ?? 0;
        const ended = once(child, 'exit');
        let output = '';
        for await (const chunk of child.stdout) {
          output += chunk;
          if (/ready \d+\n/.test(output)) break;
        }
        const node = Number(/ready (\d+)/.exec(output)?.[1]);
        if (end.startsWith('SIG')) {
          assert.equal(labNamespaces(pid).length, 3);
          assert.ok(isAlive(node));
          process.kill(pid, end as NodeJS.Signals);
        }
        await ended;
        assert.deepEqual(labNamespaces(pid), []);
        await eventually(() => !isAlive(node), 'the node outlived its test', 10_000);
      });
    }

    test('what a killed process left is swept away by the next LAN', async () => {
      const child = spawn(process.execPath, [SELF, CHILD, 'SIGKILL'], { stdio: ['ignore', 'pipe', 'ignore'] });
      const pid = child.pid ?? 0;
      const ended = once(child, 'exit');
      await once(child.stdout, 'data');
      child.kill('SIGKILL');
      await ended;
      assert.equal(labNamespaces(pid).length, 3);
      await using _lan = await Lan.create({ hosts: 1 });
      assert.deepEqual(labNamespaces(pid), []);
    });

    test('links lose packets, and are cut, healed, parted and separated', async () => {
      await using lan = await Lan.create({ hosts: 4, ipv6: true });
      const [a, b, c, d] = [lan.host(0), lan.host(1), lan.host(2), lan.host(3)];
      await using _b = await echoOn(b);
      await using _c = await echoOn(c);
      await using _d = await echoOn(d);
      assert.equal(echoed(a, b.address, 20), 20);
      assert.equal(echoed(a, b.address6, 20), 20);

      a.lose(50);
      const half = echoed(a, b.address, 400);
      assert.ok(half > 100 && half < 300, `${half} of 400 came back`);
      a.loseNothing();
      assert.equal(echoed(a, b.address, 20), 20);

      lan.cut(b);
      assert.equal(echoed(a, b.address, 3), 0);
      assert.equal(echoed(a, c.address, 3), 3);
      lan.heal(b);
      assert.equal(echoed(a, b.address, 3), 3);

      lan.partition([c, d]);
      assert.equal(echoed(a, b.address, 3), 3);
      assert.equal(echoed(a, c.address, 3), 0);
      assert.equal(echoed(c, d.address, 3), 3);
      lan.healAll();
      assert.equal(echoed(a, c.address, 3), 3);

      lan.separate(a, c);
      assert.equal(echoed(a, c.address, 3), 0);
      assert.equal(echoed(a, c.address6, 3), 0);
      assert.equal(echoed(a, b.address, 3), 3);
      assert.equal(echoed(b, c.address, 3), 3);

      const second = lan.addLink(d);
      lan.addLink(a);
      assert.equal(echoed(a, second, 3), 3);
    });
  });
}

const ECHO = `
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(('::', 7))
print('ready', flush=True)
while True: s.sendto(*s.recvfrom(100))
`;

/** Sends datagrams and counts what comes back until it is all or there is silence. */
const COUNT = `
import socket, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
s.settimeout(1.5)
count, back = int(sys.argv[2]), 0
try:
    for i in range(count): s.sendto(b'%d' % i, (sys.argv[1], 7))
    while back < count:
        s.recv(100)
        back += 1
except OSError: pass
print(back)
`;

/** Sends back every datagram to port 7 of a host. */
async function echoOn(host: Host): Promise<ManagedProcess> {
  const echo = host.spawn('python3', ['-c', ECHO]);
  await echo.waitForOutput(/ready/);
  return echo;
}

/** How many of so many datagrams to an address come back. */
function echoed(from: Host, address: string, count: number): number {
  return Number(from.exec('python3', '-c', COUNT, address, String(count)));
}
