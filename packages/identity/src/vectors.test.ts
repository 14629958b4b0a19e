import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  Certificate,
  commonBits,
  compareDistance,
  decryptAesGcm,
  decryptWithPassword,
  encryptAesGcm,
  encryptWithPassword,
  generateIdentity,
  InfoHash,
  loadIdentity,
  lowbit,
  nodeIdOf,
  PkId,
  PrivateKey,
  PublicKey,
  saveIdentity,
} from './index.js';
import { keyOfPassword, nativeArgon2i, portableArgon2i } from './password.js';

type Texts<Name extends string> = Readonly<Record<Name, string>>;

interface RecordedKey
  extends Texts<
    | 'private_key_pem'
    | 'certificate_chain_pem'
    | 'public_key_spki_der'
    | 'public_key_pem'
    | 'id'
    | 'long_id'
    | 'cert_id'
    | 'cert_long_id'
    | 'cert_name'
    | 'cert_uid'
    | 'cert_issuer_name'
    | 'cert_issuer_uid'
    | 'cert_serial'
    | 'node_id_from_identity'
    | 'h_of_long_id'
  > {
  readonly cert_is_ca: boolean | string;
}

interface RecordedCrypto {
  readonly rsa_sha512_sign: readonly Texts<'message' | 'signature' | 'signer'>[];
  readonly rsa_encrypt: readonly Texts<'cypher' | 'plain' | 'to'>[];
  readonly aes_gcm: readonly Texts<'key' | 'blob' | 'plain'>[];
  readonly password: readonly Texts<'blob' | 'password_utf8' | 'plain' | 'salt' | 'key_sha256_of_raw'>[];
  readonly ec: Texts<'signer' | 'message' | 'signature'>;
  readonly encrypted_private_key: Texts<'pem' | 'password' | 'of'>;
}

interface RecordedHash extends Partial<Texts<'input_utf8' | 'infohash' | 'pkid' | 'hex_parse_as_infohash'>> {
  readonly a?: string;
  readonly b?: string;
  readonly common_bits_a_b?: number;
  readonly lowbit_b?: number;
  readonly xorcmp_zero_a_b?: number;
}

const vectors = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8'));
const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const keys = vectors<Readonly<Record<string, RecordedKey>>>('keys');
const crypto = vectors<RecordedCrypto>('crypto');
const recordedKeyOf = (who: string): RecordedKey => {
  const recorded = keys[who];
  assert.ok(recorded, `no key of ${who} was recorded`);
  return recorded;
};
const privateKeyOf = (who: string): PrivateKey => PrivateKey.decode(recordedKeyOf(who).private_key_pem);
const certificateOf = (who: string): Certificate => {
  const certificate = Certificate.decode(recordedKeyOf(who).certificate_chain_pem);
  assert.ok(certificate);
  return certificate;
};

test('hashes agree with OpenDHT', () => {
  const recorded = vectors<readonly RecordedHash[]>('infohash');
  for (const entry of recorded) {
    if (entry.input_utf8 === undefined) continue;
    assert.equal(InfoHash.of(entry.input_utf8).toString(), entry.infohash);
    assert.equal(PkId.of(entry.input_utf8).toString(), entry.pkid);
    assert.equal(InfoHash.parse(entry.input_utf8).toString(), entry.hex_parse_as_infohash);
  }
  const { a, b, common_bits_a_b: bits, lowbit_b: low, xorcmp_zero_a_b: order } = recorded.at(-1) ?? {};
  assert.ok(a !== undefined && b !== undefined);
  assert.equal(commonBits(InfoHash.parse(a), InfoHash.parse(b)), bits);
  assert.equal(lowbit(InfoHash.parse(b)), low);
  assert.equal(lowbit(InfoHash.zero), -1);
  assert.equal(Math.sign(compareDistance(InfoHash.zero, InfoHash.parse(a), InfoHash.parse(b))), order);
  assert.equal(InfoHash.of('foo').toString(), '0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33');
  assert.equal(PkId.of('').toString().slice(0, 8), 'e3b0c442');
  assert.equal(InfoHash.parse('0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a3'), InfoHash.zero);
  assert.equal(InfoHash.parse('0BEEC7B5EA3F0FDBC95D0DD47F3C5BC275DA8A33ff').toString(), InfoHash.of('foo').toString());
  assert.ok(InfoHash.parse('z'.repeat(40)).isZero);
});

test('distances agree with big numbers', () => {
  const hash = fc.uint8Array({ minLength: 20, maxLength: 20 }).map((bytes) => Buffer.from(bytes));
  const big = (bytes: Buffer): bigint => BigInt(`0x${bytes.toString('hex')}`);
  const of = (bytes: Buffer): InfoHash => InfoHash.fromBytes(bytes) ?? InfoHash.zero;
  fc.assert(
    fc.property(hash, hash, hash, (t, a, b) => {
      const byNumbers = (big(a) ^ big(t)) - (big(b) ^ big(t));
      assert.equal(Math.sign(compareDistance(of(t), of(a), of(b))), byNumbers < 0n ? -1 : byNumbers > 0n ? 1 : 0);
      const bits = (big(a) ^ big(b)).toString(2).padStart(160, '0');
      const first = bits.indexOf('1');
      assert.equal(commonBits(of(a), of(b)), first < 0 ? 160 : first);
      assert.equal(lowbit(of(a)), big(a).toString(2).padStart(160, '0').lastIndexOf('1'));
    }),
  );
});

for (const who of Object.keys(keys)) {
  test(`the identity of ${who} reads as OpenDHT wrote it`, () => {
    const recorded = recordedKeyOf(who);
    const privateKey = privateKeyOf(who);
    const certificate = certificateOf(who);
    assert.equal(privateKey.publicKey.spki.toString('hex'), recorded.public_key_spki_der);
    assert.equal(privateKey.publicKey.id.toString(), recorded.id);
    assert.equal(privateKey.publicKey.longId.toString(), recorded.long_id);
    assert.equal(PublicKey.decode(hex(recorded.public_key_spki_der))?.id.toString(), recorded.id);
    assert.equal(PublicKey.decode(Buffer.from(recorded.public_key_pem))?.id.toString(), recorded.id);
    assert.equal(certificate.id.toString(), recorded.cert_id);
    assert.equal(certificate.longId.toString(), recorded.cert_long_id);
    assert.equal(certificate.name, recorded.cert_name);
    assert.equal(certificate.uid, recorded.cert_uid);
    assert.equal(certificate.issuerName, recorded.cert_issuer_name);
    assert.equal(certificate.issuerUid, recorded.cert_issuer_uid);
    assert.equal(certificate.serial, recorded.cert_serial);
    assert.equal(certificate.isCa, recorded.cert_is_ca === true || recorded.cert_is_ca === 'True');
    assert.equal(nodeIdOf(certificate).toString(), recorded.node_id_from_identity);
    assert.equal(InfoHash.of(certificate.longId.toBytes()).toString(), recorded.h_of_long_id);
    assert.equal(certificate.chainFault(certificate.validFromMs + 1000), undefined);
    assert.match(certificate.chainFault(certificate.validFromMs - 1000) ?? '', /not valid at this time/);
    assert.deepEqual(PrivateKey.decode(privateKey.toPem('pw'), 'pw').publicKey.spki, privateKey.publicKey.spki);
    assert.throws(() => PrivateKey.decode(privateKey.toPem('pw'), 'other'), { code: 'IDENTITY_KEY_UNREADABLE' });
  });
}

test('signatures, sealed messages and passwords agree with OpenDHT', async () => {
  for (const { message, signature, signer } of crypto.rsa_sha512_sign) {
    assert.equal(privateKeyOf(signer).sign(hex(message)).toString('hex'), signature);
    assert.ok(privateKeyOf(signer).publicKey.verify(hex(message), hex(signature)));
    assert.ok(!privateKeyOf(signer).publicKey.verify(Buffer.from('other'), hex(signature)));
  }
  for (const { cypher, plain, to } of crypto.rsa_encrypt) {
    assert.equal(privateKeyOf(to).decrypt(hex(cypher))?.toString('hex'), plain);
    const damaged = hex(cypher);
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    assert.notEqual(privateKeyOf(to).decrypt(damaged)?.toString('hex'), plain);
  }
  for (const { key, blob, plain } of crypto.aes_gcm) {
    assert.equal(decryptAesGcm(hex(key), hex(blob))?.toString('hex'), plain);
    assert.equal(decryptAesGcm(hex(key), encryptAesGcm(hex(key), hex(plain)))?.toString('hex'), plain);
  }
  for (const entry of crypto.password) {
    assert.equal((await decryptWithPassword(hex(entry.blob), entry.password_utf8))?.toString('hex'), entry.plain);
  }
  const [first] = crypto.password;
  assert.ok(first);
  const native = await nativeArgon2i();
  for (const argon2i of native === undefined ? [portableArgon2i] : [portableArgon2i, native]) {
    const key = await keyOfPassword(first.password_utf8, hex(first.salt), argon2i);
    assert.equal(key.toString('hex'), first.key_sha256_of_raw);
  }
  const { ec, encrypted_private_key: locked } = crypto;
  const eddy = privateKeyOf(ec.signer).publicKey;
  assert.equal(eddy.verify(hex(ec.message), hex(ec.signature)), false, 'signatures of EC keys never count');
  assert.throws(() => eddy.encrypt(Buffer.from('x')), { code: 'IDENTITY_NOT_RSA' });
  assert.equal(PrivateKey.decode(locked.pem, locked.password).publicKey.id.toString(), recordedKeyOf(locked.of).id);
});

test('sealing comes back at every size around the borders', () => {
  const bob = privateKeyOf('bob');
  for (const size of [0, 1, 244, 245, 246, 255, 256, 257, 1000, 70_000]) {
    const plain = Buffer.alloc(size, 7);
    const sealed = bob.publicKey.encrypt(plain);
    assert.deepEqual(bob.decrypt(sealed), plain);
    assert.equal(bob.decrypt(sealed.subarray(0, sealed.length - 1)), undefined);
  }
});

test('nothing that a stranger sends throws', async () => {
  const bob = privateKeyOf('bob');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      const buffer = Buffer.from(bytes);
      PublicKey.decode(buffer);
      Certificate.decode(buffer);
      bob.decrypt(buffer);
      bob.publicKey.verify(buffer, buffer);
    }),
  );
  assert.equal(await decryptWithPassword(Buffer.alloc(10), 'x'), undefined);
  assert.equal(await decryptWithPassword(await encryptWithPassword(Buffer.from('hi'), 'right'), 'wrong'), undefined);
});

test('a new identity is saved, loaded and checked', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'atoll-identity-'));
  try {
    const authority = await generateIdentity('Authority', Date.now(), { kind: 'ec' });
    const identity = await generateIdentity('node', Date.now(), { issuer: authority, bits: 2048 });
    assert.equal(identity.certificate.chainFault(Date.now()), undefined);
    assert.equal(identity.certificate.uid, identity.certificate.id.toString());
    assert.equal(identity.certificate.isCa, false);
    assert.equal(identity.certificate.issuerUid, authority.certificate.id.toString());
    const path = join(folder, 'node');
    await saveIdentity(path, identity, 'secret');
    const loaded = await loadIdentity(`${path}.crt`, `${path}.pem`, 'secret');
    assert.ok(loaded.certificate.longId.equals(identity.certificate.longId));
    assert.equal(loaded.certificate.issuer?.name, 'Authority');
    await assert.rejects(loadIdentity(`${path}.crt`, `${path}.pem`, 'wrong'), { code: 'IDENTITY_KEY_UNREADABLE' });
    await assert.rejects(loadIdentity(`${path}.crt`, join(folder, 'none.pem')), { code: 'IDENTITY_FILE_UNREADABLE' });
    await saveIdentity(join(folder, 'other'), authority);
    await assert.rejects(loadIdentity(`${path}.crt`, join(folder, 'other.pem')), { code: 'IDENTITY_MISMATCH' });
    const impostor = await generateIdentity('Authority', Date.now(), { kind: 'ec' });
    assert.match(identity.certificate.withIssuer(impostor.certificate).chainFault(Date.now()) ?? '', /has not signed/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
