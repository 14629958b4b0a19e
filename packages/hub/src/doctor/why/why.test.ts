import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestNetwork, DhtNode, TypeId, Value } from '@atoll/dht';
import { generateIdentity, InfoHash, nodeIdOf } from '@atoll/identity';
import { Writer } from '@atoll/msgpack';
import type { SeenDevice, SeenPerson, WhyParts } from './find-person.js';
import { judgeMeeting, why } from './why.js';

const device = (address?: string): SeenDevice => ({
  device: 'd',
  hasCertificate: true,
  heard: address === undefined ? undefined : { address, agoMs: 1000 },
});
const person = (...devices: SeenDevice[]): SeenPerson => ({ state: 'found', address: String(devices.length), devices });

test('what stands between two people is judged by what is known of both', () => {
  const judge = (one: SeenPerson, other: SeenPerson): string[] =>
    judgeMeeting({ name: 'a', seen: one }, { name: 'b', seen: other }).map(({ id }) => id);
  const [home, phone] = [device('192.168.1.2'), device()];
  assert.deepEqual(judge(person(home), person(home)), ['why-same']);
  assert.deepEqual(judge({ state: 'unknown' }, person(home)), ['why-name-unknown', 'why-device-seen']);
  assert.deepEqual(judge(person(), person(home)), ['why-no-device', 'why-device-seen']);
  assert.deepEqual(judge(person(home), person(home, phone)), [
    'why-device-seen',
    'why-device-seen',
    'why-device-unseen',
    'why-nothing',
  ]);
  const far = person(device('10.0.0.1'), phone);
  assert.ok(judge(person(home), far).includes('why-two-networks'));
  const older = { ...home, hasCertificate: false };
  assert.ok(judge(person(older), far).includes('why-no-certificate'));
});

test('a name is followed to the device and to where it was heard', async () => {
  const network = await createTestNetwork(3);
  try {
    const [node] = network.nodes;
    assert.ok(node !== undefined);
    const alice = await generateIdentity('alice', Date.now(), { kind: 'rsa', bits: 2048 });
    const phone = await generateIdentity('phone', Date.now(), { kind: 'rsa', bits: 2048, issuer: alice });
    const { id } = alice.certificate;
    const w = new Writer();
    w.map(2);
    w.str('dev');
    w.binary(phone.certificate.id.binary);
    w.str('pk');
    w.bin(phone.certificate.publicKey.spki);
    await using owner = await DhtNode.open({
      addresses: ['127.0.0.1'],
      port: 0,
      bootstrap: [network.bootstrap],
      identity: alice,
    });
    await owner.connected();
    await owner.putSigned(id, Value.plain({ data: w.take() }));
    const pem = phone.certificate.x509.toString();
    await node.put(phone.certificate.id, Value.plain({ id: 1n, type: TypeId.certificate, data: pem }));
    const parts: WhyParts = {
      dht: node,
      lookup: async (name) =>
        name === 'alice' ? { state: 'found', name, address: id.toString(), isSigned: true } : { state: 'not-found' },
      lastHeard: (which) =>
        which.equals(nodeIdOf(phone.certificate)) ? [{ endpoint: { host: '192.0.2.1' }, agoMs: 3000 }] : [],
    };
    const { findings } = await why('alice', 'carol', parts, 'fr');
    assert.deepEqual(
      findings.map((each) => each.id),
      ['why-name-unknown', 'why-device-seen'],
    );
    assert.match(findings[1]?.sentence ?? '', /de alice a été entendu en 192\.0\.2\.1, il y a 3 s/);
    const nobody = await why(InfoHash.of('nobody').toString(), 'alice', parts, 'en');
    assert.deepEqual(nobody.findings[0]?.id, 'why-no-device');
  } finally {
    await network.close();
  }
});
