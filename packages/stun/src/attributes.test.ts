import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Endpoint } from '@atoll/base';
import fc from 'fast-check';
import {
  Attribute,
  type AttributeCodec,
  decodeChannelData,
  decodeMessage,
  encodeChannelData,
  formatStunUri,
  frameBytes,
  hasValidFingerprint,
  hasValidIntegrity,
  hasValidIntegritySha256,
  MessageWriter,
  Method,
  nonceCookie,
  nonceFeatures,
  parseStunUri,
  StreamFramer,
  StunMessage,
  Transaction,
} from './index.js';

const TRANSACTION = Buffer.from('0102030405060708090a0b0c', 'hex');
const IPV4 = Endpoint.from('192.0.2.1', 32853) as Endpoint;
const IPV6 = Endpoint.from('2001:db8::1', 3478) as Endpoint;

/** One attribute in a message: the bytes of its value, and the value read back. */
function through<T>(codec: AttributeCodec<T>, value: T): { hex: string; value: T | undefined } {
  const bytes = new MessageWriter(Method.binding, 'request', TRANSACTION).add(codec, value).finish();
  const message = decodeMessage(bytes);
  assert.ok(message instanceof StunMessage, String(message));
  const [raw] = message.attributes;
  assert.ok(raw !== undefined);
  assert.equal(raw.type, codec.type);
  return { hex: message.valueOf(raw).toString('hex'), value: message.get(codec) };
}

/** Attribute, its number in the RFC, a value, and its bytes as the RFC lays them out. */
function check<T>(codec: AttributeCodec<T>, type: number, value: T, hex: string): void {
  assert.equal(codec.type, type, codec.name);
  const result = through(codec, value);
  assert.equal(result.hex, hex, codec.name);
  const decoded = result.value;
  if (value instanceof Endpoint) assert.equal(String(decoded), String(value), codec.name);
  else if (value instanceof Uint8Array) assert.deepEqual(Buffer.from(decoded as Uint8Array), Buffer.from(value));
  else assert.deepEqual(decoded, value, codec.name);
}

test('every attribute of RFC 8489 has its number and layout', () => {
  check(Attribute.mappedAddress, 0x0001, IPV4, '00018055c0000201');
  check(Attribute.mappedAddress, 0x0001, IPV6, '00020d9620010db8000000000000000000000001');
  check(Attribute.username, 0x0006, 'alice', '616c696365');
  check(Attribute.messageIntegrity, 0x0008, Buffer.alloc(20, 1), '01'.repeat(20));
  check(Attribute.errorCode, 0x0009, { code: 438, reason: 'Stale Nonce' }, '000004265374616c65204e6f6e6365');
  check(Attribute.unknownAttributes, 0x000a, [0x7777, 0x0003], '77770003');
  check(Attribute.realm, 0x0014, 'ring', '72696e67');
  check(
    Attribute.nonce,
    0x0015,
    'adl7W7PeDU4hKE72jdaQvbAMcr6h39sm',
    Buffer.from('adl7W7PeDU4hKE72jdaQvbAMcr6h39sm').toString('hex'),
  );
  check(Attribute.messageIntegritySha256, 0x001c, Buffer.alloc(16, 2), '02'.repeat(16));
  check(Attribute.passwordAlgorithm, 0x001d, { number: 2, parameters: Buffer.alloc(0) }, '00020000');
  check(Attribute.userhash, 0x001e, Buffer.alloc(32, 3), '03'.repeat(32));
  check(Attribute.xorMappedAddress, 0x0020, IPV4, '0001a147e112a643');
  check(Attribute.xorMappedAddress, 0x0020, IPV6, '00022c840113a9fa0102030405060708090a0b0d');
  const algorithms = [
    { number: 1, parameters: Buffer.alloc(0) },
    { number: 2, parameters: Buffer.alloc(0) },
  ];
  check(Attribute.passwordAlgorithms, 0x8002, algorithms, '0001000000020000');
  check(Attribute.alternateDomain, 0x8003, 'turn.example', '7475726e2e6578616d706c65');
  check(Attribute.software, 0x8022, 'Atoll', '41746f6c6c');
  check(Attribute.alternateServer, 0x8023, IPV4, '00018055c0000201');
  check(Attribute.fingerprint, 0x8028, 0xe57a3bcf, 'e57a3bcf');
});

test('every attribute of RFC 8656 has its number and layout', () => {
  check(Attribute.channelNumber, 0x000c, 0x4001, '40010000');
  check(Attribute.lifetime, 0x000d, 600, '00000258');
  check(Attribute.xorPeerAddress, 0x0012, IPV4, '0001a147e112a643');
  check(Attribute.data, 0x0013, Buffer.from('abc'), '616263');
  check(Attribute.xorRelayedAddress, 0x0016, IPV4, '0001a147e112a643');
  check(Attribute.requestedAddressFamily, 0x0017, 6, '02000000');
  check(Attribute.evenPort, 0x0018, true, '80');
  check(Attribute.evenPort, 0x0018, false, '00');
  check(Attribute.requestedTransport, 0x0019, 17, '11000000');
  check(Attribute.dontFragment, 0x001a, true, '');
  check(Attribute.reservationToken, 0x0022, Buffer.alloc(8, 5), '0505050505050505');
  check(Attribute.additionalAddressFamily, 0x8000, 6, '02000000');
  check(Attribute.addressErrorCode, 0x8001, { family: 6, code: 440, reason: 'no' }, '020004286e6f');
  check(Attribute.icmp, 0x8004, { type: 3, code: 4, data: 1400 }, '0000060400000578');
});

test('every attribute of RFC 6062, 8016, 5780, 7635, 8445 and 3489 has its number and layout', () => {
  check(Attribute.connectionId, 0x002a, 0xdeadbeef, 'deadbeef');
  check(Attribute.mobilityTicket, 0x8030, Buffer.from('ticket'), '7469636b6574');
  check(Attribute.mobilityTicket, 0x8030, Buffer.alloc(0), '');
  check(Attribute.changeRequest, 0x0003, { changesAddress: true, changesPort: true }, '00000006');
  check(Attribute.changeRequest, 0x0003, { changesAddress: false, changesPort: true }, '00000002');
  check(Attribute.padding, 0x0026, Buffer.alloc(3), '000000');
  check(Attribute.responsePort, 0x0027, 5000, '13880000');
  check(Attribute.cacheTimeout, 0x8027, 60, '0000003c');
  check(Attribute.responseOrigin, 0x802b, IPV4, '00018055c0000201');
  check(Attribute.otherAddress, 0x802c, IPV4, '00018055c0000201');
  check(Attribute.accessToken, 0x001b, Buffer.from('token'), '746f6b656e');
  check(Attribute.thirdPartyAuthorization, 0x802e, 'auth', '61757468');
  check(Attribute.priority, 0x0024, 0x6e0001ff, '6e0001ff');
  check(Attribute.useCandidate, 0x0025, true, '');
  check(Attribute.iceControlled, 0x8029, 1n, '0000000000000001');
  check(Attribute.iceControlling, 0x802a, 2n ** 63n, '8000000000000000');
  check(Attribute.origin, 0x802f, 'http://a', '687474703a2f2f61');
  check(Attribute.responseAddress, 0x0002, IPV4, '00018055c0000201');
  check(Attribute.sourceAddress, 0x0004, IPV4, '00018055c0000201');
  check(Attribute.changedAddress, 0x0005, IPV4, '00018055c0000201');
  check(Attribute.password, 0x0007, Buffer.from('pass'), '70617373');
  check(Attribute.reflectedFrom, 0x000b, IPV4, '00018055c0000201');
  check(Attribute.oldXorMappedAddress, 0x8020, IPV4, '0001a147e112a643');
  check(Attribute.draftAdditionalAddressFamily, 0x8032, 6, '02000000');
  check(Attribute.draftAddressErrorCode, 0x8033, { family: 6, code: 440, reason: 'no' }, '020004286e6f');
  check(Attribute.bandwidth, 0x0010, 64, '00000040');
  check(Attribute.timerVal, 0x0021, 30, '0000001e');
});

test('methods and classes lie interleaved in the type', () => {
  const types = [
    [Method.allocate, 'request', 0x0003],
    [Method.allocate, 'error', 0x0113],
    [Method.channelBind, 'success', 0x0109],
    [Method.send, 'indication', 0x0016],
    [Method.data, 'indication', 0x0017],
    [Method.connect, 'request', 0x000a],
    [Method.connectionBind, 'success', 0x010b],
    [Method.connectionAttempt, 'indication', 0x001c],
  ] as const;
  for (const [method, of, type] of types) {
    const bytes = new MessageWriter(method, of, TRANSACTION).finish();
    assert.equal(bytes.readUInt16BE(0), type);
    const message = decodeMessage(bytes) as StunMessage;
    assert.equal(message.method, method);
    assert.equal(message.class, of);
  }
});

test('a message of RFC 3489 is answered with its sixteen-byte id', () => {
  const bytes = Buffer.concat([Buffer.from('00010000', 'hex'), Buffer.alloc(16, 9)]);
  const request = decodeMessage(bytes) as StunMessage;
  assert.ok(request.isClassic);
  const answer = MessageWriter.answer(request, 'success').finish();
  assert.equal(answer.toString('hex'), `01010000${'09'.repeat(16)}`);
});

test('what follows the integrity does not count, except a stronger integrity and the fingerprint', () => {
  const key = Buffer.from('key');
  const bytes = new MessageWriter(Method.binding, 'request', TRANSACTION)
    .addIntegrity(key)
    .add(Attribute.username, 'smuggled')
    .addIntegritySha256(key, 16)
    .finish(true);
  const message = decodeMessage(bytes) as StunMessage;
  assert.ok(!message.has(Attribute.username));
  assert.ok(hasValidIntegrity(message, key));
  assert.ok(hasValidIntegritySha256(message, key));
  assert.ok(hasValidFingerprint(message));
});

test('malformed attributes are there but have no value', () => {
  const bytes = new MessageWriter(Method.binding, 'request', TRANSACTION)
    .addRaw(Attribute.lifetime.type, Buffer.alloc(3))
    .addRaw(Attribute.xorPeerAddress.type, Buffer.from('0003aabb01020304', 'hex'))
    .addRaw(Attribute.errorCode.type, Buffer.from('00000901', 'hex'))
    .addRaw(Attribute.passwordAlgorithms.type, Buffer.from('00010009', 'hex'))
    .finish();
  const message = decodeMessage(bytes) as StunMessage;
  for (const codec of [
    Attribute.lifetime,
    Attribute.xorPeerAddress,
    Attribute.errorCode,
    Attribute.passwordAlgorithms,
  ]) {
    assert.ok(message.has(codec), codec.name);
    assert.equal(message.get(codec as AttributeCodec<unknown>), undefined, codec.name);
  }
  assert.equal(message.all(Attribute.xorPeerAddress), undefined);
});

test('no bytes make the decoders throw', () => {
  const codecs = Object.values(Attribute) as AttributeCodec<unknown>[];
  const header = fc.constantFrom('0001', '0003', '0016', '0113').map((hex) => Buffer.from(hex, 'hex'));
  const attribute = fc
    .tuple(fc.constantFrom(...codecs.map((codec) => codec.type)), fc.uint8Array({ maxLength: 40 }))
    .map(([type, value]) => {
      const bytes = Buffer.alloc(4 + ((value.length + 3) & ~3));
      bytes.writeUInt16BE(type, 0);
      bytes.writeUInt16BE(value.length, 2);
      bytes.set(value, 4);
      return bytes;
    });
  const structured = fc.tuple(header, fc.array(attribute, { maxLength: 12 })).map(([type, list]) => {
    const body = Buffer.concat(list);
    const bytes = Buffer.concat([
      type,
      Buffer.from([body.length >> 8, body.length & 255]),
      Buffer.from('2112a442', 'hex'),
      TRANSACTION,
      body,
    ]);
    return bytes;
  });
  const any = fc.oneof(
    structured,
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  );
  fc.assert(
    fc.property(any, fc.nat(300), (bytes, cut) => {
      for (const part of [bytes, bytes.subarray(0, cut)]) {
        decodeChannelData(part);
        frameBytes(part);
        const message = decodeMessage(part);
        if (typeof message === 'string') continue;
        for (const codec of codecs) {
          message.get(codec);
          message.all(codec);
        }
        hasValidIntegrity(message, TRANSACTION);
        hasValidIntegritySha256(message, TRANSACTION);
        hasValidFingerprint(message);
      }
    }),
    { numRuns: 3000 },
  );
});

test('reasons are told apart', () => {
  const sound = new MessageWriter(Method.binding, 'request', TRANSACTION).add(Attribute.lifetime, 1).finish();
  const broken = (change: (bytes: Buffer) => void): unknown => {
    const bytes = Buffer.from(sound);
    change(bytes);
    return decodeMessage(bytes);
  };
  assert.equal(decodeMessage(sound.subarray(0, 19)), 'too-short');
  assert.equal(
    broken((bytes) => bytes.writeUInt8(0x80, 0)),
    'not-stun',
  );
  assert.equal(
    broken((bytes) => bytes.writeUInt16BE(7, 2)),
    'length-not-padded',
  );
  assert.equal(
    broken((bytes) => bytes.writeUInt16BE(12, 2)),
    'length-wrong',
  );
  assert.equal(
    broken((bytes) => bytes.writeUInt16BE(5, 22)),
    'attribute-cut',
  );
  const many = new MessageWriter(Method.binding, 'request', TRANSACTION);
  for (let i = 0; i < 65; i++) many.addRaw(0x8022, Buffer.alloc(0));
  assert.equal(decodeMessage(many.finish()), 'too-many-attributes');
});

test('ChannelData: framing of datagrams and streams', () => {
  const data = Buffer.from('hello');
  assert.equal(encodeChannelData(0x4001, data, false).toString('hex'), '4001000568656c6c6f');
  assert.equal(encodeChannelData(0x4001, data, true).toString('hex'), '4001000568656c6c6f000000');
  for (const isPadded of [true, false]) {
    assert.deepEqual(decodeChannelData(encodeChannelData(0x4001, data, isPadded)), { channel: 0x4001, data });
  }
  assert.equal(decodeChannelData(Buffer.from('400100056865', 'hex')), undefined);
});

test('a stream is cut into its messages however it arrives', () => {
  const message = new MessageWriter(Method.binding, 'request', TRANSACTION).add(Attribute.lifetime, 1).finish();
  const parts = [message, encodeChannelData(0x4000, Buffer.from('abcde'), true), message];
  const stream = Buffer.concat(parts);
  for (let step = 1; step <= stream.length; step++) {
    const framer = new StreamFramer();
    const found: Buffer[] = [];
    for (let at = 0; at < stream.length; at += step) {
      assert.ok(framer.push(stream.subarray(at, at + step), (one) => void found.push(Buffer.from(one))));
    }
    assert.deepEqual(found, parts);
    assert.equal(framer.waitingBytes, 0);
  }
  const framer = new StreamFramer();
  assert.equal(
    framer.push(Buffer.from('GET / HTTP/1.1'), () => true),
    true,
    'G may begin ChannelData',
  );
  assert.equal(
    new StreamFramer().push(Buffer.from([0x80, 0, 0, 0]), () => true),
    false,
  );
  const rest = new StreamFramer();
  rest.push(Buffer.concat([message, Buffer.from('raw bytes')]), () => false);
  assert.equal(rest.takeRest().toString(), 'raw bytes');
});

test('URIs of RFC 7064 and 7065', () => {
  const turn = parseStunUri('turns:[2001:db8::1]:443?transport=tcp');
  assert.deepEqual(turn, { scheme: 'turns', host: '2001:db8::1', port: 443, transport: 'tcp' });
  assert.deepEqual(parseStunUri('stun:example.org'), {
    scheme: 'stun',
    host: 'example.org',
    port: 3478,
    transport: undefined,
  });
  assert.equal(parseStunUri('turns:example.org')?.port, 5349);
  for (const wrong of [
    'http:x',
    'stun:x?transport=udp',
    'turn:',
    'turn:[::zz]',
    'turn:x:99999',
    'turn:x?transport=sctp',
    'turn:a b',
  ]) {
    assert.equal(parseStunUri(wrong), undefined, wrong);
  }
  for (const text of [
    'turn:10.0.0.1?transport=udp',
    'turns:[::1]:443?transport=tcp',
    'stun:example.org',
    'turn:a:5000',
  ]) {
    const uri = parseStunUri(text);
    assert.ok(uri !== undefined);
    assert.equal(formatStunUri(uri), text);
  }
});

test('the nonce cookie carries the security features', () => {
  assert.equal(nonceCookie({ passwordAlgorithms: true, usernameAnonymity: true }), 'obMatJos2wAAA');
  assert.deepEqual(nonceFeatures('obMatJos2wAAAxyz'), { passwordAlgorithms: true, usernameAnonymity: true });
  assert.equal(nonceFeatures('abc'), undefined);
});

test('a request is sent seven times over datagrams and once over a stream', () => {
  for (const [isReliable, times] of [
    [false, [0, 500, 1500, 3500, 7500, 15500, 31500]],
    [true, [0]],
  ] as const) {
    const sent: number[] = [];
    let nowMs = 0;
    const bytes = new MessageWriter(Method.binding, 'request', TRANSACTION).finish();
    const transaction = new Transaction({ send: () => sent.push(nowMs) }, { bytes, nowMs, isReliable });
    for (;;) {
      nowMs = transaction.dueMs;
      if (!transaction.tick(nowMs)) break;
    }
    assert.deepEqual(sent, [...times]);
    assert.equal(nowMs, 39_500);
    assert.ok(
      transaction.isAnswer(
        decodeMessage(new MessageWriter(Method.binding, 'error', TRANSACTION).finish()) as StunMessage,
      ),
    );
    assert.ok(!transaction.isAnswer(decodeMessage(bytes) as StunMessage));
  }
});
