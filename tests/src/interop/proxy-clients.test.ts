import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { loadIdentity } from '@atoll/identity';
import { eventually, ManagedProcess } from '@atoll/testkit';
import { ATOLL } from './atoll.js';

const run = promisify(execFile);
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atoll-clients-'));
  for (const name of ['hub', 'phone', 'stranger']) {
    const files = ['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.crt`)];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
    execFileSync('openssl', ['req', '-x509', '-days', '2', ...key, ...subject, ...files], { stdio: 'ignore' });
  }
});

after(() => rm(folder, { recursive: true }));

interface ProxyFacts {
  readonly url: string;
  readonly urlTls?: string;
}

/** `atoll up` with its proxy alone, ready. */
async function withHub(state: string, options: readonly string[], use: (proxy: ProxyFacts) => Promise<void>) {
  const readyFile = join(folder, 'ready.json');
  const ports = ['--dht-port', '0', '--proxy-port', '0', '--proxy-tls-port', '0'];
  const alone = [
    '--host',
    '127.0.0.1',
    '--peer-discovery',
    'false',
    '--no-names',
    '--no-turn',
    '--ready-file',
    readyFile,
  ];
  await using hub = new ManagedProcess('hub', process.execPath, [
    ...[ATOLL, 'up', '--state', state],
    ...[...ports, ...alone, ...options],
  ]);
  const facts = (): Promise<string> => readFile(readyFile, 'utf8').catch(() => '');
  await eventually(async () => (await facts()) !== '', 'the hub is not ready', 60_000);
  await use(JSON.parse(await facts()).proxy);
  await hub.stop();
}

/** What curl gets, or the code it fails with. */
async function curl(...args: string[]): Promise<string | number> {
  const certificates = ['--cacert', join(folder, 'hub.crt')];
  try {
    return (await run('curl', ['--silent', '--show-error', '--max-time', '30', ...certificates, ...args])).stdout;
  } catch (error) {
    return (error as { code: number }).code;
  }
}

test('over TLS only clients with a certificate of the authority use the proxy', async () => {
  const own = ['--certificate', join(folder, 'hub.crt'), '--private-key', join(folder, 'hub.key')];
  const options = [...own, '--proxy-client-authority', join(folder, 'phone.crt')];
  await withHub(join(folder, 'closed'), options, async ({ urlTls }) => {
    const url = `${urlTls}/key/lamp`;
    const shown = (name: string): string[] => [
      ...['--cert', join(folder, `${name}.crt`), '--key', join(folder, `${name}.key`)],
      url,
    ];
    const put = await curl('--data', '{"id":"7","data":"b24="}', ...shown('phone'));
    assert.equal(JSON.parse(String(put)).id, '7');
    assert.equal(JSON.parse(String(await curl(...shown('phone')))).data, 'b24=');
    assert.equal(typeof (await curl(url)), 'number', 'no certificate, no answer');
    assert.equal(typeof (await curl(...shown('stranger'))), 'number', 'nor with one of another authority');
  });
});

test('the proxy signs for its clients only when its operator says so, with a key that it keeps', async () => {
  const state = join(folder, 'signing');
  const body = '{"id":"9","data":"aGVsbG8="}';
  const status = (url: string): Promise<string | number> =>
    curl('--output', '/dev/null', '--write-out', '%{http_code}', '--data', body, `${url}/key/lamp/sign`);
  await withHub(state, [], async ({ url }) => assert.equal(await status(url), '501'));
  let owner = '';
  await withHub(state, ['--proxy-sign', 'true'], async ({ url }) => {
    const signed = JSON.parse(String(await curl('--data', body, `${url}/key/lamp/sign`)));
    assert.ok(signed.sig.length > 100);
    owner = signed.owner;
  });
  const { certificate } = await loadIdentity(
    join(state, 'dht-node-identity.crt'),
    join(state, 'dht-node-identity.pem'),
  );
  assert.equal(owner, certificate.publicKey.toPem());
  assert.equal((await stat(join(state, 'dht-node-identity.pem'))).mode & 0o777, 0o600);
});
