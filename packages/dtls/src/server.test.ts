import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { createDtlsContext } from './core/context.js';
import { contextOf, pem, test, Wire } from './wire.test.kit.js';

for (const kind of ['rsa-2048', 'p-256'] as const) {
  test(`${kind}: a session opens, carries data of every size, exports keys and closes on both sides`, () => {
    const srtpProfiles = ['SRTP_AEAD_AES_128_GCM', 'SRTP_AES128_CM_SHA1_80'];
    const wire = new Wire({ context: contextOf(kind, { srtpProfiles, alpnProtocols: ['stun.turn', 'other'] }) });
    const client = wire.connect(1, {
      serverName: 'dtls.test',
      context: createDtlsContext({ srtpProfiles: ['SRTP_AES128_CM_SHA1_80'], alpnProtocols: ['other', 'stun.turn'] }),
    });
    wire.run();
    const [session] = wire.opened;
    assert.ok(session?.isOpen);
    const facts = session.facts();
    assert.deepEqual(facts, client.endpoint.facts());
    assert.equal(facts?.version, 'DTLSv1.2');
    assert.equal(facts?.alpn, 'stun.turn');
    assert.equal(facts?.srtpProfile, 'SRTP_AES128_CM_SHA1_80');
    assert.equal(facts?.serverName, 'dtls.test');
    assert.ok(facts?.hasExtendedMasterSecret);
    const material = session.exportKeyingMaterial('EXTRACTOR-dtls_srtp', 60);
    assert.equal(material?.length, 60);
    assert.deepEqual(material, client.endpoint.exportKeyingMaterial('EXTRACTOR-dtls_srtp', 60));
    assert.notDeepEqual(material, session.exportKeyingMaterial('EXTRACTOR-dtls_srtp', 60, Buffer.from('context')));
    assert.equal(session.exportKeyingMaterial('label', 100_000 % 4096)?.length, 100_000 % 4096);

    for (const size of [1, 2, 100, 1200, 1500, 9000, 16_384]) {
      assert.ok(client.endpoint.send(Buffer.alloc(size, 'a')));
      wire.run();
      assert.equal(client.got.pop(), 'a'.repeat(size));
    }
    assert.equal(client.endpoint.send(Buffer.alloc(0)), false);
    assert.equal(client.endpoint.send(Buffer.alloc(16_385)), false);

    client.endpoint.close();
    wire.run();
    assert.deepEqual(wire.ends, ['1 close-notify']);
    assert.equal(client.end?.why, 'closed');
    assert.equal(wire.server.size, 0);
    assert.equal(session.send(Buffer.from('x')), false);
    assert.equal(session.facts(), undefined);
    assert.deepEqual(session.peerCertificates(), []);
  });
}

test('a closing server says close_notify, to half-open clients nothing', () => {
  const wire = new Wire();
  const client = wire.connect(1);
  wire.run();
  wire.connect(2);
  wire.run(() => wire.server.size === 2);
  wire.packets.length = 0;
  wire.server.close();
  assert.equal(wire.packets.length, 1);
  wire.run();
  assert.equal(client.end?.why, 'close-notify');
  assert.deepEqual(wire.ends, ['1 closed', '2 failed: closed']);
  assert.equal(wire.server.size, 0);
});

test('a ClientHello without a good cookie leaves nothing behind, and the answer is smaller than the question', () => {
  const wire = new Wire();
  const client = wire.connect(1);
  const hello = wire.packets[0]?.bytes;
  assert.ok(hello);
  wire.run(() => wire.packets[0]?.to === undefined);
  const answered = wire.packets[0]?.bytes;
  assert.ok(answered && answered.length > hello.length, 'the second ClientHello carries the cookie');
  wire.packets.length = 0;
  for (let port = 2; port < 5000; port++) wire.server.receive(hello, client.address.withPort(port));
  // The cookie of another address and port is none.
  for (let port = 2; port < 5000; port++) wire.server.receive(answered, client.address.withPort(port));
  assert.equal(wire.server.size, 0);
  assert.equal(wire.server.stats.accepted, 0);
  assert.equal(wire.toNobody.length, 2 * 4998);
  assert.ok(wire.toNobody.every((bytes) => bytes.length < hello.length));
  wire.deliver({ bytes: answered, to: undefined, from: client.address });
  assert.equal(wire.server.size, 1);
});

test('a cookie is good while its secret is the present one or the one before', () => {
  for (const [passedMs, isGood] of [
    [60_000, true],
    [125_000, false],
  ] as const) {
    const wire = new Wire();
    const client = wire.connect(1, { handshakeMs: 1e9 });
    wire.run(() => wire.packets[0]?.to === undefined);
    const [answered] = wire.packets;
    assert.ok(answered);
    wire.pass(passedMs);
    wire.packets.length = 0;
    wire.deliver({ ...answered, from: client.address });
    assert.equal(wire.server.size, isGood ? 1 : 0);
  }
});

test('a client that begins anew from the same address replaces its session; late copies of its ClientHello do not', () => {
  const wire = new Wire();
  wire.connect(1);
  wire.run();
  const hellos = wire.log.filter(({ to, bytes }) => to === undefined && bytes[13] === 1);
  assert.equal(hellos.length, 2);
  for (const hello of hellos) wire.deliver(hello);
  wire.run();
  assert.equal(wire.opened.length, 1);
  assert.ok(wire.opened[0]?.isOpen);

  // Without the proof that the cookie is, a new ClientHello changes nothing.
  const second = wire.connect(1);
  wire.run(() => wire.packets[0]?.to === undefined);
  assert.ok(wire.opened[0]?.isOpen);
  wire.run();
  assert.deepEqual(wire.ends, ['1 replaced']);
  second.endpoint.send(Buffer.from('hello again'));
  wire.run();
  assert.deepEqual(second.got, ['hello again']);
  assert.equal(wire.server.size, 1);
});

test('half-open handshakes are bounded: the oldest gives way, one address gets no more than its part', () => {
  const wire = new Wire({ maxHandshakes: 8, maxHandshakesPerAddress: 4 });
  for (let i = 1; i <= 6; i++) wire.connect(i, {}, '10.0.0.1');
  for (let round = 0; round < 2; round++) for (const packet of wire.packets.splice(0)) wire.deliver(packet);
  for (const packet of wire.packets.splice(0)) if (packet.to === undefined) wire.deliver(packet);
  assert.equal(wire.server.handshakeCount, 4);
  assert.equal(wire.server.stats.refused, 2);
  wire.packets.length = 0;
  for (let i = 1; i <= 8; i++) wire.connect(10 + i, {}, `10.0.0.${10 + i}`);
  for (let round = 0; round < 2; round++) for (const packet of wire.packets.splice(0)) wire.deliver(packet);
  for (const packet of wire.packets.splice(0)) if (packet.to === undefined) wire.deliver(packet);
  assert.equal(wire.server.handshakeCount, 8);
  assert.equal(wire.server.stats.evicted, 4);
  assert.equal(wire.server.size, 8);
  assert.deepEqual(wire.ends.slice(0, 1), ['1 failed: evicted']);
});

test('sessions are bounded: beyond it a newcomer hears nothing until there is room', () => {
  const wire = new Wire({ maxSessions: 3 });
  const clients = [1, 2, 3, 4].map((port) => wire.connect(port));
  wire.run();
  assert.equal(wire.server.size, 3);
  assert.equal(wire.server.stats.refused, 1);
  assert.equal(clients[3]?.endpoint.isOpen, false);
  clients[0]?.endpoint.close();
  wire.run();
  const again = wire.connect(5);
  wire.run();
  assert.ok(again.endpoint.isOpen);
});

test('silent sessions rest, wake up whole, and end when the silence lasts too long; slow handshakes end too', () => {
  const wire = new Wire({ idleMs: 60_000, handshakeMs: 5000 });
  const client = wire.connect(1);
  const other = wire.connect(2);
  wire.run();
  wire.connect(3);
  wire.run(() => wire.server.handshakeCount === 1);
  wire.packets.length = 0;
  wire.pass(7000);
  assert.deepEqual(wire.ends, ['3 failed: timeout']);
  wire.pass(20_000);
  assert.ok(wire.opened[0]?.send(Buffer.from('from a resting session')));
  wire.run();
  assert.deepEqual(client.got, ['from a resting session']);
  client.endpoint.send(Buffer.from('to a resting session'));
  wire.run();
  assert.deepEqual(client.got, ['from a resting session', 'to a resting session']);
  wire.pass(50_000);
  wire.run();
  assert.deepEqual(wire.ends, ['3 failed: timeout', '2 idle']);
  assert.equal(other.end?.why, 'close-notify');
  assert.equal(wire.server.size, 1);
});

test('a certificate is replaced without losing a session', () => {
  const wire = new Wire({ context: contextOf('rsa-2048') });
  const fingerprint = (name: 'rsa-2048' | 'p-256') =>
    createHash('sha256')
      .update(new X509Certificate(pem(name)).raw)
      .digest('hex');
  const seen: string[] = [];
  const look = (session: { peerCertificates(): Buffer[] }): undefined => {
    seen.push(...session.peerCertificates().map((der) => createHash('sha256').update(der).digest('hex')));
  };
  const old = wire.connect(1, { verifyPeer: look });
  wire.run();
  const halfOpen = wire.connect(2, { verifyPeer: look });
  wire.run(() => wire.server.handshakeCount === 1);
  wire.server.setContext(contextOf('p-256'));
  const late = wire.connect(3, { verifyPeer: look });
  wire.run();
  globalThis.gc?.();
  for (const client of [old, halfOpen, late]) {
    client.endpoint.send(Buffer.from('still here'));
    wire.run();
    assert.deepEqual(client.got, ['still here']);
  }
  assert.deepEqual(seen, [fingerprint('rsa-2048'), fingerprint('rsa-2048'), fingerprint('p-256')]);
});

test('client certificates: asked for, required, from an authority, judged by the owner', () => {
  const own = contextOf('rsa-2048');
  const attempt = (server: ConstructorParameters<typeof Wire>[0], context = own) => {
    const wire = new Wire(server);
    const client = wire.connect(1, { context });
    wire.run();
    return { wire, client, shown: wire.opened[0]?.peerCertificates().length };
  };
  const anonymous = createDtlsContext({});
  const ask = contextOf('p-256', { clientCertificate: 'ask' });
  const require = contextOf('p-256', { clientCertificate: 'require' });
  assert.equal(attempt({}).shown, 0);
  assert.equal(attempt({ context: ask }).shown, 1);
  assert.equal(attempt({ context: ask }, anonymous).shown, 0);
  assert.equal(attempt({ context: require }).shown, 1);
  assert.match(
    attempt({ context: require }, anonymous).wire.ends.join(),
    /failed: failed peer did not return a certificate/,
  );
  assert.equal(attempt({ context: contextOf('p-256', { authorities: pem('rsa-2048') }) }).shown, 1);
  const stranger = attempt({ context: contextOf('p-256', { authorities: pem('p-256') }) });
  assert.match(stranger.wire.ends.join(), /failed: failed certificate verify failed/);
  assert.equal(stranger.client.end?.why, 'failed');
  const refused = attempt({ context: ask, verifyPeer: () => 'not one of us' });
  assert.deepEqual(refused.wire.ends, ['1 failed: refused not one of us']);
  assert.equal(refused.client.end?.why, 'close-notify');
  assert.equal(refused.wire.server.size, 0);
});

test('a client checks the chain and the name where it has authorities', () => {
  const attempt = (authorities: string, serverName: string) => {
    const wire = new Wire();
    const client = wire.connect(1, { context: createDtlsContext({ authorities }), serverName });
    wire.run();
    return client.endpoint.isOpen ? 'open' : client.end?.detail;
  };
  assert.equal(attempt(pem('p-256'), 'dtls.test'), 'open');
  assert.equal(attempt(pem('p-256'), 'other.test'), 'certificate verify failed');
  assert.equal(attempt(pem('rsa-2048'), 'dtls.test'), 'certificate verify failed');
});

test('what the two sides cannot agree upon ends the handshake with a reason', () => {
  const attempt = (context: ReturnType<typeof createDtlsContext>, server = contextOf('p-256')) => {
    const wire = new Wire({ context: server });
    wire.connect(1, { context });
    wire.run();
    return wire.ends.join();
  };
  assert.match(attempt(createDtlsContext({ ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' })), /no shared cipher/);
  assert.match(
    attempt(createDtlsContext({ alpnProtocols: ['x'] }), contextOf('p-256', { alpnProtocols: ['y'] })),
    /no application protocol/,
  );
  assert.equal(attempt(createDtlsContext({ ciphers: 'ECDHE+CHACHA20' })), '');
});

test('settings that cannot be used are refused with a sentence', () => {
  const rsa = pem('rsa-2048');
  const ec = pem('p-256');
  assert.throws(() => contextOf('p-256', { ciphers: 'NO-SUCH' }), {
    code: 'DTLS_SETTINGS',
    message: /no cipher match/,
  });
  assert.throws(() => contextOf('p-256', { groups: 'P-1' }), { code: 'DTLS_SETTINGS' });
  assert.throws(() => contextOf('p-256', { srtpProfiles: ['NO'] }), { code: 'DTLS_SETTINGS', message: /srtp/ });
  assert.throws(() => contextOf('p-256', { authorities: 'nothing' }), { code: 'DTLS_SETTINGS' });
  assert.throws(() => createDtlsContext({ certificates: [{ certificate: rsa, privateKey: ec }] }), {
    code: 'DTLS_SETTINGS',
    message: /mismatch/,
  });
  assert.throws(() => createDtlsContext({ certificates: [{ certificate: '', privateKey: ec }] }), {
    code: 'DTLS_SETTINGS',
    message: /no start line/,
  });
  assert.throws(() => contextOf('p-256', { retransmitMs: 0 }), { code: 'USAGE' });
  assert.throws(() => new Wire({ context: createDtlsContext({}) }), { code: 'USAGE' });
  assert.throws(() => new Wire({ mtuBytes: 100 }), { code: 'USAGE' });
});

test('no datagram of a handshake is larger than the MTU, however long the chain', () => {
  const chain = pem('rsa-2048').repeat(6);
  const context = createDtlsContext({ certificates: [{ certificate: chain, privateKey: pem('rsa-2048') }] });
  for (const mtuBytes of [228, 500, 1200, 1400, 4000]) {
    const wire = new Wire({ context, mtuBytes });
    const client = wire.connect(1, { mtuBytes });
    wire.run();
    assert.ok(client.endpoint.isOpen);
    const largest = Math.max(...wire.log.map(({ bytes }) => bytes.length));
    assert.ok(largest <= mtuBytes && largest > mtuBytes * 0.75, `${largest} bytes at an MTU of ${mtuBytes}`);
  }
});

test('sessions of worker threads live and end with their thread', async () => {
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData).then(({ Wire }) => {
      const wire = new Wire();
      for (let port = 1; port <= 20; port++) wire.connect(port);
      wire.run(() => wire.opened.length === 10);
      parentPort.postMessage(wire.opened.length);
    });`;
  const ran = Array.from({ length: 4 }, () => {
    const worker = new Worker(code, { eval: true, workerData: new URL('./wire.test.kit.js', import.meta.url).href });
    return new Promise<number>((resolve, reject) => {
      let opened = 0;
      worker.once('message', (count: number) => {
        opened = count;
      });
      worker.once('error', reject);
      worker.once('exit', () => resolve(opened));
    });
  });
  assert.deepEqual(await Promise.all(ran), [10, 10, 10, 10]);
  const wire = new Wire();
  const client = wire.connect(1);
  wire.run();
  assert.ok(client.endpoint.isOpen);
});
