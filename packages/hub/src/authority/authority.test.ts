import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '@atoll/base';
import { StateDirectory } from '../state-directory.js';
import { Authority } from './authority.js';
import { HubCertificate } from './hub-certificate.js';

const NOW_MS = Date.now();
const DAY_MS = 24 * 60 * 60_000;

async function stateFor(t: TestContext): Promise<StateDirectory> {
  const folder = await mkdtemp(join(tmpdir(), 'atoll-authority-'));
  t.after(() => rm(folder, { recursive: true }));
  return StateDirectory.take(folder);
}

test('the authority stays the same, and vouches for local names and addresses only', async (t) => {
  const state = await stateFor(t);
  const first = await Authority.open(state, ['school'], ['192.0.2.7', '10.0.0.1'], NOW_MS);
  const again = await Authority.open(state, ['other'], ['192.0.2.8'], NOW_MS);
  assert.equal(again.fingerprint, first.fingerprint);
  const asked = [
    'atoll.local',
    'school',
    'other',
    'example.org',
    '10.9.9.9',
    '192.0.2.7',
    '192.0.2.8',
    'fd00::1',
    '::1',
  ];
  assert.deepEqual(again.vouchable(asked), ['atoll.local', 'school', '10.9.9.9', '192.0.2.7', 'fd00::1', '::1']);
  assert.equal((await stat(state.file('authority/atoll.key'))).mode & 0o777, 0o600);
  await rm(state.file('authority/atoll.key'));
  await assert.rejects(Authority.open(state, [], [], NOW_MS), { code: 'HUB_AUTHORITY_UNUSABLE' });
});

test('the certificate follows names, addresses and time, and gives way to the operator’s', async (t) => {
  const state = await stateFor(t);
  let nowMs = NOW_MS;
  let names = ['atoll.local', '10.0.0.1'];
  const authority = await Authority.open(state, ['school'], [], nowMs);
  const parts = { state, logger: silentLogger, unixMs: () => nowMs, authority };
  const certificate = await HubCertificate.open(parts, { names: () => names });
  t.after(() => certificate.close());
  let changes = 0;
  certificate.onChange(() => changes++);
  const leaf = async (): Promise<X509Certificate> =>
    new X509Certificate(await readFile(certificate.current().certificate, 'utf8'));
  assert.ok((await leaf()).checkIP('10.0.0.1'));
  await certificate.check();
  assert.equal(changes, 0);
  names = [...names, '10.0.0.2', 'example.org', 'fd00::5'];
  await certificate.check();
  assert.equal(changes, 1);
  assert.ok((await leaf()).checkIP('10.0.0.2') && (await leaf()).checkIP('fd00::5'));
  assert.equal((await leaf()).checkHost('example.org'), undefined);
  nowMs += 380 * DAY_MS;
  await certificate.check();
  assert.equal(changes, 2);
  assert.ok(certificate.current().notAfterMs > nowMs + 300 * DAY_MS);

  const elsewhere = await stateFor(t);
  const other = await Authority.open(elsewhere, ['hub.school.example'], [], nowMs);
  const operators = await HubCertificate.open(
    { ...parts, state: elsewhere, authority: other },
    { names: () => ['hub.school.example'] },
  );
  operators.close();
  const [pem, key] = await Promise.all(
    [operators.current().certificate, operators.current().privateKey].map((path) => readFile(path, 'utf8')),
  );
  await certificate.install(pem ?? '', key ?? '');
  assert.deepEqual(
    [changes, certificate.current().isOwnAuthority, certificate.current().names],
    [3, false, ['hub.school.example']],
  );
  await assert.rejects(certificate.install('nonsense', key ?? ''), { code: 'HUB_CERTIFICATE_UNUSABLE' });
  const files = { certificate: operators.current().certificate, privateKey: state.file('none.key') };
  const open = (): Promise<HubCertificate> =>
    HubCertificate.open({ ...parts, authority: undefined }, { files, names: () => [] });
  await assert.rejects(open(), /The private key .*none\.key cannot be read by \w+/);
  await writeFile(files.privateKey, key ?? '', { mode: 0o600 });
  (await open()).close();
  nowMs += 800 * DAY_MS;
  await assert.rejects(open(), /hub\.crt expired on .*; renew it/);
});
