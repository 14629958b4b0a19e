import assert from 'node:assert/strict';
import { createPublicKey, webcrypto, X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { AtollError, type Logger, silentLogger } from '@atoll/base';
import { Authority } from '../authority/authority.js';
import { HubCertificate } from '../authority/hub-certificate.js';
import { StateDirectory } from '../state-directory.js';
import { RetryAfter } from './acme-client.js';
import { AcmeRenewal } from './acme-renewal.js';
import { AcmeStore } from './acme-store.js';

const NOW_MS = Date.now();
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const LIFE_MS = 90 * DAY_MS;
const NAME = 'hub.school.example';
const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** A certificate of some authority for a request. */
async function issue(request: Uint8Array, names: readonly string[], nowMs: number): Promise<string> {
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const asked = new x509.Pkcs10CertificateRequest(Buffer.from(request));
  assert.ok(await asked.verify());
  const keys = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: '01',
    issuer: 'CN=Public',
    notBefore: new Date(nowMs),
    notAfter: new Date(nowMs + LIFE_MS),
    publicKey: asked.publicKey,
    signingKey: keys.privateKey,
    signingAlgorithm: P256,
    extensions: [new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns' as const, value })))],
  });
  return certificate.toString('pem');
}

/** A hub whose clock moves on when it waits, and a directory that does as it is told. */
class Trial {
  nowMs = NOW_MS;
  /** When the directory was asked, since the beginning. */
  readonly askedMs: number[] = [];
  readonly warnings: string[] = [];
  readonly store: AcmeStore;
  certificate: HubCertificate | undefined;
  /** What comes of an order; a certificate when left out. */
  failure: AtollError | undefined;
  private readonly state: StateDirectory;

  private constructor(state: StateDirectory) {
    this.state = state;
    this.store = new AcmeStore(state.path);
  }

  static async make(t: TestContext): Promise<Trial> {
    const folder = await mkdtemp(join(tmpdir(), 'atoll-acme-'));
    t.after(() => rm(folder, { recursive: true }));
    return new Trial(await StateDirectory.take(folder));
  }

  file(name: string): string {
    return this.state.file(name);
  }

  /** A hub's start, so many waits of its renewal, and its stop. */
  async run(waits: number, names: readonly string[] = [NAME]): Promise<AcmeRenewal> {
    let left = waits;
    let isOver = (): void => {};
    const over = new Promise<void>((resolve) => {
      isOver = resolve;
    });
    const renewal = new AcmeRenewal(
      {
        store: this.store,
        client: {
          order: async (asked, request) => {
            this.askedMs.push(this.nowMs - NOW_MS);
            if (this.failure !== undefined) throw this.failure;
            return issue(request, asked, this.nowMs);
          },
        },
        logger: { ...silentLogger, warn: (message: string) => void this.warnings.push(message) } satisfies Logger,
        unixMs: () => this.nowMs,
        wait: async (ms, signal) => {
          if (left-- > 0) {
            this.nowMs += ms;
            return;
          }
          isOver();
          await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
        },
        onIssued: async () => this.certificate?.check(),
      },
      { directory: 'https://ca.test/dir', names },
    );
    await renewal.start();
    await over;
    await renewal.stop();
    return renewal;
  }

  async openCertificate(isAcme: boolean): Promise<HubCertificate> {
    const unixMs = (): number => this.nowMs;
    const authority = await Authority.open(this.state, ['school'], [], this.nowMs);
    this.certificate?.close();
    const parts = { state: this.state, logger: silentLogger, unixMs, authority };
    this.certificate = await HubCertificate.open(parts, { isAcme, names: () => ['atoll.local', '10.0.0.1'] });
    return this.certificate;
  }
}

test('a certificate is got at once, kept over a start, and renewed when two thirds of its life are over', async (t) => {
  const trial = await Trial.make(t);
  await trial.run(0);
  assert.deepEqual(trial.askedMs, [0]);
  assert.equal((await stat(trial.file('acme/certificate.json'))).mode & 0o777, 0o600);
  const { facts } = await trial.run(0);
  assert.deepEqual(trial.askedMs, [0], 'a start is no reason to ask');
  assert.equal(facts.directory, 'ca.test');
  assert.equal(facts.problem, undefined);
  assert.ok(Math.abs(facts.nextMs - NOW_MS - 60 * DAY_MS) < 5000);
  // It looks at the clock every hour.
  await trial.run(60 * 24);
  assert.equal(trial.askedMs.length, 2);
  assert.ok(Math.abs((trial.askedMs[1] ?? 0) - 60 * DAY_MS) < 5000);
  await trial.run(0, [NAME, 'www.school.example']);
  assert.equal(trial.askedMs.length, 3, 'other names are another certificate');
  const kept = await trial.store.issued();
  assert.ok(kept !== undefined);
  await trial.store.keepIssued({ ...kept, certificate: 'damaged' });
  await trial.run(0, [NAME, 'www.school.example']);
  assert.equal(trial.askedMs.length, 4, 'what is damaged is got anew');
  const key = await trial.store.accountKey('https://ca.test/dir');
  assert.ok(key.equals(await trial.store.accountKey('https://ca.test/dir')));
  assert.ok(!key.equals(await trial.store.accountKey('https://other.test/dir')));
});

test('a directory that does not answer is asked ever less often, over starts of the hub, too', async (t) => {
  const trial = await Trial.make(t);
  trial.failure = new AtollError('ACME_UNREACHABLE', 'Nobody there.');
  const { facts } = await trial.run(200);
  const minutes = trial.askedMs.map((ms) => ms / MINUTE_MS);
  assert.deepEqual(minutes.slice(0, 6), [0, 2, 8, 26, 80, 242]);
  assert.deepEqual(
    [minutes[8], minutes[9]].map((at, n) => (at ?? 0) - (minutes[7 + n] ?? 0)),
    [720, 720],
  );
  assert.deepEqual(facts.problem, { code: 'ACME_UNREACHABLE', message: 'Nobody there.' });
  assert.match(
    trial.warnings[0] ?? '',
    /^Nobody there\. The hub goes on .*, and tries again at \d{4}-\d\d-\d\d \d\d:\d\d UTC\.$/,
  );
  assert.equal(trial.warnings.length, trial.askedMs.length, 'one line for each attempt');

  const asked = trial.askedMs.length;
  trial.nowMs = NOW_MS + (trial.askedMs.at(-1) ?? 0) + MINUTE_MS;
  await trial.run(0);
  assert.equal(trial.askedMs.length, asked, 'a hub that is started again and again does not ask each time');
  await trial.run(1);
  assert.equal(trial.askedMs.length, asked + 1, 'but it does not wait for half a day');

  trial.failure = new AtollError('ACME_RATE_LIMITED', 'Wait.', { cause: new RetryAfter(3 * DAY_MS) });
  trial.nowMs += DAY_MS;
  await trial.run(0);
  trial.nowMs += 2 * DAY_MS;
  const told = trial.askedMs.length;
  await trial.run(0);
  assert.equal(trial.askedMs.length, told, 'what the directory says holds over a start');
  trial.failure = undefined;
  assert.equal((await trial.run(24)).facts.problem, undefined);
  assert.equal(trial.askedMs.length, told + 1);
});

test('what came by ACME is shown while it is good; without it, or without ACME, the own authority is', async (t) => {
  const trial = await Trial.make(t);
  let hub = await trial.openCertificate(true);
  t.after(() => hub.close());
  assert.equal(hub.current().isOwnAuthority, true);
  let changes = 0;
  hub.onChange(() => changes++);
  await trial.run(0);
  assert.deepEqual([changes, hub.current().isAcme, hub.current().names], [1, true, [NAME]]);
  const [certificate, key] = await Promise.all(
    [hub.current().certificate, hub.current().privateKey].map((path) => readFile(path, 'utf8')),
  );
  const parsed = new X509Certificate(certificate ?? '');
  assert.ok(parsed.publicKey.equals(createPublicKey(key ?? '')));
  assert.deepEqual([hub.hostFor(NAME), hub.hostFor('10.0.0.1')], [NAME, NAME]);
  await assert.rejects(hub.install('x', 'y'), { code: 'HUB_CERTIFICATE_FIXED' });
  await hub.check();
  assert.equal(changes, 1);

  hub = await trial.openCertificate(true);
  assert.equal(hub.current().isAcme, true, 'from the start on');
  trial.nowMs += LIFE_MS;
  await hub.check();
  assert.deepEqual([hub.current().isOwnAuthority, hub.current().isAcme], [true, false]);
  assert.equal(hub.hostFor('10.0.0.1'), '10.0.0.1');
  await trial.run(0);
  assert.equal(hub.current().isAcme, true);

  hub = await trial.openCertificate(false);
  assert.equal(hub.current().isOwnAuthority, true, 'the setting was taken away');
  await writeFile(trial.file('acme/certificate.json'), '{"certificate":', { mode: 0o600 });
  hub = await trial.openCertificate(true);
  assert.equal(hub.current().isOwnAuthority, true, 'a damaged file is as good as none');
});
