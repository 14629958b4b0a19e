import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type Host, Lan, type ManagedProcess } from '@atoll/testkit';
import { Scratch, startTurn, type UclientResult, uclient } from './turn-server-process.js';

const QUOTA = 40;
/** What a flood may cost the server, bytes: far below what it sends. */
const MAX_GROWTH_BYTES = 128 * 1024 * 1024;
const FEW = ['-n', '10', '-m', '2', '-y'];

/** Each attack says “begun” when it is under way and “done …” with its figures at the end. */
const ATTACKS = `import os, random, select, socket, struct, sys, time
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
kind, server = sys.argv[1], sys.argv[2]
random.seed(7)

def hello():
    body = b'\\xfe\\xfd' + os.urandom(32) + b'\\0\\0' + struct.pack('>H', 4) + b'\\xc0\\x2b\\xc0\\x2f' + b'\\1\\0'
    message = b'\\1' + struct.pack('>I', len(body))[1:] + b'\\0\\0\\0\\0\\0' + struct.pack('>I', len(body))[1:] + body
    return b'\\x16\\xfe\\xff' + bytes(8) + struct.pack('>H', len(message)) + message

def stun(method):
    return struct.pack('>HHI', method, 0, 0x2112A442) + os.urandom(12)

def udp(payload, source, port, to):
    datagram = struct.pack('>HHHH', port, to, 8 + len(payload), 0) + payload
    header = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0, source, socket.inet_aton(server))
    return header + datagram

if kind == 'half-open':
    held = []
    for n in range(2600):
        s = socket.create_connection((server, 5349))
        if n % 2: s.send(b'\\x16\\x03\\x01\\x02')
        s.setblocking(False)
        held.append(s)
    print('begun', flush=True)
    poll = select.poll()
    for s in held: poll.register(s, select.POLLIN)
    # All are closed from the other side, late or at once.
    files, closed, end = {s.fileno(): s for s in held}, 0, time.time() + 90
    while closed < len(held) and time.time() < end:
        for fd, _ in poll.poll(1000):
            poll.unregister(fd); files[fd].close(); closed += 1
    print('done', closed, flush=True)
else:
    spoofed = kind != 'one-source'
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) if spoofed else None
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.bind(('', 0)); own.setblocking(False)
    answers = 0
    for n in range(30000):
        source = bytes([10, random.randrange(1, 250), random.randrange(256), random.randrange(1, 255)])
        if spoofed and n % 3 == 0: raw.sendto(udp(hello(), source, 1024 + n, 5349), (server, 0))
        elif spoofed: raw.sendto(udp(stun(3) if n % 3 == 1 else os.urandom(60), source, 1024 + n, 3478), (server, 0))
        else: own.sendto(stun(3), (server, 3478))
        if n == 100: print('begun', flush=True)
        while not spoofed:
            try: own.recv(2000); answers += 1
            except BlockingIOError: break
        if n % 50 == 0: time.sleep(0.01)
    print('done', answers, flush=True)
`;

let lan: Lan;
let server: Host;
let client: Host;
let attacker: Host;
let scratch: Scratch;
let turn: ManagedProcess;

before(async () => {
  lan = await Lan.create({ hosts: 3 });
  [server, client, attacker] = [lan.host(0), lan.host(1), lan.host(2)];
  scratch = await Scratch.make();
  const users = ['-u', 'ring:ring', '-u', 'thief:thief', '-r', 'ring', '--user-quota', String(QUOTA)];
  turn = await startTurn(server, scratch, '-a', ...users, '-L', server.address);
});

after(async () => {
  await turn.stop();
  await lan[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

function memory(): number {
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${turn.pid}/status`, 'latin1')) ?? [];
  return 1024 * Number(kilobytes);
}

/** UDP datagrams that came to the server's host for an open port. */
function datagramsIn(): number {
  const [, received, , , full] = /^Udp: (\d+) (\d+) (\d+) \d+ (\d+)/m.exec(server.exec('cat', '/proc/net/snmp')) ?? [];
  return Number(received) + Number(full);
}

function honest(...how: string[]): Promise<UclientResult> {
  return uclient(client, '-u', 'ring', '-w', 'ring', ...FEW, ...how, server.address);
}

/** Runs an attack, and honest clients in the middle of it; resolves to the figure it ends with. */
async function under(kind: string, ...clients: string[][]): Promise<number> {
  const before = memory();
  await using attack = attacker.spawn('python3', ['-c', ATTACKS, kind, server.address]);
  await attack.waitForOutput(/begun/, 60_000);
  for (const result of await Promise.all(clients.map((how) => honest(...how)))) {
    assert.equal(result.exitCode, 0, result.output.slice(-2000));
    assert.ok(result.sent > 0 && result.received === result.sent, result.output.slice(-2000));
  }
  const [, figure] = await attack.waitForOutput(/done (\d+)/, 120_000);
  const growth = memory() - before;
  assert.ok(growth < MAX_GROWTH_BYTES, `the server grew by ${growth} bytes`);
  return Number(figure);
}

test('DTLS ClientHellos, requests and rubbish from made-up addresses leave nothing behind; honest clients get in', async () => {
  const before = datagramsIn();
  await under('made-up', ['-S'], [], ['-t']);
  assert.ok(datagramsIn() - before > 30_000, 'the flood did not come to the server');
});

test('unauthorized requests of one address are answered up to the limit, and others go on', async () => {
  const answers = await under('one-source', []);
  assert.ok(answers >= 1000 && answers < 10_000, `${answers} of 30,000 were answered`);
});

test('half-open TLS connections of one address are bounded and end in time, a user’s allocations end at his quota', async () => {
  const flood = attacker.spawn('turnutils_uclient', ['-u', 'thief', '-w', 'thief', '-y', '-m', '200', server.address]);
  assert.equal(await under('half-open', ['-t'], []), 2600);
  await flood.waitForOutput(/486|[Qq]uota/, 60_000);
  await flood.kill();
});
