// npm test [-- STEP …]: every check there is, or the named ones. The last line counts the tests.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installIfNeeded, isNodeRecent, rebuildNative } from './prepare.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const inCi = process.env.CI === 'true';
const PEERS = [
  'dhtnode',
  'python3-opendht',
  'python3-zeroconf',
  'curl',
  'jami-daemon',
  'iproute2',
  'dbus',
  'nftables',
  'python3',
  'openssl',
  'gnutls-bin',
  'postgresql',
  'coturn',
  'chromium',
  'libnss3-tools',
  'iptables',
  'ufw',
  'firewalld',
  'systemd',
  'miniupnpd-nftables',
  'miniupnpc',
  'iputils-ping',
  'pebble',
];
const MINUTE = 60_000;
let passed = 0;
let failed = 0;

const isRoot = process.getuid?.() === 0;
const isDebian = existsSync('/etc/debian_version');

/** Files below a folder that match. */
function filesBelow(folder, pattern) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesBelow(path, pattern);
    return pattern.test(entry.name) ? [path] : [];
  });
}

function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended.
  }
}

/** Runs a command; its whole process group ends when the time is up. Resolves to its output, or undefined if it failed. */
function run(command, args, { limitMs = 2 * MINUTE, env = {}, cwd = root, hear = () => {} } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    const take = (stream) => (chunk) => {
      output += chunk;
      hear(String(chunk));
      stream.write(chunk);
    };
    child.stdout.on('data', take(process.stdout));
    child.stderr.on('data', take(process.stderr));
    const timer = setTimeout(() => {
      console.error(`${command} took longer than ${limitMs / 1000} s and was stopped.`);
      signalGroup(child.pid, 'SIGTERM');
      setTimeout(() => signalGroup(child.pid, 'SIGKILL'), 10_000).unref();
    }, limitMs);
    child.on('error', (error) => console.error(error.message));
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve(code === 0 ? output : undefined);
    });
  });
}

const node = (args, options) => run(process.execPath, args, options);
const bin = (name) => {
  const { bin: named } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8'));
  const path = typeof named === 'string' ? named : (named[name.split('/').pop()] ?? Object.values(named)[0]);
  return join(root, 'node_modules', name, path);
};

/** Runs test files and counts what they say. */
function nodeTest(files, hear, { limitMs, concurrency, runtime = process.execPath }) {
  if (files.length === 0) {
    console.error('There is no test to run.');
    return undefined;
  }
  return run(
    runtime,
    [
      '--test',
      `--test-concurrency=${concurrency}`,
      '--test-reporter=spec',
      // Of a test and of a file; a process that a failed test left behind must not hold the ring.
      '--test-timeout=480000',
      '--test-force-exit',
      ...files,
    ],
    {
      limitMs,
      hear,
      env: { ATOLL_LAB_LOGS: join(root, 'output/lab') },
    },
  );
}

function count(output) {
  const number = (what) => Number(new RegExp(`^ℹ ${what} (\\d+)$`, 'm').exec(output ?? '')?.[1] ?? 0);
  return {
    pass: number('pass'),
    fail: number('fail') + number('cancelled'),
    skipped: number('skipped') + number('todo'),
  };
}

const testStep = (files, options) => async () => {
  // Also of a run that fails.
  let said = '';
  const hear = (text) => {
    said += text;
  };
  const output = await nodeTest(files(), hear, options);
  const { pass, fail, skipped } = count(said);
  passed += pass;
  failed += fail;
  if (skipped > 0) console.error(`${skipped} tests were skipped, which is not allowed.`);
  return output !== undefined && fail === 0 && pass > 0 && skipped === 0;
};

async function loadNative() {
  const found = [...filesBelow(join(root, 'packages'), /\.node$/), ...nativeDependencies()].filter(
    (path) => !path.includes('obj.target'),
  );
  for (const path of found) {
    const done = spawnSync(process.execPath, ['-e', `require(${JSON.stringify(path)})`], { encoding: 'utf8' });
    console.log(`${path.slice(root.length + 1)}: ${done.status === 0 ? 'loads' : done.stderr}`);
    if (done.status !== 0) return false;
  }
  return !inCi || ['udp_batch.node', 'dtls.node'].every((name) => found.some((path) => path.endsWith(`/${name}`)));
}

/** Native parts of dependencies made for this machine. */
function nativeDependencies() {
  const isMusl = !process.report.getReport().header.glibcVersionRuntime;
  return filesBelow(join(root, 'node_modules'), /\.node$/).filter((path) => path.includes('musl') === isMusl);
}

async function installAnywhere() {
  const folder = join(tmpdir(), `atoll-clone-${process.pid}`);
  try {
    if ((await run('git', ['clone', '-q', root, folder])) === undefined) return false;
    if (
      (await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
        cwd: folder,
        limitMs: 5 * MINUTE,
      })) === undefined
    )
      return false;
    const ready = join(folder, 'ready.json');
    const hub = spawn(
      'npm',
      [
        'start',
        '--',
        '--ready-file',
        ready,
        '--state',
        join(folder, 'state'),
        // Free ports: other tests run beside it.
        ...['dht', 'names', 'names-tls', 'proxy', 'proxy-tls', 'portal', 'portal-tls', 'turn', 'turn-tls'].flatMap(
          (name) => [`--${name}-port`, '0'],
        ),
        '--host',
        '127.0.0.1',
      ],
      {
        cwd: folder,
        stdio: 'inherit',
        detached: true,
      },
    );
    const ended = new Promise((resolve) => hub.on('exit', resolve));
    const end = Date.now() + 2 * MINUTE;
    while (!existsSync(ready) && Date.now() < end && hub.exitCode === null)
      await new Promise((done) => setTimeout(done, 100));
    const facts = existsSync(ready) ? JSON.parse(readFileSync(ready, 'utf8')) : undefined;
    process.kill(-hub.pid, 'SIGTERM');
    await ended;
    // npm leaves before the hub has saved its state; the group is gone when everybody is.
    while (isGroupAlive(hub.pid)) await new Promise((done) => setTimeout(done, 100));
    const isStateLeft = existsSync(join(folder, 'state/dht-node')) && !existsSync(ready);
    return facts !== undefined && facts.dht.batched === false && isStateLeft;
  } finally {
    spawnSync('rm', ['-rf', folder]);
  }
}

function isGroupAlive(pid) {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The unit tests on a newer Node, whose binary is a package of the npm registry. */
async function newerNode() {
  const folder = join(tmpdir(), 'atoll-newer-node');
  const packageName = `node-linux-${process.arch}`;
  const binary = join(folder, 'node_modules', packageName, 'bin/node');
  if (!existsSync(binary)) {
    const args = [
      'install',
      '--prefix',
      folder,
      '--no-save',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      `${packageName}@24`,
    ];
    if ((await run('npm', args, { limitMs: 5 * MINUTE, cwd: tmpdir() })) === undefined) return false;
  }
  return testStep(unitTests, { limitMs: 5 * MINUTE, concurrency: 2, runtime: binary })();
}

const unitTests = () => filesBelow(join(root, 'packages'), /\.test\.js$/).filter((path) => path.includes('/dist/'));
const ring = (name) => () => filesBelow(join(root, 'tests/dist', name), /\.test\.js$/);
const interop = ring('interop');
const JAMI = /\/(jami-bootstrap|jami-generations|jami-join|jami-two-hubs|proxy-jamid|push|name-server)\.test\.js$/;
const hasRing = (name) => existsSync(join(root, 'tests/src', name));

const steps = [
  { name: 'build', run: () => node(['scripts/build.mjs'], { limitMs: 4 * MINUTE }) },
  {
    name: 'page',
    run: () =>
      node(
        [
          bin('svelte-check'),
          '--workspace',
          'packages/web',
          '--tsconfig',
          './tsconfig.page.json',
          '--fail-on-warnings',
        ],
        {
          limitMs: 3 * MINUTE,
        },
      ),
  },
  { name: 'native', run: loadNative },
  { name: 'lint', beside: 'page', run: () => node([bin('@biomejs/biome'), 'check', '--error-on-warnings', '.']) },
  {
    name: 'floors',
    beside: 'page',
    run: () =>
      node([bin('dependency-cruiser'), '--config', '.dependency-cruiser.cjs', 'packages', '--output-type', 'err']),
  },
  { name: 'cores', run: () => node(['scripts/check-cores.mjs']) },
  { name: 'limits', run: () => node(['scripts/check-limits.mjs']) },
  { name: 'unused', beside: 'page', run: () => node([bin('knip')]) },
  { name: 'docs', run: () => node(['scripts/check-docs.mjs'], { limitMs: 5 * MINUTE }) },
  { name: 'unit', run: testStep(unitTests, { limitMs: 5 * MINUTE, concurrency: 2 }) },
  { name: 'newer-node', run: newerNode, needsLinux: true },
  {
    name: 'simulation',
    run: testStep(ring('simulation'), { limitMs: 6 * MINUTE, concurrency: 2 }),
    exists: hasRing('simulation'),
  },
  {
    // It mostly waits.
    name: 'soak',
    beside: 'unit',
    run: testStep(ring('soak'), { limitMs: 6 * MINUTE, concurrency: 1 }),
    exists: hasRing('soak'),
    needsLinux: true,
  },
  {
    name: 'fuzz',
    // Commands in documents leave a core to it.
    beside: 'docs',
    run: () => node(['fuzz/dist/main.js', '--slice'], { limitMs: 3 * MINUTE }),
    exists: existsSync(join(root, 'fuzz/src')),
  },
  {
    name: 'interop',
    // They wait for peers and timers more than they work.
    run: testStep(() => interop().filter((path) => !JAMI.test(path)), { limitMs: 15 * MINUTE, concurrency: 3 }),
    exists: hasRing('interop'),
    needsPeers: true,
  },
  {
    // Real Jami daemons throw packets away that waited 0.65 s: they get the machine for themselves.
    name: 'interop-jami',
    run: testStep(() => interop().filter((path) => JAMI.test(path)), { limitMs: 15 * MINUTE, concurrency: 1 }),
    exists: hasRing('interop'),
    needsPeers: true,
  },
  {
    name: 'browser',
    // Two browsers that measure the way between them come first: after the others they do not keep up.
    run: async () => {
      const files = ring('browser');
      const isMeasuring = (path) => path.endsWith('/quality.test.js');
      const options = { limitMs: 5 * MINUTE, concurrency: 1 };
      const isMeasured = await testStep(() => files().filter(isMeasuring), options)();
      return (await testStep(() => files().filter((path) => !isMeasuring(path)), options)()) && isMeasured;
    },
    exists: hasRing('browser'),
    needsPeers: true,
  },
  { name: 'install-anywhere', beside: 'interop', run: installAnywhere, needsLinux: true },
];

/** Debian packages of the real peers. Returns why they cannot be had, or undefined. */
function installPeers() {
  if (!isDebian) return 'this is not Debian, where the real peers are packages';
  const status = spawnSync('dpkg-query', ['-W', '-f', `\${Package} \${db:Status-Status}\n`, ...PEERS], {
    encoding: 'utf8',
  }).stdout;
  const missing = PEERS.filter((name) => !status.split('\n').includes(`${name} installed`));
  if (missing.length > 0) {
    if (!isRoot) return `these packages are missing and only root can install them: ${missing.join(' ')}`;
    console.log(`Installing ${missing.join(' ')} …`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    spawnSync('apt-get', ['update', '-qq'], { stdio: 'inherit', env });
    const done = spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env,
    });
    if (done.status !== 0) return 'apt-get could not install the real peers';
  }
  return isRoot ? undefined : 'only root can make network namespaces';
}

if (!isNodeRecent()) {
  console.error(`Atoll needs Node 20.19 or newer; this is ${process.version}.`);
  process.exit(1);
}
installIfNeeded(root);
rebuildNative(root);
const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !steps.some((step) => step.name === name));
if (unknown !== undefined) {
  console.error(`There is no step “${unknown}”; there are ${steps.map((step) => step.name).join(', ')}.`);
  process.exit(2);
}
const chosen = steps.filter((step) => step.exists !== false && (wanted.length === 0 || wanted.includes(step.name)));
const broken = [];
const begun = new Map();
const peersMissing = chosen.some((step) => step.needsPeers) ? installPeers() : undefined;
for (const step of chosen) {
  console.log(`\n━━ ${step.name}`);
  const why = step.needsPeers
    ? peersMissing
    : step.needsLinux && process.platform !== 'linux'
      ? 'this is not Linux'
      : undefined;
  if (why !== undefined) {
    console.log(`Not run: ${why}.`);
    if (inCi) broken.push(step.name);
    continue;
  }
  const startedMs = Date.now();
  for (const each of chosen) {
    const isNow = each === step || each.beside === step.name;
    if (isNow && !begun.has(each.name)) begun.set(each.name, each.run());
  }
  const done = await begun.get(step.name);
  const isGood = done !== undefined && done !== false;
  if (!isGood) broken.push(step.name);
  console.log(`━━ ${step.name}: ${isGood ? 'good' : 'BROKEN'} after ${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
}
console.log('');
if (broken.length > 0) console.log(`Broken: ${broken.join(', ')}`);
console.log(`${passed} passed, ${Math.max(failed, broken.length > 0 ? 1 : 0)} failed`);
process.exit(broken.length > 0 ? 1 : 0);
