import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeCertificateData, encodeTrustRequest, longIdKey, TypeId, Value } from '@atoll/dht';
import { Certificate, generateIdentity, type Identity, InfoHash } from '@atoll/identity';
import { Reader, Writer } from '@atoll/msgpack';
import { Jamid, Lan } from '@atoll/testkit';
import { startHub } from './atoll.js';
import { LibraryNode } from './library-node.js';

/** Where a peer from 2026 on looks for a device: what a Jami daemon of 2023 never puts or hears. */
const keysOf = (certificate: Certificate) => ({
  certificate: longIdKey(certificate.longId).toString(),
  requests: InfoHash.of(`peer:${certificate.longId}`).toString(),
});

/** An account with one device, as daemons make them, with shorter keys. */
async function newAccount(): Promise<{ device: Identity; id: string }> {
  const nowMs = Date.now() - 60_000;
  const authority = await generateIdentity('Jami CA', nowMs, { bits: 2048 });
  const account = await generateIdentity('Jami', nowMs, { bits: 2048, issuer: authority, isCa: true });
  const device = await generateIdentity('Jami device', nowMs, { bits: 2048, issuer: account });
  return { device, id: account.certificate.id.toString() };
}

function connectionRequest(id: number, address: string): Buffer {
  const w = new Writer();
  w.map(4);
  w.key('id');
  w.u64(BigInt(id));
  w.key('ice_msg');
  w.str(`252058c6\n7d4d2ebe1ee55c9f0c89dce3\nHa4d1802 1 TCP 2130706431 ${address} 47397 typ host tcptype passive\n`);
  w.key('isAnswer');
  w.bool(false);
  w.key('connType');
  w.str('');
  return w.take();
}

/** Id of the request that a value answers. */
function answered({ data, userType }: Value): number | undefined {
  const r = new Reader(data);
  const found = { id: 0n, isAnswer: false };
  for (let pairs = r.map(); pairs > 0 && !r.failed; pairs--) {
    r.key();
    if (r.keyIs('id')) found.id = r.u64();
    else if (r.keyIs('isAnswer')) found.isAnswer = r.bool();
    else r.skip();
  }
  return userType === 'peer_request' && found.isAnswer && !r.failed ? Number(found.id) : undefined;
}

test('a Jami daemon of 2023 and a peer that knows the new DHT keys only meet through two hubs', async () => {
  const states = await Promise.all([1, 2].map(() => mkdtemp(join(tmpdir(), 'atoll-state-'))));
  await using lan = await Lan.create({ hosts: 4 });
  const [hubHost, spareHost] = [lan.host(0), lan.host(1)];
  const bootstrap = `${hubHost.address}:4222`;
  try {
    await using _hub = await startHub(hubHost, states[0] ?? '');
    await using _spare = await startHub(spareHost, states[1] ?? '', ['--bootstrap', bootstrap]);
    await using alice = await Jamid.start(lan.host(2), {
      displayName: 'alice',
      bootstrap,
      settings: { 'DHT.PublicInCalls': 'true' },
    });
    await using bob = await LibraryNode.start(lan.host(3), { bootstrap: [bootstrap] });
    const { device, id } = await newAccount();
    const own = keysOf(device.certificate);

    const pem = encodeCertificateData(device.certificate.toPem());
    await bob.put(own.certificate, Value.plain({ id: 1n, type: TypeId.certificate, data: pem }));
    const chain = Certificate.decode(await alice.deviceCertificate());
    assert.ok(chain !== undefined);
    const theirs = keysOf(chain);
    const [[older], [newer]] = [await bob.get(chain.id.toString()), await bob.get(theirs.certificate)];
    assert.ok(
      older !== undefined && newer?.packed.equals(older.packed),
      'her certificate is at the new key, unchanged',
    );

    // Taken for true only with the certificate of its sender, which she looks for at the old key.
    const request = encodeTrustRequest({
      service: 'cx.ring',
      conversationId: '0123456789012345678901234567890123456789',
      payload: Buffer.alloc(0),
      confirm: false,
    });
    const contact = Value.plain({ id: 2n, type: TypeId.trustRequest, data: request });
    await bob.put(InfoHash.of(`inbox:${chain.id}`).toString(), contact.sealedFor(chain.publicKey, device.privateKey));
    await alice.bus.waitFor('incomingTrustRequest', (args) => args.includes(id));

    await bob.overhear(own.requests);
    const call = Value.plain({ id: 3n, userType: 'peer_request', data: connectionRequest(4711, lan.host(3).address) });
    const sealed = call.sealedFor(chain.publicKey, device.privateKey);
    await bob.put(theirs.requests, sealed);
    const answer = await bob.overheard((value) => {
      const opened = value.openedWith(device.privateKey);
      return opened === undefined ? undefined : answered(opened);
    }, 'answer of the daemon at the new key');
    assert.equal(answer, 4711);
    // Both hubs copied it or found it there: it is at the old key once, as it was put.
    const onOldKey = InfoHash.of(`peer:${chain.id}`).toString();
    await bob.overhear(onOldKey);
    await bob.overheard((value) => value.packed.equals(sealed.packed) || undefined, 'request at the old key');
  } finally {
    for (const state of states) await rm(state, { recursive: true, force: true });
  }
});
