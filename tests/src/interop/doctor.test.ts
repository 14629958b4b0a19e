import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DhtnodeProcess, type Host, Lan, type ManagedProcess } from '@atoll/testkit';
import { ATOLL, Scratch } from './turn-server-process.js';

/** What `atoll doctor --json` prints. */
interface Findings {
  readonly isWell: boolean;
  readonly findings: readonly {
    readonly id: string;
    readonly severity: string;
    readonly sentence: string;
    readonly remedy?: string;
    readonly facts?: Readonly<Record<string, unknown>>;
  }[];
}

interface Diagnosis {
  readonly exitCode: number | null;
  readonly findings: Findings;
  readonly faults: readonly string[];
}

const LIMIT_MS = 60_000;
const CAPTIVE_DNS = fileURLToPath(new URL('captive-dns-main.js', import.meta.url));
/** Guests that take part; each one has its own fault. */
const GUESTS = 14;
let lan: Lan;
let scratch: Scratch;
let ready: string;
const running: ManagedProcess[] = [];
let isMounted = false;

/** Starts a hub whose ready file and state are called `name`. */
async function startHub(host: Host, name: string, args: readonly string[] = [], shell = ''): Promise<string> {
  const readyFile = scratch.file(`${name}.json`);
  const command = [ATOLL, 'up', '--state', scratch.file(name), '--ready-file', readyFile, ...args];
  const script = `${shell} exec "$0" "$@"`;
  const hub = host.spawn('sh', ['-c', script, process.execPath, ...command], { LC_ALL: 'C' });
  running.push(hub);
  await hub.waitForOutput(/Stop with Ctrl-C/, LIMIT_MS);
  return readyFile;
}

/** Runs the doctor on a host; `resolver` is the DNS server that the host is told of. */
async function diagnose(
  host: Host,
  args: readonly string[],
  { env = {}, resolver }: { env?: NodeJS.ProcessEnv; resolver?: string } = {},
): Promise<Diagnosis> {
  const command = [process.execPath, ATOLL, 'doctor', '--json', '--limit', '10', ...args];
  let run = command;
  if (resolver !== undefined) {
    const path = scratch.file(`resolv-${host.number}`);
    writeFileSync(path, `nameserver ${resolver}\n`);
    run = ['unshare', '-m', 'sh', '-c', `mount --bind ${path} /etc/resolv.conf && exec "$0" "$@"`, ...command];
  }
  const [program = '', ...rest] = run;
  const doctor = host.spawn(program, rest, { LC_ALL: 'C', XDG_STATE_HOME: scratch.file('none'), ...env });
  const exitCode = await doctor.ended(LIMIT_MS);
  const findings = JSON.parse(doctor.output) as Findings;
  const faults = findings.findings.filter(({ severity }) => severity === 'fault');
  for (const { id, remedy, sentence } of faults) {
    assert.ok(remedy !== undefined && remedy.length > 20, `${id} has a remedy`);
    assert.doesNotMatch(sentence + remedy, /\?|undefined/, `${id}: every place of the sentence is filled`);
  }
  return { exitCode, findings, faults: faults.map(({ id }) => id) };
}

/** The fault is found, and the exit code says that something is wrong. */
function assertFound({ faults, exitCode, findings }: Diagnosis, ...ids: string[]): void {
  for (const id of ids) assert.ok(faults.includes(id), `${id} is not in:\n${JSON.stringify(findings, undefined, 1)}`);
  assert.equal(exitCode, 1);
}

/** The only fault. */
function assertOnly(diagnosis: Diagnosis, ...ids: string[]): void {
  assertFound(diagnosis, ...ids);
  assert.deepEqual([...new Set(diagnosis.faults)].sort(), [...ids].sort());
}

/** Drops what a host sends, out of sight of its own firewall: as if it happened in the network. */
function plant(host: Host, match: string): void {
  const chain = `chain egress {\ntype filter hook egress device "eth0" priority 0\n${match} drop\n}`;
  host.exec('nft', `table netdev planted {\n${chain}\n}\n`);
}

/** A copy of the good hub's ready file with a mistake in it. */
function mistaken(name: string, change: (facts: Record<string, Record<string, unknown>>) => void): string {
  const facts = JSON.parse(readFileSync(ready, 'utf8')) as Record<string, Record<string, unknown>>;
  change(facts);
  const path = scratch.file(`${name}.json`);
  writeFileSync(path, JSON.stringify(facts));
  return path;
}

/** A self-signed certificate for an address that was good until yesterday, or is good for a year. */
function certificate(name: string, address: string, isExpired: boolean): string[] {
  const [cert, key] = [scratch.file(`${name}.crt`), scratch.file(`${name}.key`)];
  const template = scratch.file(`${name}.cfg`);
  const [begins, ends] = isExpired ? ['2020-01-01', '2021-01-01'] : ['2020-01-01', '2099-01-01'];
  writeFileSync(
    template,
    `cn = hub\nip_address = ${address}\nactivation_date = "${begins}"\nexpiration_date = "${ends}"\n`,
  );
  const certtool = (...args: string[]): Buffer => execFileSync('certtool', args, { stdio: 'pipe' });
  certtool('--generate-privkey', '--key-type', 'ecdsa', '--outfile', key);
  certtool('--generate-self-signed', '--load-privkey', key, '--template', template, '--outfile', cert);
  return ['--certificate', cert, '--private-key', key];
}

before(async () => {
  lan = await Lan.create({ hosts: GUESTS + 4 });
  scratch = await Scratch.make();
  ready = await startHub(lan.host(0), 'good');
});

after(async () => {
  for (const each of running) await each.stop();
  await lan?.[Symbol.asyncDispose]();
  if (isMounted) execFileSync('umount', [scratch.file('full')]);
  scratch?.[Symbol.dispose]();
});

test('on a healthy network nothing is found, by guest and hub, with and without a word of where the hub is', async () => {
  const all = await Promise.all([
    diagnose(lan.host(1), ['--ready-file', ready]),
    diagnose(lan.host(2), []),
    diagnose(lan.host(0), ['--state', scratch.file('good')]),
  ]);
  for (const { exitCode, findings } of all) {
    const bad = findings.findings.filter(({ severity }) => severity === 'fault' || severity === 'warning');
    assert.deepEqual(bad, []);
    assert.ok(findings.isWell);
    assert.equal(exitCode, 0);
  }
  const [guest] = all;
  const good = new Set(guest?.findings.findings.map(({ id }) => id));
  const wanted = ['multicast-good', 'dht-good', 'proxy-good', 'names-good', 'turn-good', 'mtu-good', 'loss-good'];
  for (const id of wanted) assert.ok(good.has(id), id);
});

test('each fault planted in the network is found by the guest that suffers from it', async () => {
  const next = (() => {
    let number = 1;
    return (): Host => lan.host(number++);
  })();
  const planted = async (match: string, ...ids: string[]): Promise<void> => {
    const host = next();
    plant(host, match);
    assertOnly(await diagnose(host, ['--ready-file', ready]), ...ids);
  };
  const { address } = lan.host(0);
  const dns = lan.host(0).spawn(process.execPath, [CAPTIVE_DNS, address]);
  running.push(dns);
  await dns.waitForOutput(/answers everything/, LIMIT_MS);
  const wrongPassword = mistaken('password', ({ turn = {} }) => {
    turn.password = 'wrong';
  });
  const nothingThere = mistaken('ports', ({ dht = {}, proxy = {}, names = {} }) => {
    dht.bootstrap = `${address}:4299`;
    proxy.url = `http://${address}:8089`;
    names.url = `http://${address}:8009`;
  });
  const late = { NODE_OPTIONS: `--import "data:text/javascript,const n=Date.now;Date.now=()=>n()+3600e3"` };
  const lossy = next();
  const homeless = next();
  const [one, two, three, four, five] = [next(), next(), next(), next(), next()];
  lossy.lose(10);
  homeless.exec('ip', 'addr', 'flush', 'dev', 'eth0');
  await Promise.all([
    planted('ip daddr 239.192.0.1', 'multicast-blocked'),
    planted('udp dport 4222', 'dht-silent'),
    planted('tcp dport 8080', 'proxy-silent'),
    planted('udp dport 49152-65535', 'turn-relay-closed'),
    planted('udp dport 3478', 'turn-silent'),
    planted('ip length > 1280', 'mtu-black-hole'),
    diagnose(one, ['--ready-file', wrongPassword]).then((found) => assertOnly(found, 'turn-password-wrong')),
    diagnose(two, ['--ready-file', nothingThere]).then((found) =>
      assertOnly(found, 'dht-closed', 'proxy-closed', 'names-closed'),
    ),
    diagnose(lossy, ['--ready-file', ready]).then((found) => assertOnly(found, 'loss-high')),
    diagnose(homeless, ['--ready-file', ready]).then((found) => assertFound(found, 'no-address')),
    diagnose(three, ['--ready-file', ready], { env: late }).then((found) => assertFound(found, 'clock-off')),
    diagnose(four, ['--hub', 'hub.school'], { resolver: address }).then((found) =>
      assertFound(found, 'dns-answers-everything'),
    ),
    diagnose(five, ['--hub', 'hub.school'], { resolver: '10.77.255.1' }).then((found) =>
      assertFound(found, 'dns-broken', 'no-hub-found'),
    ),
  ]);
});

test('video is measured between two hosts, directly and through TURN, and only by those who know the secret', async () => {
  const [there, here] = [lan.host(3), lan.host(4)];
  const serve = [ATOLL, 'doctor', '--serve', '--ready-file', ready];
  await using responder = there.spawn(process.execPath, serve, { LC_ALL: 'C' });
  await responder.waitForOutput(/Answers quality tests on UDP port 4223/, LIMIT_MS);
  const measure = async (...args: string[]): Promise<{ exitCode: number | null; output: string }> => {
    const command = [ATOLL, 'doctor', '--json', '--seconds', '1', '--limit', '10', '--with', there.address, ...args];
    const measuring = here.spawn(process.execPath, command, { LC_ALL: 'C' });
    return { exitCode: await measuring.ended(LIMIT_MS), output: measuring.output };
  };
  writeFileSync(scratch.file('guess'), 'guess\n');
  const plot = scratch.file('plot.svg');
  const [{ output }, stranger] = await Promise.all([
    measure('--ready-file', ready, '--plot', plot),
    measure('--hub', lan.host(0).address, '--token-file', scratch.file('guess')),
  ]);
  const { ways } = JSON.parse(output) as { ways: { way: string; camera: Record<string, number> }[] };
  assert.deepEqual(
    ways.map(({ way }) => way),
    ['direct', 'turn'],
  );
  for (const { camera } of ways) {
    assert.ok((camera.packets ?? 0) > 400, output);
    assert.ok((camera.shownFramesPerSecond ?? 0) > 0, output);
  }
  assert.match(readFileSync(plot, 'utf8'), /^<svg [\s\S]*<polyline [\s\S]*<\/svg>\n$/);
  assert.equal(stranger.exitCode, 1);
  assert.match(stranger.output, /"code":"DOCTOR_NO_OTHER_SIDE"/);
});

test('each fault planted on the hub’s own host is found there', async () => {
  const [alone, poor, taken] = [lan.host(GUESTS + 1), lan.host(GUESTS + 2), lan.host(GUESTS + 3)];
  mkdirSync(scratch.file('full'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', scratch.file('full')]);
  isMounted = true;
  const [, old = '', , oldKey = ''] = certificate('expired', taken.address, true);
  const others = certificate('others', '192.0.2.7', false);
  await Promise.all([
    startHub(alone, 'alone', ['--bootstrap', '10.77.255.1:4222', '--peer-discovery', 'false', ...others]),
    startHub(poor, 'full', [], 'ulimit -n 200;'),
  ]);
  mkdirSync(scratch.file('taken'));
  writeFileSync(scratch.file('taken/dht-node'), '');
  alone.exec(
    'nft',
    'table inet guard {\nchain input {\ntype filter hook input priority 0\nudp dport 4222 drop\n}\n}\n',
  );
  await using other = await DhtnodeProcess.start(taken, { port: 4222 });
  const [onAlone, onPoor, onTaken] = await Promise.all([
    diagnose(alone, ['--state', scratch.file('alone')]),
    diagnose(poor, ['--state', scratch.file('full')]),
    diagnose(taken, ['--state', scratch.file('taken')], { env: { ATOLL_CERTIFICATE: old, ATOLL_PRIVATE_KEY: oldKey } }),
  ]);
  assertFound(onAlone, 'bootstrap-silent', 'proxy-zombie', 'certificate-name', 'firewall-drops');
  assertFound(onPoor, 'disk-full', 'descriptors-low');
  assertFound(onTaken, 'port-taken', 'hub-not-running', 'certificate-expired');
  const { facts } = onTaken.findings.findings.find(({ id }) => id === 'port-taken') ?? {};
  assert.match(String(facts?.program), /dhtnode/);
  assert.equal(other.process.exitCode, null, 'the other program was left alone');
});
