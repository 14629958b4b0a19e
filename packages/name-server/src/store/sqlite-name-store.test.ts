import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { NameRecord } from '../core/registration.js';
import type { RegisterRules } from './name-store.js';
import { SqliteNameStore } from './sqlite-name-store.js';

const RULES: RegisterRules = {
  needsApproval: false,
  refusesLookAlikes: true,
  maxNames: 1e6,
  maxWaiting: 2,
  by: 'test',
};

function record(name: string, of = name): NameRecord {
  const address = createHash('sha1').update(of).digest('hex');
  return { name, address, owner: 'o', publicKey: Buffer.from(`key ${of}`), signature: Buffer.from(`by ${of}`) };
}

test('registrations at the same time: the first one gets the name, all in one transaction', async () => {
  const store = SqliteNameStore.open(':memory:', () => 5);
  const results = await Promise.all([
    store.register(record('anna'), RULES),
    store.register(record('anna', 'other'), RULES),
    store.register(record('anna'), RULES),
    store.register(record('anna2', 'anna'), RULES),
    store.register(record('amy'), RULES),
    store.register(record('arny'), RULES),
  ]);
  assert.deepEqual(results, ['registered', 'name-taken', 'known', 'address-taken', 'registered', 'look-alike']);
  assert.deepEqual(store.byName('anna'), { ...record('anna'), isWaiting: false, registeredUnixMs: 5 });
  assert.deepEqual(store.byAddress(record('amy').address)?.name, 'amy');
  assert.deepEqual(store.counts(), { names: 2, waiting: 0 });
  await store.close();
});

test('the store is bounded', async () => {
  const store = SqliteNameStore.open(':memory:');
  assert.equal(await store.register(record('anna'), { ...RULES, maxNames: 1 }), 'registered');
  assert.equal(await store.register(record('bert'), { ...RULES, maxNames: 1 }), 'full');
  for (const [name, expected] of [
    ['bert', 'waiting'],
    ['cleo', 'waiting'],
    ['dora', 'full'],
    ['cleo', 'waiting'],
  ] as const) {
    assert.equal(await store.register(record(name), { ...RULES, needsApproval: true }), expected);
  }
  await store.close();
});

test('kill -9 during a thousand registrations loses none that was acknowledged, and doubles none', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-names-'));
  try {
    const path = join(folder, 'names.db');
    const script = `
      import { createHash } from 'node:crypto';
      const { SqliteNameStore } = await import(${JSON.stringify(new URL('./sqlite-name-store.js', import.meta.url).href)});
      const store = SqliteNameStore.open(${JSON.stringify(path)});
      const rules = ${JSON.stringify(RULES)};
      const register = async (i) => {
        const name = 'name-' + (i * 37 % 1000).toString(2);
        const address = createHash('sha1').update(name).digest('hex');
        const record = { name, address, owner: '', publicKey: Buffer.alloc(550), signature: Buffer.alloc(512) };
        const result = await store.register(record, { ...rules, refusesLookAlikes: false });
        process.stdout.write(name + ' ' + result + '\\n');
      };
      for (let i = 0; i < 1000; i += 5) await Promise.all([0, 1, 2, 3, 4].map((more) => register(i + more)));
      process.stdout.write('all\\n');`;
    const acknowledged = new Set<string>();
    let isComplete = false;
    // Killed again and again in the middle; the last run goes to the end.
    for (const stopAfter of [40, 200, 333, 600, Number.POSITIVE_INFINITY]) {
      const writer = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const exited = once(writer, 'exit');
      let printed = '';
      for await (const chunk of writer.stdout) {
        printed += chunk;
        if (printed.split('\n').length > stopAfter) writer.kill('SIGKILL');
      }
      await exited;
      for (const line of printed.slice(0, printed.lastIndexOf('\n') + 1).split('\n')) {
        const [name = '', result = ''] = line.split(' ');
        if (result !== '') assert.match(result, acknowledged.has(name) ? /^known$/ : /^(registered|known)$/);
        if (result !== '') acknowledged.add(name);
        isComplete ||= line === 'all';
      }
      const store = SqliteNameStore.open(path);
      for (const name of acknowledged) assert.equal(store.byName(name)?.address, record(name).address);
      const names = await store.list({ limit: 2000 });
      assert.equal(store.counts().names, names.length);
      const logged = (await store.changes(2000)).map((change) => change.name);
      assert.deepEqual(
        [...logged].sort(),
        names.map(({ name }) => name),
        'one entry in the log for each name',
      );
      await store.close();
    }
    assert.ok(isComplete);
    assert.equal(acknowledged.size, 1000);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
