import assert from 'node:assert/strict';
import { createECDH } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { systemRandom } from '@atoll/base';
import {
  decryptWebPush,
  encryptWebPush,
  parseWebPushKeys,
  WEB_PUSH_OVERHEAD_BYTES,
  type WebPushKeys,
} from './web-push-encryption.js';

const base64url = (text: string): Buffer => Buffer.from(text, 'base64url');

/** RFC 8291 5 and appendix A. */
const RFC_8291 = {
  plaintext: 'When I grow up, I want to be a watermelon',
  senderPrivateKey: base64url('yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw'),
  receiverPrivateKey: base64url('q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94'),
  receiverPublicKey: 'BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4',
  salt: base64url('DGv6ra1nlYgDCS1FRnbzlw'),
  authSecret: 'BTBZMqHH6r4Tts7J_aSIgg',
  body:
    'DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl' +
    '7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN',
};

function keysOf(topic: string): WebPushKeys {
  const keys = parseWebPushKeys(topic);
  assert.ok(typeof keys === 'object', String(keys));
  return keys;
}

test('the example of RFC 8291 comes out byte for byte, and opens again', () => {
  const keys = keysOf(`${RFC_8291.receiverPublicKey}|${RFC_8291.authSecret}`);
  const body = encryptWebPush(Buffer.from(RFC_8291.plaintext), keys, systemRandom, RFC_8291);
  assert.equal(body.toString('base64url'), RFC_8291.body);
  const opened = decryptWebPush(body, RFC_8291.receiverPrivateKey, base64url(RFC_8291.authSecret));
  assert.equal(String(opened), RFC_8291.plaintext);
});

test('a push of the newest reference proxy comes out byte for byte', () => {
  const file = new URL('../../vectors/push/webpush-aes128gcm.json', import.meta.url);
  const vector = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
  const hex = (name: string): Buffer => Buffer.from(vector[name] ?? '', 'hex');
  const body = encryptWebPush(Buffer.from(vector.plaintext ?? ''), keysOf(vector.topic ?? ''), systemRandom, {
    senderPrivateKey: hex('sender_private_key_hex'),
    salt: hex('salt_hex'),
  });
  assert.equal(body.toString('hex'), vector.body_hex);
  const opened = decryptWebPush(body, hex('receiver_private_key_hex'), hex('auth_secret_hex'));
  assert.equal(String(opened), vector.plaintext);
});

test('every message has a key and a salt of its own, and only its receiver opens it', () => {
  const receiver = createECDH('prime256v1');
  receiver.generateKeys();
  const authSecret = systemRandom.bytes(16);
  const keys = keysOf(`${receiver.getPublicKey('base64')}|${authSecret.toString('base64')}`);
  const plaintext = Buffer.from('hello');
  const bodies = [1, 2].map(() => encryptWebPush(plaintext, keys, systemRandom));
  assert.notDeepEqual(bodies[0]?.subarray(0, 86), bodies[1]?.subarray(0, 86));
  for (const body of bodies) {
    assert.equal(body.length, plaintext.length + WEB_PUSH_OVERHEAD_BYTES);
    assert.deepEqual(decryptWebPush(body, receiver.getPrivateKey(), authSecret), plaintext);
    assert.equal(decryptWebPush(body, receiver.getPrivateKey(), systemRandom.bytes(16)), 'damaged, or for another key');
    for (let at = 0; at < body.length; at++) {
      const damaged = Buffer.from(body);
      damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
      // The record size says only where a next record would begin.
      const isSize = at >= 16 && at < 20;
      assert.equal(Buffer.isBuffer(decryptWebPush(damaged, receiver.getPrivateKey(), authSecret)), isSize);
    }
    for (let length = 0; length < body.length; length++) {
      assert.equal(typeof decryptWebPush(body.subarray(0, length), receiver.getPrivateKey(), authSecret), 'string');
    }
  }
});

test('keys are taken in both alphabets, padded or not; a client without keys gets no encryption', () => {
  const point = Buffer.from(RFC_8291.receiverPublicKey, 'base64url');
  const auth = Buffer.from(RFC_8291.authSecret, 'base64url');
  for (const key of [point.toString('base64'), point.toString('base64url'), `${point.toString('base64url')}=`]) {
    for (const secret of [auth.toString('base64'), auth.toString('base64url')]) {
      assert.deepEqual(keysOf(`${key}|${secret}`), { publicKey: point, authSecret: auth });
    }
  }
  for (const topic of ['', '|', `${RFC_8291.receiverPublicKey}|`, `|${RFC_8291.authSecret}`, 'cx.ring', 'a|b|c']) {
    assert.equal(parseWebPushKeys(topic), undefined);
  }
});

test('keys that nobody can encrypt to are refused with a reason', () => {
  const { receiverPublicKey: point, authSecret: auth } = RFC_8291;
  const compressed = Buffer.concat([Buffer.from([2]), base64url(point).subarray(1, 33)]).toString('base64url');
  const offCurve = Buffer.from(base64url(point));
  offCurve.writeUInt8(offCurve.readUInt8(64) ^ 1, 64);
  const bad = [
    `${compressed}|${auth}`,
    `${offCurve.toString('base64url')}|${auth}`,
    `${point}|AAAA`,
    `${point}|*`,
    `é|${auth}`,
  ];
  for (const topic of bad) assert.equal(typeof parseWebPushKeys(topic), 'string', topic);
});
