import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '@atoll/base';
import { readConfiguration } from './configuration.js';
import { startHub } from './startup.js';
import { StateDirectory, writeAtomically } from './state-directory.js';
import { type HubService, Supervisor } from './supervisor.js';

test('the command line weighs more than variables, variables more than the file, the file more than defaults', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'atoll-hub-'));
  try {
    const file = join(folder, 'atoll.yaml');
    await writeFile(file, 'dhtPort: 1\nnetwork: 7\nbootstrap: [a, "b:2"]\npeerDiscovery: false\n');
    const configuration = await readConfiguration(
      { dhtPort: '3' },
      { ATOLL_DHT_PORT: '2', ATOLL_NETWORK: '0x10' },
      file,
    );
    assert.equal(configuration.dhtPort, 3);
    assert.equal(configuration.network, 16);
    assert.deepEqual(configuration.bootstrap, ['a', 'b:2']);
    assert.equal(configuration.peerDiscovery, false);
    assert.deepEqual(configuration.host, []);
    const fails = (given: Record<string, string>, message: RegExp): Promise<void> =>
      assert.rejects(readConfiguration(given, {}, undefined), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'USAGE');
        assert.match(error.message, message);
        return true;
      });
    await fails({ dhtPort: 'x' }, /^--dht-port: dht-port takes a number/);
    await fails({ dhtPort: '70000' }, /65535/);
    await fails({ host: 'school' }, /IP addresses/);
    await fails({ bootstrap: 'a;b:x' }, /bootstrap takes/);
    await fails({ peerDiscovery: 'maybe' }, /true or false/);
    await writeFile(file, 'dhtport: 1\n');
    await assert.rejects(readConfiguration({}, {}, file), /there is no setting “dhtport”/);
    await writeFile(file, '- a\n');
    await assert.rejects(readConfiguration({}, {}, file), /list of settings/);
    await assert.rejects(readConfiguration({}, {}, join(folder, 'none')), /cannot be read/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a state directory is used by one hub at a time; a dead owner is no owner', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'atoll-hub-'));
  try {
    await writeFile(join(folder, 'lock'), '1\n');
    await assert.rejects(StateDirectory.take(folder), { code: 'HUB_STATE_IN_USE' });
    await writeFile(join(folder, 'lock'), '4194305\n');
    const state = await StateDirectory.take(folder);
    await state.release();
    assert.deepEqual(await readdir(folder), []);
    await assert.rejects(writeAtomically(join(folder, 'none', 'x'), ''), { code: 'HUB_FILE_NOT_WRITTEN' });
    await writeFile(join(folder, 'plain'), '');
    await assert.rejects(StateDirectory.take(join(folder, 'plain', 'x')), { code: 'HUB_STATE_UNUSABLE' });
    await assert.rejects(StateDirectory.take('/proc/atoll'), { code: 'HUB_STATE_UNUSABLE' });
    await (await StateDirectory.take(join(folder, 'a', 'b', 'c'))).release();
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a hub starts, answers its probe, writes the ready file and leaves nothing behind', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'atoll-hub-'));
  try {
    const readyFile = join(folder, 'ready.json');
    const state = join(folder, 'state');
    const ports = { dhtPort: '0', proxyPort: '0', namesPort: '0', turnPort: '0', portalPort: '0' };
    const tlsPorts = { proxyTlsPort: '0', namesTlsPort: '0', portalTlsPort: '0' };
    const given = { state, host: '127.0.0.1', peerDiscovery: 'false', mdns: 'false', ...ports, ...tlsPorts };
    const configuration = await readConfiguration(given, {}, undefined);
    const hub = await startHub(configuration, { version: '0', readyFile, logger: silentLogger });
    assert.match(hub.ready.dht.bootstrap, /^127\.0\.0\.1:\d+$/);
    assert.match(hub.ready.proxy?.url ?? '', /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.ok((await readdir(folder)).includes('ready.json'));
    const { names } = hub.ready;
    assert.match(names?.url ?? '', /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.equal((await fetch(`${names?.url}/name/nobody`)).status, 404);
    const { id } = hub.ready.dht;
    const { turn } = hub.ready;
    assert.ok(turn !== undefined && turn.port > 0);
    assert.equal((await stat(join(state, 'turn-credentials.json'))).mode & 0o777, 0o600);
    await hub.stop();
    assert.deepEqual(await readdir(folder), ['state']);
    const again = await startHub(configuration, { version: '0', logger: silentLogger });
    assert.equal(again.ready.dht.id, id, 'the node keeps its id');
    assert.equal(again.ready.turn?.password, turn.password, 'the TURN server keeps its password');
    await again.stop();
    const without = await readConfiguration({ ...given, turn: 'false' }, {}, undefined);
    const small = await startHub(without, { version: '0', logger: silentLogger });
    assert.equal(small.ready.turn, undefined);
    await small.stop();
    await writeFile(join(state, 'turn-credentials.json'), '{}');
    await assert.rejects(startHub(configuration, { version: '0', logger: silentLogger }), {
      code: 'TURN_CREDENTIALS_UNREADABLE',
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a certificate by ACME that could never be got stops the start', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'atoll-hub-'));
  const other = createServer();
  try {
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const acmePort = String((other.address() as AddressInfo).port);
    const fails = async (given: Record<string, string>, why: object, only?: readonly string[]): Promise<void> => {
      const fixed = { state: join(folder, 'state'), host: '127.0.0.1', acmeDomain: 'hub.school.example' };
      const configuration = await readConfiguration({ ...fixed, ...given }, {}, undefined);
      await assert.rejects(startHub(configuration, { version: '0', logger: silentLogger, only }), why);
    };
    await fails({ certificate: 'c', privateKey: 'k' }, { code: 'USAGE', message: /leave one of them out/ });
    await fails({}, { code: 'USAGE', message: /for a whole hub/ }, ['dht', 'proxy']);
    await fails({ acmePort }, { code: 'HTTP_PORT_IN_USE' });
    await fails({ acmePort, acmeAuthority: join(folder, 'none.pem') }, { code: 'ACME_AUTHORITY_UNUSABLE' });
    for (const acmeDomain of ['*.school.example', '192.0.2.1', 'hub', 'hub_1.example', 'a..b.example']) {
      await assert.rejects(readConfiguration({ acmeDomain }, {}, undefined), /acme-domain takes up to 100 names/);
    }
    await assert.rejects(readConfiguration({ acmeDirectory: 'http://ca' }, {}, undefined), /takes a URL with https/);
    await assert.rejects(readConfiguration({ acmeEmail: 'me' }, {}, undefined), /takes an address/);
    const { acmeDomain } = await readConfiguration({ acmeDomain: 'Hub.School.example; b.example' }, {}, undefined);
    assert.deepEqual(acmeDomain, ['hub.school.example', 'b.example']);
  } finally {
    other.close();
    await rm(folder, { recursive: true });
  }
});

const PROBE_EVERY_MS = 30_000;

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

test('a service that runs but no longer answers is started again', async () => {
  let starts = 0;
  let isDeaf = false;
  let restarted: () => void = () => {};
  const make = (): HubService => ({
    name: 'trial',
    failed: new Promise(() => {}),
    async start() {
      if (++starts === 2) {
        isDeaf = false;
        restarted();
      }
      return {};
    },
    async probe() {
      if (isDeaf) throw new Error('deaf');
    },
    async stop() {},
  });
  let probes = 0;
  const supervisor = new Supervisor(make, {
    logger: silentLogger,
    nowMs: () => 0,
    unixMs: () => 0,
    wait: (ms, signal) => {
      if (ms !== PROBE_EVERY_MS) return Promise.resolve();
      if (++probes > 6) return aborted(signal);
      isDeaf = probes !== 2;
      return Promise.resolve();
    },
  });
  const again = new Promise<void>((resolve) => {
    restarted = resolve;
  });
  await supervisor.start();
  await again;
  assert.equal(probes, 5, 'one silent probe is forgiven, three in a row are not');
  await supervisor.stop();
  assert.equal(starts, 2);
});

test('a service that fails is started again, with growing waits', async () => {
  let starts = 0;
  const waits: number[] = [];
  let fail: (error: Error) => void = () => {};
  const make = (): HubService => ({
    name: 'trial',
    failed: new Promise((_resolve, reject) => {
      fail = reject;
    }),
    async start() {
      starts++;
      return {};
    },
    async probe() {},
    async stop() {},
  });
  let waited: () => void = () => {};
  const supervisor = new Supervisor(make, {
    logger: silentLogger,
    nowMs: () => 0,
    unixMs: () => 0,
    wait: async (ms, signal) => {
      if (ms === PROBE_EVERY_MS) return aborted(signal);
      waits.push(ms);
      waited();
    },
  });
  await supervisor.start();
  for (let round = 0; round < 3; round++) {
    const restarted = new Promise<void>((resolve) => {
      waited = resolve;
    });
    fail(new Error('broken'));
    await restarted;
    while (starts < round + 2) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(waits, [500, 1000, 2000]);
  assert.equal(supervisor.restarts, 3);
  await supervisor.stop();
});
