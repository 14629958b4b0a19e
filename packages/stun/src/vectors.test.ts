import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Endpoint } from '@atoll/base';
import {
  Attribute,
  decodeMessage,
  hasValidFingerprint,
  hasValidIntegrity,
  hasValidIntegritySha256,
  longTermKey,
  MessageWriter,
  Method,
  nonceFeatures,
  openAccessToken,
  StunMessage,
  sealAccessToken,
  shortTermKey,
  userhash,
} from './index.js';

const PASSWORD = 'VOkJxbRl1RmTxUk/WvJxBt';
const TRANSACTION = 'b7e7a701bc34d686fa87dfae';
const MATRIX_USER = 'マトリックス';

// RFC 5769 sections 2.1 to 2.4.
const REQUEST = `000100582112a442${TRANSACTION}80220010${Buffer.from('STUN test client').toString('hex')}002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf`;
const IPV4_RESPONSE = `0101003c2112a442${TRANSACTION}8022000b7465737420766563746f7220002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96`;
const IPV6_RESPONSE = `010100482112a442${TRANSACTION}8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c`;
const LONG_TERM_REQUEST =
  '000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b900000015001c662f2f3439396b39353464364f4c33346f4c39465354767936347341001400' +
  '0b6578616d706c652e6f72670000080014f67024656dd64a3e02b8e0712e85c9a28ca89666';
// RFC 8489 appendix B.1.
const USERHASH_REQUEST =
  '000100902112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704001500296f624d61744a6f733241414143662f2f3439' +
  '396b39353464364f4c33346f4c39465354767936347341000000001400' +
  '0b6578616d706c652e6f726700001d000400020000001c0020b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65';

function message(hex: string): StunMessage {
  const decoded = decodeMessage(Buffer.from(hex, 'hex'));
  assert.ok(decoded instanceof StunMessage, String(decoded));
  return decoded;
}

test('RFC 5769 2.1: the sample request', () => {
  const request = message(REQUEST);
  assert.equal(request.method, Method.binding);
  assert.equal(request.class, 'request');
  assert.equal(request.transactionId.toString('hex'), TRANSACTION);
  assert.equal(request.get(Attribute.software), 'STUN test client');
  assert.equal(request.get(Attribute.priority), 0x6e0001ff);
  assert.equal(request.get(Attribute.iceControlled), 0x932ff9b151263b36n);
  assert.equal(request.get(Attribute.username), 'evtj:h6vY');
  assert.ok(hasValidIntegrity(request, shortTermKey(PASSWORD)));
  assert.ok(!hasValidIntegrity(request, shortTermKey('other')));
  assert.ok(hasValidFingerprint(request));
});

test('RFC 5769 2.2 and 2.3: the sample responses, decoded and made', () => {
  const cases = [
    [IPV4_RESPONSE, '192.0.2.1'],
    [IPV6_RESPONSE, '2001:db8:1234:5678:11:2233:4455:6677'],
  ] as const;
  for (const [hex, host] of cases) {
    const response = message(hex);
    assert.equal(response.class, 'success');
    const mapped = response.get(Attribute.xorMappedAddress);
    assert.equal(mapped?.host, host);
    assert.equal(mapped?.port, 32853);
    assert.ok(hasValidIntegrity(response, shortTermKey(PASSWORD)));
    assert.ok(hasValidFingerprint(response));
    // The RFC pads with spaces, we pad with zeros: only that differs in what stands in front of the integrity.
    const made = new MessageWriter(Method.binding, 'success', Buffer.from(TRANSACTION, 'hex'))
      .add(Attribute.software, 'test vector')
      .add(Attribute.xorMappedAddress, Endpoint.from(host, 32853) as Endpoint);
    const expected = hex.slice(0, hex.indexOf('00080014')).replace('766563746f7220', '766563746f7200');
    const { length } = made;
    assert.equal(made.finish().toString('hex').slice(8), expected.slice(8));
    assert.equal(length, expected.length / 2);
  }
});

test('RFC 5769 2.4: long-term credentials', () => {
  const request = message(LONG_TERM_REQUEST);
  assert.equal(request.get(Attribute.username), MATRIX_USER);
  assert.equal(request.get(Attribute.realm), 'example.org');
  assert.equal(request.get(Attribute.nonce), 'f//499k954d6OL34oL9FSTvy64sA');
  // The RFC's password before SASLprep: soft hyphen and a compatibility character.
  const key = longTermKey(MATRIX_USER, 'example.org', 'The\u00adM\u00aatr\u2168');
  assert.deepEqual(key, longTermKey(MATRIX_USER, 'example.org', 'TheMatrIX'));
  assert.ok(hasValidIntegrity(request, key));
  const made = new MessageWriter(Method.binding, 'request', request.transactionId)
    .add(Attribute.username, MATRIX_USER)
    .add(Attribute.nonce, 'f//499k954d6OL34oL9FSTvy64sA')
    .add(Attribute.realm, 'example.org')
    .addIntegrity(key)
    .finish();
  assert.equal(made.toString('hex'), LONG_TERM_REQUEST);
});

test('RFC 8489 B.1: USERHASH, PASSWORD-ALGORITHM and MESSAGE-INTEGRITY-SHA256', () => {
  const request = message(USERHASH_REQUEST);
  const hash = request.get(Attribute.userhash);
  assert.equal(Buffer.from(hash ?? []).toString('hex'), userhash(MATRIX_USER, 'example.org').toString('hex'));
  assert.equal(request.get(Attribute.passwordAlgorithm)?.number, 2);
  const nonce = request.get(Attribute.nonce) ?? '';
  assert.deepEqual(nonceFeatures(nonce), { passwordAlgorithms: false, usernameAnonymity: false });
  const key = longTermKey(MATRIX_USER, 'example.org', 'TheMatrIX', 'sha256');
  assert.ok(hasValidIntegritySha256(request, key));
  assert.ok(!hasValidIntegritySha256(request, longTermKey(MATRIX_USER, 'example.org', 'TheMatrIX')));
  const made = new MessageWriter(Method.binding, 'request', request.transactionId)
    .add(Attribute.userhash, hash ?? Buffer.alloc(0))
    .add(Attribute.nonce, nonce)
    .add(Attribute.realm, 'example.org')
    .add(Attribute.passwordAlgorithm, { number: 2, parameters: Buffer.alloc(0) })
    .addIntegritySha256(key)
    .finish();
  assert.equal(made.toString('hex'), USERHASH_REQUEST);
});

test('a changed byte breaks fingerprint and integrity', () => {
  const bytes = Buffer.from(REQUEST, 'hex');
  bytes[27] = 23;
  const changed = decodeMessage(bytes) as StunMessage;
  assert.ok(!hasValidFingerprint(changed));
  assert.ok(!hasValidIntegrity(changed, shortTermKey(PASSWORD)));
});

test('RFC 7635: a token is opened with its key and for its server only', () => {
  const token = { macKey: Buffer.from('ZksjpweoixXmvn67534m'), timestamp: 92_470_300_704.5, lifetimeSeconds: 3600 };
  for (const bytes of [16, 32]) {
    const key = Buffer.alloc(bytes, 7);
    const sealed = sealAccessToken(token, {
      key,
      nonce: Buffer.from('h4j3k2l2n4b5'),
      serverName: 'blackdow.carleon.gov',
    });
    assert.deepEqual(openAccessToken(sealed, { key, serverName: 'blackdow.carleon.gov' }), token);
    assert.equal(openAccessToken(sealed, { key, serverName: 'another' }), undefined);
    assert.equal(
      openAccessToken(sealed, { key: Buffer.alloc(bytes, 8), serverName: 'blackdow.carleon.gov' }),
      undefined,
    );
    for (let length = 0; length < sealed.length; length++) {
      assert.equal(openAccessToken(sealed.subarray(0, length), { key, serverName: 'blackdow.carleon.gov' }), undefined);
    }
  }
});
