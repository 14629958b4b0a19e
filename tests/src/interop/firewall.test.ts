import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { DhtnodeProcess, eventually, type Host, Lan, ManagedProcess } from '@atoll/testkit';
import { ATOLL, Scratch, uclient } from './turn-server-process.js';

/** Ports of a program that is none of ours: nothing opens the first, and the second lies among the relay ports. */
const STRANGER_PORT = 9999;
const RELAY_PORT = 50_000;

interface Ready {
  readonly dht: { readonly bootstrap: string };
  readonly proxy: { readonly url: string };
  readonly names: { readonly url: string };
  readonly turn: { readonly port: number; readonly user: string; readonly password: string };
}

let lan: Lan;
let server: Host;
let client: Host;
let scratch: Scratch;
let ready: Ready;
const running: ManagedProcess[] = [];

before(async () => {
  lan = await Lan.create({ hosts: 2 });
  [server, client] = [lan.host(0), lan.host(1)];
  scratch = await Scratch.make();
  const args = ['--state', scratch.file('state'), '--dht-port', '0', '--ready-file', scratch.file('ready.json')];
  const hub = server.spawn(process.execPath, [ATOLL, 'up', ...args], { LC_ALL: 'C' });
  running.push(hub);
  await hub.waitForOutput(/TURN server: +\S+:3478/, 60_000);
  ready = JSON.parse(readFileSync(scratch.file('ready.json'), 'utf8')) as Ready;
  for (const port of [STRANGER_PORT, RELAY_PORT]) {
    const stranger = server.spawn('python3', ['-u', '-m', 'http.server', '-d', '/var/empty', String(port)]);
    running.push(stranger);
    await stranger.waitForOutput(/Serving HTTP/);
  }
  const peer = client.spawn('turnutils_peer', ['-L', client.address, '-p', '3480']);
  running.push(peer);
  await eventually(() => client.exec('ss', '-uln').includes(':3480'), 'turnutils_peer does not listen');
});

after(async () => {
  for (const process of running.reverse()) await process.stop();
  await lan[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

afterEach(() => {
  server.exec('nft', 'flush', 'ruleset');
});

/** `atoll firewall` on the host of the hub. */
function firewall(...args: string[]): { changes: number } {
  const output = server.exec(
    ...([process.execPath, ATOLL, 'firewall', '--ready-file', scratch.file('ready.json'), '--json', ...args] as const),
  );
  return { changes: (JSON.parse(output) as { commands: unknown[] }).commands.length };
}

/** Whether a TCP port of the hub's host answers the client; a firewall that drops lets it wait in vain. */
function answers(url: string): boolean {
  try {
    client.exec('curl', '-s', '-o', '/dev/null', '--max-time', '1', url);
    return true;
  } catch {
    return false;
  }
}

/** Asks for what is announced on the LAN, from a port that nothing was sent to before. */
function discovers(): boolean {
  const ask = `import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)
s.sendto(b'\\xa1q', ('${server.address}', 8888)); print(b'dht' in s.recv(1500))`;
  try {
    return client.exec('python3', '-c', ask).startsWith('True');
  } catch {
    return false;
  }
}

/** Whether the hub tells who asks the LAN for `atoll.local`. */
function isNamed(): boolean {
  const ask = `import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)
s.sendto(bytes(5) + b'\\1' + bytes(6) + b'\\5atoll\\5local\\0\\0\\1\\0\\1', ('224.0.0.251', 5353))
print(socket.inet_aton('${server.address}') in s.recv(1500))`;
  try {
    return client.exec('python3', '-c', ask).startsWith('True');
  } catch {
    return false;
  }
}

async function everythingWorks(): Promise<void> {
  await using node = await DhtnodeProcess.start(client, { args: ['-b', ready.dht.bootstrap] });
  await node.connected();
  assert.ok(discovers(), 'discovery');
  await eventually(isNamed, 'the hub has no name');
  assert.ok(answers(`${ready.proxy.url}/node/info`), 'proxy');
  assert.ok(answers(`${ready.names.url}/health`), 'name server');
  const { port, user, password } = ready.turn;
  const who = ['-u', user, '-w', password, '-e', client.address, '-r', '3480', '-p', String(port)];
  for (const transport of [[], ['-t']]) {
    const result = await uclient(client, ...transport, ...who, '-n', '3', '-m', '1', '-l', '100', server.address);
    assert.ok(result.sent > 0 && result.received === result.sent, result.output.slice(-2000));
  }
  assert.ok(answers(`http://${server.address}:${RELAY_PORT}/`), 'relay ports');
}

function everythingIsClosed(): void {
  assert.equal(answers(`${ready.names.url}/health`), false);
  assert.equal(discovers(), false);
}

async function namesWork(): Promise<void> {
  assert.ok(answers(`${ready.names.url}/health`));
}

/** Opens, works, is not changed by a second time, follows a change, and leaves no trace. */
async function goesThrough(format: string, rules: () => string, works: () => Promise<void>): Promise<void> {
  everythingIsClosed();
  const untouched = rules();
  assert.ok(firewall('--format', format, '--apply', '--dry-run').changes > 0);
  assert.equal(rules(), untouched, 'a dry run changes nothing');
  assert.ok(firewall('--format', format, '--apply').changes > 0);
  assert.equal(firewall('--format', format, '--apply').changes, 0, 'a second time changes nothing');
  await works();
  assert.equal(answers(`http://${server.address}:${STRANGER_PORT}/`), false, 'a port that was not opened');
  assert.ok(firewall('--format', format, '--apply', '--peer-discovery', 'false').changes > 0);
  assert.ok(firewall('--format', format, '--remove').changes > 0);
  assert.equal(rules(), untouched, 'nothing of ours is left');
}

test('iptables: a machine that is closed opens for the hub, and for nothing else', async () => {
  for (const rule of ['-i lo -j ACCEPT', '-m state --state ESTABLISHED,RELATED -j ACCEPT', '-j DROP']) {
    server.exec('iptables', '-A', 'INPUT', ...rule.split(' '));
  }
  await goesThrough('iptables', () => server.exec('iptables', '-S'), everythingWorks);
  // What is printed can be loaded as it is.
  writeFileSync(scratch.file('rules'), printed('iptables'));
  server.exec('iptables', '-D', 'INPUT', '-j', 'DROP');
  server.exec('iptables', '-P', 'INPUT', 'DROP');
  server.exec('sh', '-c', `iptables-restore --noflush < ${scratch.file('rules')}`);
  assert.ok(answers(`${ready.names.url}/health`));
  writeFileSync(scratch.file('rules'), printed('ip6tables'));
  server.exec('sh', '-c', `ip6tables-restore --noflush < ${scratch.file('rules')}`);
  assert.equal(firewall('--format', 'iptables', '--apply').changes, 0, 'and is known');
  assert.equal(firewall('--format', 'ip6tables', '--apply').changes, 0, 'and is known');
});

test('nftables: a machine that is closed opens for the hub, and for nothing else', async () => {
  const closed = `table inet filter {
    chain input {
      type filter hook input priority 0; policy drop;
      iifname "lo" accept
      ct state established,related accept
      counter drop
    }
  }
  table ip second {
    chain in {
      type filter hook input priority 10; policy drop;
      iifname "lo" accept
      ct state established,related accept
    }
  }
  `;
  server.exec('nft', closed);
  assert.equal(isNamed(), false);
  await goesThrough('nftables', () => server.exec('nft', '-s', 'list', 'ruleset'), everythingWorks);
  server.exec('nft', 'delete', 'table', 'ip', 'second');
  writeFileSync(
    scratch.file('rules'),
    printed('nftables').replace(/^add rule inet filter input/m, 'insert rule inet filter input'),
  );
  server.exec('nft', '-f', scratch.file('rules'));
  assert.ok(answers(`${ready.names.url}/health`));
  assert.equal(firewall('--format', 'nftables', '--apply').changes, 0, 'what was printed is known');
});

test('ufw: a machine that is closed opens for the hub, and for nothing else', async () => {
  server.ownEtc('ufw');
  server.exec('ufw', '--force', 'enable');
  await goesThrough('ufw', () => server.exec('ufw', 'show', 'added'), namesWork);
});

test('firewalld: a machine that is closed opens for the hub, and for nothing else', async () => {
  server.ownEtc('firewalld');
  // Not running yet: the rules are there when it starts.
  assert.ok(firewall('--format', 'firewalld', '--apply').changes > 0);
  assert.equal(firewall('--format', 'firewalld', '--apply').changes, 0);
  assert.ok(firewall('--format', 'firewalld', '--remove').changes > 0);
  const bus = `unix:path=${scratch.file('bus')}`;
  await using busDaemon = new ManagedProcess('dbus-daemon', 'dbus-daemon', [
    '--session',
    `--address=${bus}`,
    '--nofork',
    '--nopidfile',
    '--print-address=1',
  ]);
  await busDaemon.waitForOutput(/unix:path=/);
  process.env.DBUS_SYSTEM_BUS_ADDRESS = bus;
  try {
    await using daemon = server.spawn('firewalld', ['--nofork', '--nopid', '--log-file', scratch.file('log')]);
    await eventually(() => {
      try {
        return server.exec('firewall-cmd', '--state').includes('running');
      } catch {
        return false;
      }
    }, `firewalld does not run: ${daemon.output}`);
    assert.equal(answers(`${ready.names.url}/health`), false);
    assert.ok(firewall('--format', 'firewalld', '--apply').changes > 0);
    await namesWork();
    assert.equal(answers(`http://${server.address}:${STRANGER_PORT}/`), false, 'a port that was not opened');
    assert.ok(firewall('--format', 'firewalld', '--remove').changes > 0);
    assert.equal(answers(`${ready.names.url}/health`), false);
  } finally {
    delete process.env.DBUS_SYSTEM_BUS_ADDRESS;
  }
});

function printed(format: string): string {
  return server.exec(
    process.execPath,
    ATOLL,
    'firewall',
    '--ready-file',
    scratch.file('ready.json'),
    '--format',
    format,
  );
}
