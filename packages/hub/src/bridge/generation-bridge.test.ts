import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Endpoint, systemClock, systemRandom } from '@atoll/base';
import { DhtCore, DhtNode, encodeCertificateData, TypeId, Value } from '@atoll/dht';
import { generateIdentity, type Identity, InfoHash, PkId } from '@atoll/identity';
import { deviceKeys } from './device-keys.js';
import { GenerationBridge } from './generation-bridge.js';

const DAY_MS = 24 * 60 * 60_000;
const [FIRST, SECOND] = [new Endpoint('\x0a\0\0\x01', 4222), new Endpoint('\x0a\0\0\x02', 4222)];

const account = await generateIdentity('Jami', Date.now(), { kind: 'ec' });
const newDevice = (): Promise<Identity> =>
  generateIdentity('Jami device', Date.now(), { kind: 'ec', issuer: account, isCa: false });
const certificateValue = ({ certificate }: Identity): Value =>
  Value.plain({ id: 1n, type: TypeId.certificate, data: encodeCertificateData(certificate.toPem()) });
const sealed = (id: bigint, bytes = 2000): Value => Value.sealed(Value.plain({ id }), randomBytes(bytes));

/** A node without neighbors on a clock that is set by hand. */
function lonelyHub(maxDevices?: number) {
  let nowMs = 1000;
  const clock = { nowMs: () => nowMs, unixMs: () => 1_700_000_000_000 + nowMs };
  let bridge: GenerationBridge | undefined;
  const dht = new DhtCore({
    clock,
    random: systemRandom,
    send: () => {},
    onStored: (stored) => bridge?.stored(stored),
  });
  bridge = new GenerationBridge({ dht, clock }, maxDevices);
  return {
    dht,
    bridge,
    store: (key: InfoHash, value: Value, from?: Endpoint): boolean => dht.storage.store(key, value, nowMs, from),
    passes: (durationMs: number): void => {
      nowMs += durationMs;
      dht.tick();
    },
  };
}

test('the keys of a device are those that real daemons use', () => {
  const keys = deviceKeys({
    id: InfoHash.key('2c08258149f715a477088aca70bb0e14779f795e'),
    longId: new PkId(
      Buffer.from('f53a572efc9d2ceb0cc6be685acfd1fe45d63ead4c823208691b09ab0bb6b2f4', 'hex').latin1Slice(),
    ),
  });
  assert.equal(keys.older.certificate.toString(), '2c08258149f715a477088aca70bb0e14779f795e');
  assert.equal(keys.older.requests.toString(), 'ca7431e39d393f68bffb68d24d8a1722baf6da15');
  assert.equal(keys.newer.certificate.toString(), 'ba51aeff9e95d1adaf41d9ff9f8d67c9a39377bc');
  assert.equal(keys.newer.requests.toString(), 'f86fdaf76cdcf9c49f77eb28598f133d026e630a');
});

test('a certificate and requests are copied once to the other key, and expire with the originals', async () => {
  const { dht, bridge, store, passes } = lonelyHub();
  const [device, stranger] = [await newDevice(), await generateIdentity('node', Date.now(), { kind: 'ec' })];
  const { older, newer } = deviceKeys(device.certificate.publicKey);
  store(older.certificate, certificateValue(device), FIRST);
  store(stranger.certificate.id, certificateValue(stranger), FIRST);
  assert.ok(dht.storage.get(newer.certificate, 1n)?.value.equals(certificateValue(device)));
  assert.deepEqual(bridge.counts, { older: 1, newer: 0, copied: 1 });
  passes(DAY_MS);
  assert.deepEqual(bridge.counts, { older: 1, newer: 0, copied: 1 });
  const [request, answer] = [sealed(7n), sealed(8n)];
  store(newer.requests, request, SECOND);
  store(older.requests, answer, SECOND);
  for (const value of [request, answer]) {
    for (const key of [older.requests, newer.requests]) {
      assert.ok(dht.storage.get(key, value.id)?.value.packed.equals(value.packed));
    }
  }
  store(newer.requests, sealed(9n, 20_000), SECOND);
  store(newer.requests, Value.plain({ id: 10n, data: 'open' }), SECOND);
  assert.equal(bridge.counts.copied, 3);
  passes(11 * 60_000);
  assert.equal(dht.storage.countOf(older.requests) + dht.storage.countOf(newer.requests), 0);
  // Put again after six days by the daemon: the copy lives as long.
  passes(5 * DAY_MS);
  dht.storage.refresh(older.certificate, 1n);
  passes(DAY_MS + 20 * 60_000);
  assert.equal(dht.storage.countOf(newer.certificate), 1);
  assert.equal(bridge.counts.copied, 4);
  passes(7 * DAY_MS);
  assert.equal(dht.storage.countOf(newer.certificate), 0);
  assert.deepEqual(bridge.counts, { older: 0, newer: 0, copied: 4 });
  bridge.close();
});

test('a flood stays within bounds, and does not push out what others brought', async () => {
  const { dht, bridge, store } = lonelyHub(8);
  const device = await newDevice();
  const { older, newer } = deviceKeys(device.certificate.publicKey);
  store(newer.certificate, certificateValue(device), SECOND);
  for (let at = 0; at < 20; at++) {
    const one = await newDevice();
    store(one.certificate.id, certificateValue(one), FIRST);
  }
  assert.deepEqual(bridge.counts, { older: 7, newer: 1, copied: 21 });
  for (let id = 1; id <= 300; id++) store(older.requests, sealed(BigInt(id), 40), FIRST);
  assert.equal(dht.storage.countOf(newer.requests), 256);
  bridge.close();
});

test('what was copied before a start is known again, in its generation', async () => {
  const { dht, bridge, store } = lonelyHub();
  const device = await newDevice();
  const { newer } = deviceKeys(device.certificate.publicKey);
  store(newer.certificate, certificateValue(device), FIRST);
  bridge.close();
  const again = new GenerationBridge({ dht, clock: { nowMs: () => 1000, unixMs: () => 1_700_000_001_000 } });
  assert.deepEqual(again.counts, { older: 0, newer: 1, copied: 0 });
});

test('two hubs do not echo each other', async () => {
  const bridges: GenerationBridge[] = [];
  const open = (at: number, bootstrap: string[]): Promise<DhtNode> =>
    DhtNode.open({ addresses: ['127.0.0.1'], port: 0, bootstrap, onStored: (stored) => bridges[at]?.stored(stored) });
  const hub = await open(0, []);
  const bootstrap = [`127.0.0.1:${hub.ports.ipv4}`];
  const nodes = [hub, await open(1, bootstrap), await open(2, bootstrap)] as const;
  try {
    await Promise.all(nodes.slice(1).map((node) => node.connected()));
    for (const { core } of nodes.slice(0, 2)) bridges.push(new GenerationBridge({ dht: core, clock: systemClock }));
    const device = await newDevice();
    const { older, newer } = deviceKeys(device.certificate.publicKey);
    await nodes[2].put(older.certificate, certificateValue(device));
    await nodes[2].put(newer.requests, sealed(7n));
    await nodes[2].put(older.requests, sealed(8n));
    // Each hub copied every value at most once, and what it hears of the other's copies is nothing new.
    const counts = (): number[] =>
      nodes
        .slice(0, 2)
        .flatMap(({ core: { storage } }) => [
          storage.countOf(newer.certificate),
          storage.countOf(older.requests),
          storage.countOf(newer.requests),
        ]);
    while (counts().join() !== '1,2,2,1,2,2') await nodes[2].get(newer.certificate);
    for (const { counts } of bridges) assert.ok(counts.copied <= 3, `${counts.copied} copies`);
  } finally {
    for (const bridge of bridges) bridge.close();
    await Promise.all(nodes.map((node) => node.close()));
  }
});
