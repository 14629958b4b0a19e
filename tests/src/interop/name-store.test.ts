import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PrivateKey } from '@atoll/identity';
import { NameClient, type NameRecord, NameServer, type NameStore, openNameStore } from '@atoll/name-server';
import { PostgresServer } from '@atoll/testkit';

const RULES = { needsApproval: false, refusesLookAlikes: true, maxNames: 1e6, maxWaiting: 100, by: 'client 10.0.0.1' };
const BIG = { registeredUnixMs: 1_700_000_000_000, isWaiting: false };

function record(name: string, of = name): NameRecord {
  const address = createHash('sha1').update(of).digest('hex');
  // As keys are: the length stands at the front.
  const publicKey = Buffer.concat([Buffer.from('30820004', 'hex'), Buffer.from(of.padEnd(4).slice(0, 4))]);
  return { name, address, owner: 'owner', publicKey, signature: Buffer.from(`by ${of}`) };
}

let postgres: PostgresServer;
let folder: string;
before(async () => {
  postgres = await PostgresServer.start();
  folder = await mkdtemp(join(tmpdir(), 'atoll-names-'));
});
after(async () => {
  await postgres[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** Both kinds of stores have to do the same; each test uses names of its own, because the database is shared. */
const PLACES = [
  ['SQLite', () => join(folder, 'names.db')],
  ['PostgreSQL', () => postgres.url],
] as const;

for (const [kind, place] of PLACES) {
  const use = async (run: (store: NameStore, other: NameStore) => Promise<void>): Promise<void> => {
    const stores = [await openNameStore(place()), await openNameStore(place())] as const;
    try {
      await run(...stores);
    } finally {
      for (const store of stores) await store.close();
    }
  };

  test(`${kind}: a name belongs to the first, on every server of the store`, async () => {
    await use(async (store, other) => {
      assert.equal(await store.register(record('alice'), RULES), 'registered');
      assert.equal(await other.register(record('alice'), RULES), 'known');
      assert.equal(await other.register(record('alice', 'mallory'), RULES), 'name-taken');
      assert.equal(await other.register(record('alice2', 'alice'), RULES), 'address-taken');
      assert.equal(await other.register(record('a1ice', 'mallory'), RULES), 'look-alike');
      assert.equal(await other.register(record('a1ice', 'm2'), { ...RULES, refusesLookAlikes: false }), 'registered');
      const { name, address, publicKey, signature } = record('alice');
      const found = await other.find('alice');
      assert.deepEqual(
        [found?.name, found?.address, found?.publicKey.toString('hex'), found?.signature.toString('hex')],
        [name, address, publicKey.toString('hex'), signature.toString('hex')],
      );
      assert.equal(await other.nameOf(address), 'alice');
      assert.equal((await other.byAddress(address))?.owner, 'owner');
      assert.equal(await other.find('nobody'), undefined);
      assert.equal(await other.nameOf('1'.repeat(40)), undefined);
      await other.probe();
    });
  });

  test(`${kind}: of many who want a name at one instant, one gets it`, async () => {
    await use(async (store, other) => {
      for (let round = 0; round < 5; round++) {
        const results = await Promise.all(
          Array.from({ length: 40 }, (_, at) =>
            (at % 2 ? store : other).register(record(`race-${round}`, `racer ${round} ${at}`), RULES),
          ),
        );
        assert.equal(results.filter((result) => result === 'registered').length, 1);
        assert.equal(results.filter((result) => result === 'name-taken').length, 39);
        // Likewise one address that wants many names, and names that look alike.
        const names = await Promise.all(
          ['x', 'y', 'z', 'w'].map((end, at) =>
            (at % 2 ? store : other).register(record(`greedy-${round}${end}`, `greedy ${round}`), RULES),
          ),
        );
        assert.equal(names.filter((result) => result === 'registered').length, 1);
        const alike = await Promise.all(
          [`zoo-${round}`, `z0o-${round}`, `zo0-${round}`, `z00-${round}`].map((name, at) =>
            (at % 2 ? store : other).register(record(name), RULES),
          ),
        );
        assert.deepEqual([...alike].sort(), ['look-alike', 'look-alike', 'look-alike', 'registered']);
      }
    });
  });

  test(`${kind}: names wait for approval, are rejected, deleted, reserved, and each change is in the log`, async () => {
    await use(async (store, other) => {
      const rules = { ...RULES, needsApproval: true };
      assert.equal(await store.register(record('bert'), rules), 'waiting');
      assert.equal(await store.register(record('berta'), rules), 'waiting');
      assert.equal(await other.register(record('bert', 'mallory2'), RULES), 'name-taken', 'a waiting name is held');
      assert.equal(await other.find('bert'), undefined, 'and not found');
      assert.equal(await other.nameOf(record('bert').address), undefined);
      assert.deepEqual(
        (await other.list({ limit: 10, onlyWaiting: true })).map(({ name }) => name),
        ['bert', 'berta'],
      );
      assert.equal(await other.approve('bert', 'operator anna'), true);
      assert.equal(await other.approve('bert', 'operator anna'), false);
      assert.equal((await store.find('bert'))?.name, 'bert');
      assert.equal(await store.remove('bert', 'reject', 'operator anna'), false, 'it does not wait any more');
      assert.equal(await store.remove('berta', 'reject', 'operator anna'), true);
      assert.equal(await other.remove('bert', 'delete', 'operator anna'), true);
      assert.equal(await store.register(record('bert', 'bert 2'), RULES), 'registered', 'free again');
      assert.equal(await store.reserve('chief', 'not for everybody', 'operator anna'), true);
      assert.equal(await store.reserve('chief', '', 'operator anna'), false);
      assert.equal(await other.register(record('chief'), RULES), 'reserved');
      assert.deepEqual(await other.reserved(), [{ name: 'chief', note: 'not for everybody' }]);
      assert.equal(await other.unreserve('chief', 'operator anna'), true);
      assert.equal(await other.register(record('chief'), RULES), 'registered');
      const changes = await store.changes(9);
      assert.deepEqual(changes.map((change) => `${change.kind} ${change.name} ${change.by}`).reverse(), [
        'register bert client 10.0.0.1',
        'register berta client 10.0.0.1',
        'approve bert operator anna',
        'reject berta operator anna',
        'delete bert operator anna',
        'register bert client 10.0.0.1',
        'reserve chief operator anna',
        'unreserve chief operator anna',
        'register chief client 10.0.0.1',
      ]);
      assert.equal(changes.at(-1)?.address, record('bert').address);
    });
  });

  test(`${kind}: an import keeps what is there and names what clashes`, async () => {
    await use(async (store) => {
      const names = ['import-a', 'import-b', 'import-c'].map((name) => ({ ...record(name), ...BIG }));
      assert.deepEqual(await store.import(names, 'operator'), ['registered', 'registered', 'registered']);
      const again = [
        ...names,
        { ...record('import-a', 'other'), ...BIG },
        { ...record('import-d', 'import-a'), ...BIG },
      ];
      assert.deepEqual(await store.import(again, 'operator'), [
        'known',
        'known',
        'known',
        'name-taken',
        'address-taken',
      ]);
      const listed = await store.list({ after: 'import-', limit: 2 });
      assert.deepEqual(
        listed.map(({ name, registeredUnixMs }) => [name, registeredUnixMs]),
        [
          ['import-a', BIG.registeredUnixMs],
          ['import-b', BIG.registeredUnixMs],
        ],
      );
    });
  });

  test(`${kind}: answers of another server are kept, the newest one`, async () => {
    await use(async (store, other) => {
      await store.keepAnswer('name x', 'old', 1);
      await store.keepAnswer('name x', 'new', 2);
      assert.deepEqual({ ...(await other.keptAnswer('name x')) }, { body: 'new', unixMs: 2 });
      assert.equal(await other.keptAnswer('name y'), undefined);
    });
  });
}

test('two name servers on one PostgreSQL answer as one, and go on after it crashed', async () => {
  const stores = [await openNameStore(postgres.url), await openNameStore(postgres.url)] as const;
  const listen = [{ hosts: ['127.0.0.1'], port: 0 }];
  const servers = [
    await NameServer.open({ store: stores[0] }, { listen }),
    await NameServer.open({ store: stores[1] }, { listen }),
  ];
  try {
    const clients = servers.map(
      ({ addresses: [at] }) => new NameClient({ server: `http://127.0.0.1:${at?.port}`, cacheMs: 0 }),
    ) as [NameClient, NameClient];
    const [one, two] = clients;
    const [key, other] = [await PrivateKey.generateRsa(2048), await PrivateKey.generateRsa(2048)];
    assert.deepEqual(await one.register('Shared-Name', key), { state: 'registered' });
    assert.equal((await two.register('shared-name', other)).state, 'taken');
    assert.deepEqual(await two.register('shared-name', key), { state: 'registered' });
    const found = await two.lookup('shared-name');
    assert.ok(found.state === 'found' && found.isSigned);
    const races = await Promise.all([one.register('one-only', other), two.register('one-only', other)]);
    assert.deepEqual(races, [{ state: 'registered' }, { state: 'registered' }]);
    await postgres.crashAndRestart();
    // The first questions meet broken connections; nothing that was said is lost.
    let after = await one.lookup('shared-name');
    for (let attempt = 0; attempt < 30 && after.state === 'error'; attempt++) after = await one.lookup('shared-name');
    assert.deepEqual(after, found);
    const health = await fetch(`${one.server}/health`);
    assert.equal(health.status, 200);
    await health.text();
  } finally {
    for (const server of servers) await server.close();
    for (const store of stores) await store.close();
  }
});

test('a database that cannot be reached is named without its password', async () => {
  await assert.rejects(
    openNameStore('postgres://anna:secret@127.0.0.1:9/names', 'secret'),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'NAMES_STORE_UNREACHABLE');
      assert.match(error.message, /^The database postgres:\/\/anna@127\.0\.0\.1:9\/names cannot be used: /);
      assert.ok(!error.message.includes('secret'));
      return true;
    },
  );
});
