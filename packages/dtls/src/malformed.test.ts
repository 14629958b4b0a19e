import assert from 'node:assert/strict';
import { contextOf, type Packet, test, Wire } from './wire.test.kit.js';

/** Repeatable chance (a linear congruential generator). */
function chance(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

type Chance = (below: number) => number;

/** Some harm of the kind that strangers do: flipped bits, wrong lengths, cut, doubled, glued, invented. */
function harm(bytes: Buffer, any: Chance, others: readonly Buffer[]): Buffer {
  const copy = Buffer.from(bytes);
  const at = any(copy.length || 1);
  switch (any(8)) {
    case 0:
      return copy.subarray(0, at);
    case 1:
      return Buffer.concat([copy, others[any(others.length)] ?? copy]);
    case 2:
      return Buffer.concat([copy.subarray(0, at), Buffer.alloc(any(64), any(256)), copy.subarray(at)]);
    case 3:
      // Headers: type, version, epoch, sequence, lengths, fragment offset and length.
      copy[any(Math.min(25, copy.length))] = any(256);
      return copy;
    case 4:
      copy.fill(0xff, at, Math.min(copy.length, at + 1 + any(4)));
      return copy;
    case 5:
      return Buffer.from(Array.from({ length: any(100) }, () => any(256)));
    default:
      for (let i = 0; i <= any(4); i++) {
        const flip = any(copy.length || 1);
        copy[flip] = (copy[flip] ?? 0) ^ (1 << any(8));
      }
      return copy;
  }
}

for (const kind of ['p-256', 'rsa-2048'] as const) {
  test(`${kind}: harmed handshakes never crash, never leave anything behind, and hurt nobody else`, () => {
    const runs = kind === 'p-256' ? 1200 : 300;
    const any = chance(runs);
    const context = contextOf(kind, { clientCertificate: 'ask' });
    const own = contextOf(kind);
    const wire = new Wire({ context, maxHandshakes: 64 });
    const honest = wire.connect(1, { context: own });
    wire.run();
    const seen: Buffer[] = wire.log.map(({ bytes }) => bytes);
    let broken = 0;
    const memoryBefore = process.memoryUsage().rss;
    for (let run = 0; run < runs; run++) {
      const client = wire.connect(2 + run, { context: own });
      const target = any(14);
      for (let index = 0; wire.packets.length > 0 && index < 200; index++) {
        const packet = wire.packets.shift() as Packet;
        const isTarget = index === target || any(20) === 0;
        if (isTarget) {
          wire.deliver({ ...packet, bytes: harm(packet.bytes, any, seen) });
          if (any(2) === 0) continue;
        }
        wire.deliver(packet);
      }
      if (!client.endpoint.isOpen) broken++;
      client.endpoint.close();
      wire.run();
      wire.clients.delete(client.address.key);
      wire.log.length = 0;
      assert.ok(wire.server.handshakeCount <= 64);
    }
    assert.ok(broken > runs / 10 && broken < runs, `${broken} of ${runs} handshakes were broken`);
    honest.endpoint.send(Buffer.from('still here'));
    wire.run();
    assert.deepEqual(honest.got, ['still here']);
    wire.pass(31_000);
    assert.equal(wire.server.handshakeCount, 0);
    const grown = process.memoryUsage().rss - memoryBefore;
    assert.ok(grown < 128 << 20, `memory grew by ${grown} bytes`);
  });
}

test('every single bit of a ClientHello may be flipped', () => {
  const wire = new Wire();
  const client = wire.connect(1);
  wire.run(() => wire.packets[0]?.to === undefined);
  const [{ bytes } = { bytes: Buffer.alloc(0) }] = wire.packets;
  wire.packets.length = 0;
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const harmed = Buffer.from(bytes);
    harmed[bit >> 3] = (harmed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    wire.server.receive(harmed, client.address);
    wire.packets.length = 0;
  }
  for (let length = 0; length < bytes.length; length++) {
    wire.server.receive(bytes.subarray(0, length), client.address);
    wire.packets.length = 0;
  }
  assert.ok(wire.server.size <= 1);
  assert.ok(wire.server.handshakeCount <= 1);
});

test('harmed records of an open session are dropped without a word, and the next good one arrives', () => {
  const any = chance(7);
  const wire = new Wire();
  const client = wire.connect(1);
  wire.run();
  let arrived = 0;
  for (let i = 0; i < 5000; i++) {
    assert.ok(client.endpoint.send(Buffer.from(`message ${i}`)));
    const packet = wire.packets.shift();
    assert.ok(packet);
    const harmed = harm(packet.bytes, any, [Buffer.alloc(13), packet.bytes]);
    wire.deliver({ ...packet, bytes: harmed });
    wire.deliver(packet);
    wire.run();
    assert.ok(client.endpoint.isOpen, client.end?.detail);
    assert.deepEqual(client.got.splice(0), [`message ${i}`]);
    arrived++;
  }
  assert.equal(arrived, 5000);
  assert.deepEqual(wire.ends, []);
});

test('a stranger who forges the address cannot end a session, whatever the cipher, the record and its length', () => {
  const suites =
    'AES128-GCM-SHA256 AES256-GCM-SHA384 CHACHA20-POLY1305 AES128-CCM AES128-CCM8 AES128-SHA AES256-SHA384';
  for (const suite of suites.split(' ')) {
    const name = `ECDHE-ECDSA-${suite}`;
    const ciphersOf = { ciphers: `${name}:@SECLEVEL=0` };
    const wire = new Wire({ context: contextOf('p-256', ciphersOf) });
    const client = wire.connect(1, { context: contextOf('p-256', ciphersOf) });
    wire.run();
    assert.ok(client.endpoint.isOpen, name);
    for (const type of [0, 20, 21, 22, 23, 24, 25, 255]) {
      for (const epoch of [0, 1, 2]) {
        for (const length of [...Array(50).keys(), 64, 80, 256, 1200, 16_384, 18_432, 18_433, 20_000]) {
          const record = Buffer.alloc(13 + length, type === 21 ? 2 : 1);
          record.set([type, 0xfe, 0xfd, 0, epoch]);
          record.writeUIntBE(length + 1000, 5, 6);
          record.writeUInt16BE(length, 11);
          wire.server.receive(record, client.address);
          client.endpoint.receive(record);
          record.writeUInt16BE(length + 1, 11);
          wire.server.receive(record, client.address);
        }
      }
    }
    wire.run();
    client.endpoint.send(Buffer.from('still here'));
    wire.run();
    assert.deepEqual(client.got, ['still here'], name);
  }
});

test('a half-open client cannot make the server keep much: early records and handshake bytes are bounded', () => {
  const wire = new Wire();
  const memoryBefore = process.memoryUsage().rss;
  for (let port = 1; port <= 200; port++) {
    const client = wire.connect(port);
    wire.run(() => wire.server.handshakeCount === port);
    wire.packets.length = 0;
    // Encrypted handshake records that belong to an epoch to come: OpenSSL keeps each in a buffer of 17 kB.
    for (let i = 0; i < 100; i++) {
      const early = Buffer.alloc(13 + 40);
      early.set([22, 0xfe, 0xfd, 0, 1]);
      early.writeUIntBE(i, 5, 6);
      early.writeUInt16BE(40, 11);
      wire.server.receive(early, client.address);
    }
    // Fragments of long messages that never come.
    for (let i = 0; i < 10; i++) {
      const fragment = Buffer.alloc(13 + 12 + 8);
      fragment.set([22, 0xfe, 0xfd]);
      fragment.writeUIntBE(1000 + i, 5, 6);
      fragment.writeUInt16BE(20, 11);
      fragment[13] = 11;
      fragment.writeUIntBE(16_000, 14, 3);
      fragment.writeUInt16BE(2 + i, 17);
      fragment.writeUIntBE(8, 22, 3);
      wire.server.receive(fragment, client.address);
    }
    wire.packets.length = 0;
  }
  assert.equal(wire.server.handshakeCount, 200);
  const each = (process.memoryUsage().rss - memoryBefore) / 200;
  assert.ok(each < 600_000, `${each} bytes for each half-open handshake`);
  const [, client] = [...wire.clients.values()];
  assert.ok(client);
  const filler = Buffer.alloc(13 + 1400);
  filler.set([22, 0xfe, 0xfd]);
  filler.writeUInt16BE(1400, 11);
  for (let i = 0; i < 60 && wire.server.sessionOf(client.address) !== undefined; i++) {
    filler.writeUIntBE(5000 + i, 5, 6);
    wire.server.receive(filler, client.address);
  }
  assert.equal(wire.server.sessionOf(client.address), undefined);
});
