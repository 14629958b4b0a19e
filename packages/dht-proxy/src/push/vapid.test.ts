import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { signJsonWebToken } from './json-web-token.js';
import { VapidKey } from './vapid.js';

/** RFC 8292 2.4. */
const RFC_8292 =
  'vapid t=eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI' +
  '6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA, ' +
  'k=BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs';

interface Claims {
  readonly aud: string;
  readonly exp: number;
  readonly sub?: string;
}

/** The side of the push service: claims of a header whose signature is good. */
function verifyVapid(header: string): Claims {
  const [, token = '', point = ''] = /^vapid t=([\w.-]+), k=([\w-]+)$/.exec(header) ?? [];
  const bytes = Buffer.from(point, 'base64url');
  const key = createPublicKey({
    key: {
      kty: 'EC',
      crv: 'P-256',
      x: bytes.subarray(1, 33).toString('base64url'),
      y: bytes.subarray(33).toString('base64url'),
    },
    format: 'jwk',
  });
  const [head = '', claims = '', signature = ''] = token.split('.');
  const isGood = verify(
    'sha256',
    Buffer.from(`${head}.${claims}`),
    { key, dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  );
  assert.ok(isGood, 'the signature does not verify');
  assert.deepEqual(JSON.parse(Buffer.from(head, 'base64url').toString()), { typ: 'JWT', alg: 'ES256' });
  return JSON.parse(Buffer.from(claims, 'base64url').toString()) as Claims;
}

const clockAt = (unixMs: number) => ({ nowMs: () => 0, unixMs: () => unixMs });

test('the header has the form of the example of RFC 8292 and verifies as that does', () => {
  assert.equal(verifyVapid(RFC_8292).aud, 'https://push.example.net');
  const key = VapidKey.generate();
  const header = key.authorization('https://push.example.net', 'mailto:push@example.com', clockAt(1_453_480_000_000));
  assert.deepEqual(verifyVapid(header), {
    aud: 'https://push.example.net',
    exp: 1_453_480_000 + 12 * 3600,
    sub: 'mailto:push@example.com',
  });
  assert.ok(header.endsWith(`k=${key.publicKey}`));
});

test('a token is kept for its push service until it is nearly over, and made anew when the clock was set back', () => {
  const key = VapidKey.generate();
  const first = key.authorization('https://a.example', '', clockAt(1e12));
  assert.equal(key.authorization('https://a.example', '', clockAt(1e12 + 10 * 3600_000)), first);
  assert.notEqual(key.authorization('https://b.example', '', clockAt(1e12)), first);
  assert.notEqual(key.authorization('https://a.example', '', clockAt(1e12 + 11.5 * 3600_000)), first);
  const back = verifyVapid(key.authorization('https://a.example', '', clockAt(1e12 - 24 * 3600_000)));
  assert.equal(back.exp, 1e9 - 12 * 3600);
});

test('the key is made once, for its owner only, and a file that is no key is not overwritten', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-vapid-'));
  try {
    const path = join(folder, 'vapid.pem');
    const made = VapidKey.loadOrCreate(path);
    assert.equal(VapidKey.loadOrCreate(path).publicKey, made.publicKey);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    writeFileSync(path, 'not a key');
    assert.throws(() => VapidKey.loadOrCreate(path), { code: 'PUSH_KEY_UNUSABLE' });
    assert.equal(readFileSync(path, 'utf8'), 'not a key');
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    writeFileSync(path, rsa.export({ format: 'pem', type: 'pkcs8' }));
    assert.throws(() => VapidKey.loadOrCreate(path), { code: 'PUSH_KEY_UNUSABLE' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('tokens of both algorithms verify', () => {
  const pairs: readonly (readonly ['RS256' | 'ES256', { privateKey: KeyObject; publicKey: KeyObject }])[] = [
    ['RS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ];
  for (const [algorithm, { privateKey, publicKey }] of pairs) {
    const [head = '', claims = '', signature = ''] = signJsonWebToken(
      algorithm,
      { kid: 'k' },
      { iss: 'me', iat: 7 },
      privateKey,
    ).split('.');
    const key = { key: publicKey, dsaEncoding: 'ieee-p1363' as const };
    assert.ok(verify('sha256', Buffer.from(`${head}.${claims}`), key, Buffer.from(signature, 'base64url')));
    assert.deepEqual(JSON.parse(Buffer.from(head, 'base64url').toString()), { alg: algorithm, kid: 'k' });
  }
});
