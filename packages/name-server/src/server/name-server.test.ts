import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PrivateKey } from '@atoll/identity';
import { NameClient } from '../client/name-client.js';
import type { NameStore } from '../store/name-store.js';
import { openNameStore } from '../store/open-name-store.js';
import { NameServer, type NameServerOptions } from './name-server.js';

const key = await PrivateKey.generateRsa(2048);
const otherKey = await PrivateKey.generateRsa(2048);

async function withServer(
  options: Partial<NameServerOptions>,
  run: (client: NameClient, store: NameStore) => Promise<void>,
): Promise<void> {
  const store = await openNameStore(':memory:');
  const server = await NameServer.open({ store }, { listen: [{ hosts: ['127.0.0.1'], port: 0 }], ...options });
  try {
    const url = `http://127.0.0.1:${server.addresses[0]?.port}${options.basePath ?? ''}`;
    await run(new NameClient({ server: url, cacheMs: 0 }), store);
  } finally {
    await server.close();
    await store.close();
  }
}

test('too many requests of a client are refused with 503 and a time to wait', async () => {
  await withServer({ rates: { lookups: 0.2, registrations: 0.001 } }, async (client) => {
    assert.equal((await client.register('anna', key)).state, 'registered');
    assert.equal((await client.register('anna', key)).state, 'error');
    assert.equal((await client.lookup('anna')).state, 'found');
    await client.lookup('anna');
    const refused = await fetch(`${client.server}/name/anna`);
    assert.deepEqual([refused.status, Number(refused.headers.get('retry-after')) > 0], [503, true]);
    assert.equal(((await refused.json()) as { success: boolean }).success, false);
    const metrics = await (await fetch(`${client.server}/metrics`)).text();
    assert.match(metrics, /^atoll_names_limited_total 2$/m);
  });
});

test('too many requests of all clients together are refused, whoever asks', async () => {
  const rates = { lookupsInAll: 0.2, registrationsInAll: 0.001 };
  await withServer({ rates, http: { trustedProxies: ['127.0.0.1'] } }, async (client) => {
    assert.equal((await client.register('anna', key)).state, 'registered');
    assert.equal((await client.register('otto', otherKey)).state, 'error');
    const ask = (from: number): Promise<Response> =>
      fetch(`${client.server}/name/anna`, { headers: { 'X-Forwarded-For': `192.0.2.${from}` } });
    assert.deepEqual([(await ask(1)).status, (await ask(2)).status], [200, 200]);
    const refused = await ask(3);
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '5']);
  });
});

test('a server may be below a path, and take no registrations', async () => {
  await withServer({ basePath: '/names', isReadOnly: true }, async (client, store) => {
    assert.equal((await client.register('anna', key)).state, 'taken');
    const record = { name: 'anna', address: '1'.repeat(40), owner: '', publicKey: Buffer.alloc(0) };
    const kept = { ...record, signature: Buffer.alloc(0), isWaiting: false, registeredUnixMs: 0 };
    await store.import([kept], 'test');
    assert.deepEqual(await client.lookup('ANNA'), {
      state: 'found',
      name: 'anna',
      address: '1'.repeat(40),
      isSigned: false,
    });
  });
});

test('names of other scripts are looked up in any case and form, where they are allowed', async () => {
  await withServer({ allowsUnicode: true }, async (client) => {
    assert.deepEqual(await client.register('élan', key), { state: 'registered' });
    for (const text of ['élan', 'ÉLAN', 'E\u0301lan']) {
      const answer = await fetch(`${client.server}/name/${encodeURIComponent(text)}`);
      assert.equal(((await answer.json()) as { name: string }).name, 'élan', text);
    }
    assert.equal((await client.register('ÉCLAT', otherKey)).state, 'refused', 'it was signed in another form');
  });
  await withServer({}, async (client) => {
    assert.equal((await client.lookup('élan')).state, 'invalid');
    assert.equal((await client.register('élan', key)).state, 'refused');
  });
});

test('what cannot be read is answered with success as a boolean', async () => {
  await withServer({}, async (client) => {
    for (const [body, status] of [
      ['', 400],
      ['{', 400],
      ['[]', 400],
      ['null', 400],
      ['{}', 400],
      ['x'.repeat(20_000), 413],
    ] as const) {
      const answer = await fetch(`${client.server}/name/anna`, { method: 'POST', body });
      assert.equal(answer.status, status, body.slice(0, 10));
      assert.equal(((await answer.json()) as { success: boolean }).success, false);
    }
    for (const path of ['/name/a%2Fb', '/name/%ff%ff%ff', '/name/ab', '/addr/hello']) {
      const answer = await fetch(`${client.server}${path}`);
      assert.equal(answer.status, 400, path);
      await answer.text();
    }
  });
});

test('a store that fails is a server that is not well', async () => {
  await withServer({}, async (client, store) => {
    assert.equal((await fetch(`${client.server}/health`)).status, 200);
    store.probe = () => Promise.reject(new Error('gone'));
    assert.equal((await fetch(`${client.server}/health`)).status, 503);
    store.find = () => Promise.reject(new Error('gone'));
    assert.equal((await client.lookup('anna')).state, 'error');
  });
});

test('an upstream is asked once for many, believed when its signature is good, and kept for when it is gone', async () => {
  let upstreamUrl = '';
  let asked = 0;
  const near = await openNameStore(':memory:');
  const upstreamStore = await openNameStore(':memory:');
  const find = upstreamStore.find.bind(upstreamStore);
  upstreamStore.find = (name) => {
    asked++;
    return find(name);
  };
  const listen = [{ hosts: ['127.0.0.1'], port: 0 }];
  const upstream = await NameServer.open({ store: upstreamStore }, { listen });
  upstreamUrl = `http://127.0.0.1:${upstream.addresses[0]?.port}`;
  const server = await NameServer.open({ store: near }, { listen, upstream: { server: upstreamUrl, freshMs: 0 } });
  const client = new NameClient({ server: `http://127.0.0.1:${server.addresses[0]?.port}`, cacheMs: 0 });
  try {
    assert.equal(
      (await new NameClient({ server: upstreamUrl, cacheMs: 0 }).register('faraway', key)).state,
      'registered',
    );
    asked = 0;
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.lookup('faraway')));
    for (const answer of answers) assert.ok(answer.state === 'found' && answer.isSigned);
    assert.ok(asked < 20, 'questions under way are shared');
    assert.equal((await client.lookup('nobody')).state, 'not-found');
    assert.equal((await client.register('faraway', otherKey)).state, 'taken');
    assert.equal((await client.register('faraway', key)).state, 'registered', 'its owner may have it here, too');
    await near.remove('faraway', 'delete', 'test');
    await upstream.close();
    assert.deepEqual(await client.lookup('faraway'), answers[0]);
    assert.equal((await client.lookup('nobody')).state, 'error', 'nobody knows');
  } finally {
    await server.close();
    await near.close();
    await upstreamStore.close();
  }
});
