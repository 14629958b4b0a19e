import assert from 'node:assert/strict';
import { createPublicKey, type JsonWebKey, verify } from 'node:crypto';
import { test } from 'node:test';
import { newKey } from '../authority/issue.js';
import { AcmeClient, RetryAfter } from './acme-client.js';
import type { AskDirectory, DirectoryAnswer } from './ask-directory.js';
import { thumbprint } from './jws.js';

const AT = 'https://ca.test';
const NOW_MS = Date.parse('2026-11-25T04:00:00Z');

interface Sent {
  readonly url: string;
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: unknown;
}

type Answer = Partial<Omit<DirectoryAnswer, 'body'>> & { readonly body?: unknown };

/**
 * A directory that says what real ones cannot be made to say: `script` answers where it wants to, before what an obliging
 * one would. It checks signatures and nonces.
 */
class ScriptedDirectory {
  readonly sent: Sent[] = [];
  readonly published = new Map<string, string>();
  waitedMs = 0;
  private readonly script: (sent: Sent) => Answer | undefined;
  private readonly key = newKey();
  private jwk: JsonWebKey | undefined;
  private nonces = 0;

  constructor(script: (sent: Sent) => Answer | undefined = () => undefined) {
    this.script = script;
  }

  order(names: readonly string[] = ['hub.school.example']): Promise<string> {
    const client = new AcmeClient(
      {
        ask: this.ask,
        accountKey: this.key,
        publish: (token, answer) => {
          this.published.set(token, answer);
          return () => void this.published.delete(token);
        },
        wait: async (ms) => {
          this.waitedMs += ms;
        },
        nowMs: () => this.waitedMs,
        unixMs: () => NOW_MS,
      },
      { directory: `${AT}/dir`, email: 'me@school.example' },
    );
    return client.order(names, Buffer.from('request'), new AbortController().signal);
  }

  get keyAuthorization(): string {
    return thumbprint(this.key);
  }

  private readonly ask: AskDirectory = async (url, { method = 'GET', body }) => {
    if (method === 'GET') {
      return answerOf({ body: { newNonce: `${AT}/nonce`, newAccount: `${AT}/account`, newOrder: `${AT}/order` } });
    }
    const nonce = `nonce-${++this.nonces}`;
    const headers = { 'replay-nonce': nonce };
    if (method === 'HEAD') return answerOf({ headers });
    const sent = this.read(url, body ?? '');
    this.sent.push(sent);
    const answer = this.script(sent) ?? obliging(sent);
    return answerOf({ ...answer, headers: { ...headers, ...answer.headers } });
  };

  private read(url: string, body: string): Sent {
    const jws = JSON.parse(body) as Record<'protected' | 'payload' | 'signature', string>;
    const header = JSON.parse(Buffer.from(jws.protected, 'base64url').toString()) as Record<string, unknown>;
    if (header.jwk !== undefined) this.jwk = header.jwk as JsonWebKey;
    const key = createPublicKey({ key: this.jwk ?? {}, format: 'jwk' });
    const signed = Buffer.from(`${jws.protected}.${jws.payload}`);
    const signature = Buffer.from(jws.signature, 'base64url');
    assert.ok(verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature), 'the signature is good');
    assert.deepEqual([header.alg, header.url, header.nonce], ['ES256', url, `nonce-${this.nonces - 1}`]);
    const text = Buffer.from(jws.payload, 'base64url').toString();
    return { url, header, payload: text === '' ? undefined : JSON.parse(text) };
  }
}

function answerOf({ status = 200, headers = {}, body = '' }: Answer): DirectoryAnswer {
  return { status, headers, body: typeof body === 'string' ? body : JSON.stringify(body) };
}

const CHALLENGE = { type: 'http-01', url: `${AT}/challenge`, token: 'a-token-of-the-directory' };
const IDENTIFIER = { type: 'dns', value: 'hub.school.example' };
const ORDER = { authorizations: [`${AT}/authorization`], finalize: `${AT}/finalize`, certificate: `${AT}/certificate` };

/** What a directory answers that has no objection. */
function obliging({ url, payload }: Sent): Answer {
  const path = url.slice(AT.length);
  if (path === '/account') return { status: 201, headers: { location: `${AT}/account/1` }, body: { status: 'valid' } };
  if (path === '/order' && payload !== undefined) {
    return { status: 201, headers: { location: `${AT}/order/1` }, body: { ...ORDER, status: 'pending' } };
  }
  if (path === '/order/1') return { body: { ...ORDER, status: 'valid' } };
  if (path === '/authorization') {
    return { body: { identifier: IDENTIFIER, status: 'valid', challenges: [CHALLENGE] } };
  }
  if (path === '/certificate') return { body: 'CHAIN' };
  return { body: {} };
}

function problem(type: string, detail: string, rest: Answer = {}): Answer {
  return { status: 400, body: { type: `urn:ietf:params:acme:error:${type}`, detail }, ...rest };
}

test('an account, an order, a challenge and the certificate, each request signed for its own place', async () => {
  let looks = 0;
  let orders = 0;
  const seen: string[] = [];
  const directory: ScriptedDirectory = new ScriptedDirectory(({ url }) => {
    if (url === `${AT}/authorization` && ++looks < 3) {
      seen.push(...directory.published.values());
      return {
        headers: { 'retry-after': '7' },
        body: { identifier: IDENTIFIER, status: 'pending', challenges: [{ type: 'dns-01' }, CHALLENGE] },
      };
    }
    if (url !== `${AT}/order/1`) return undefined;
    const status = ['ready', 'processing', 'valid'][orders++] ?? 'valid';
    return { body: { ...ORDER, status } };
  });
  assert.equal(await directory.order(), 'CHAIN');
  assert.deepEqual(seen, [`${CHALLENGE.token}.${directory.keyAuthorization}`], 'it lies there while it is looked for');
  assert.equal(directory.published.size, 0, 'and no longer');
  assert.equal(directory.waitedMs, 7000 + 500, 'as long as the directory asks to, or a little');
  const [account, order] = directory.sent;
  assert.deepEqual(account?.payload, { termsOfServiceAgreed: true, contact: ['mailto:me@school.example'] });
  assert.deepEqual(order?.payload, { identifiers: [IDENTIFIER] });
  assert.equal(order?.header.kid, `${AT}/account/1`);
  const finalized = directory.sent.find(({ url }) => url === `${AT}/finalize`);
  assert.deepEqual(finalized?.payload, { csr: Buffer.from('request').toString('base64url') });
});

test('a nonce that is not taken is replaced, but not for ever', async () => {
  let rejected = 0;
  const patient = new ScriptedDirectory(() => (rejected++ % 9 < 8 ? problem('badNonce', 'stale') : undefined));
  assert.equal(await patient.order(), 'CHAIN');
  const stubborn = new ScriptedDirectory(() => problem('badNonce', 'stale'));
  await assert.rejects(stubborn.order(), { code: 'ACME_REFUSED' });
  assert.equal(stubborn.sent.length, 10);
});

test('what a directory refuses is told in its words, and when it wants to be asked again', async () => {
  const failing = async (script: (sent: Sent) => Answer | undefined): Promise<Error & { code: string }> => {
    try {
      await new ScriptedDirectory(script).order();
    } catch (error) {
      return error as Error & { code: string };
    }
    throw new Error('it did not fail');
  };
  const limited = await failing(() =>
    problem('rateLimited', `too many\nof them.${' '.repeat(1000)}`, {
      status: 429,
      headers: { 'retry-after': '3600' },
    }),
  );
  assert.equal(limited.code, 'ACME_RATE_LIMITED');
  assert.match(limited.message, /^ca\.test gives no more certificates for now: too many of them/);
  assert.ok(limited.message.length < 600);
  assert.ok(limited.cause instanceof RetryAfter && limited.cause.ms === 3_600_000);
  const busy = await failing(() => ({ status: 503, headers: { 'retry-after': 'Wed, 25 Nov 2026 04:10:00 GMT' } }));
  assert.deepEqual([busy.code, busy.message], ['ACME_REFUSED', 'ca.test refuses: it answers 503.']);
  assert.ok(busy.cause instanceof RetryAfter && busy.cause.ms === 600_000);

  const error = { detail: '192.0.2.1: Connection refused.' };
  const unseen = await failing(({ url }) =>
    url === `${AT}/authorization`
      ? { body: { identifier: IDENTIFIER, status: 'invalid', challenges: [{ ...CHALLENGE, error }] } }
      : undefined,
  );
  assert.equal(unseen.code, 'ACME_CHALLENGE_FAILED');
  assert.match(
    unseen.message,
    /hub\.school\.example leads here: 192\.0\.2\.1: Connection refused\. hub\.school\.example has/,
  );
  const undecided = await failing(({ url }) =>
    url === `${AT}/order/1`
      ? { headers: { 'retry-after': '999999' }, body: { ...ORDER, status: 'pending' } }
      : undefined,
  );
  assert.deepEqual([undecided.code, undecided.message], ['ACME_UNDECIDED', 'ca.test did not decide within 3 min.']);
  const void_ = await failing(({ url }) =>
    url === `${AT}/order/1` ? { body: { ...ORDER, status: 'invalid', error: { type: 'caa' } } } : undefined,
  );
  assert.equal(void_.message, 'ca.test does not issue the certificate: caa.');
});

test('answers that are none of a directory are said to be so', async () => {
  const wrong = { code: 'ACME_ANSWER_WRONG' };
  for (const [path, answer] of [
    ['/account', { status: 201, body: {} }],
    ['/account', { status: 201, headers: { location: 'http://ca.test/plain' } }],
    ['/order', { status: 201, headers: { location: `${AT}/order/1` }, body: '<html>' }],
    ['/order', { status: 201, headers: { location: `${AT}/order/1` }, body: { authorizations: 'all' } }],
    ['/order', { headers: { location: `${AT}/order/1` }, body: { authorizations: Array(101).fill(`${AT}/x`) } }],
    ['/authorization', { body: { status: 'pending', challenges: [{ type: 'dns-01' }] } }],
    ['/authorization', { body: { status: 'pending', challenges: [{ ...CHALLENGE, token: '../../etc/passwd' }] } }],
    ['/order/1', { body: { status: 'valid', certificate: 'file:///etc/passwd' } }],
  ] as const) {
    const directory = new ScriptedDirectory(({ url }) => (url === `${AT}${path}` ? answer : undefined));
    await assert.rejects(directory.order(), wrong, JSON.stringify(answer));
  }
});

test('a directory that cannot be reached is named with the reason', async () => {
  const refused = Object.assign(new AggregateError([new Error('connect ECONNREFUSED 192.0.2.1:443')]));
  const client = new AcmeClient(
    {
      ask: () => Promise.reject(refused),
      accountKey: newKey(),
      publish: () => () => {},
      wait: async () => {},
      nowMs: () => 0,
      unixMs: () => NOW_MS,
    },
    { directory: `${AT}/dir` },
  );
  await assert.rejects(client.order(['a.example'], Buffer.alloc(0), new AbortController().signal), {
    code: 'ACME_UNREACHABLE',
    message: /^The ACME directory ca\.test cannot be reached: connect ECONNREFUSED 192\.0\.2\.1:443\. /,
  });
});
