// Writes to every store of a hub without end, and prints each thing once it is acknowledged. Started by the test of
// power losses, which kills it.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLogger, systemClock, systemRandom } from '@atoll/base';
import { DhtNode, Value } from '@atoll/dht';
import { DhtProxy, DirectPushService, pushSettings } from '@atoll/dht-proxy';
import { InfoHash } from '@atoll/identity';
import { openNameStore } from '@atoll/name-server';
import { TurnDatabase } from '@atoll/turn';

const [folder = '', round = ''] = process.argv.slice(2);
const RULES = { needsApproval: false, refusesLookAlikes: false, maxNames: 1e6, maxWaiting: 100, by: 'client' };
const NODE = { addresses: ['127.0.0.1'], port: 0, statePath: join(folder, 'dht-node') };
const REALM = 'atoll';
// Slow to load, so not each time.
const hub = Number(round) % 3 === 0 ? await import('@atoll/hub') : undefined;
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const names = await openNameStore(join(folder, 'names.db'));
const push = new DirectPushService(
  { clock: systemClock, random: systemRandom, logger: silentLogger, ownPorts: () => [] },
  pushSettings(
    { pushAllow: ['192.168.77.9:9'] },
    { databasePath: join(folder, 'push.db'), vapidKeyPath: join(folder, 'push-key.pem') },
  ),
);
const subscriptions = await push.start({ onEnded: () => {} });
const proxy = new DhtProxy({ node: () => undefined }, { statePath: join(folder, 'proxy.db') });
await proxy.start();
const turn = TurnDatabase.openFile(join(folder, 'turn.db'));
let node = await DhtNode.open(NODE);

/** Numbered files: the number that a whole one holds. */
async function counterIn(name: string): Promise<number> {
  const text = await readFile(join(folder, name), 'utf8').catch(() => undefined);
  return text === undefined ? 0 : (JSON.parse(text) as { counter: number }).counter;
}

// What is there, before anything is written.
for (const { name } of await names.list({ limit: 100_000 })) say(`there name ${name}`);
for (const { clientId } of subscriptions) say(`there subscription ${clientId}`);
for (const { value } of proxy.puts.all()) say(`there put ${value.id}`);
for (const { name } of await turn.users(REALM)) say(`there turn-user ${name}`);
for (const { value } of node.core.storage.all()) say(`there value ${value.id}`);
say(`there node ${node.id}`);
say(`there push-key ${push.vapidPublicKey}`);
for (const file of ['ready.json', 'settings.json']) say(`counter ${file} ${await counterIn(file)}`);
say('writing');
say(`done node ${node.id}`);
say(`done push-key ${push.vapidPublicKey}`);

async function writeNames(): Promise<void> {
  for (let i = 0; ; i++) {
    const name = `name-${round}-${i}`;
    const address = createHash('sha1').update(name).digest('hex');
    const record = { name, address, owner: '', publicKey: Buffer.alloc(550), signature: Buffer.alloc(512) };
    if ((await names.register(record, RULES)) !== 'registered') throw new Error(`${name} was there`);
    say(`done name ${name}`);
    await nextTurn();
  }
}

async function writeSubscriptions(): Promise<void> {
  for (let i = 0; ; i++) {
    const clientId = `phone-${round}-${i}`;
    const token = `http://192.168.77.9:9/${clientId}`;
    const request = { key: InfoHash.of(clientId), token, clientId, sessionId: 's', platform: 'unifiedpush', topic: '' };
    const { outcome } = push.subscribe({ ...request, platform: 'unifiedpush' }, '127.0.0.1');
    if (outcome !== 'new') throw new Error(`${clientId}: ${outcome}`);
    say(`done subscription ${clientId}`);
    await nextTurn();
  }
}

async function writePuts(): Promise<void> {
  const owner = { token: '', clientId: '', sessionId: '', platform: 'none', topic: '' } as const;
  for (let i = 0; ; i++) {
    const id = BigInt(round) * 100_000n + BigInt(i) + 1n;
    proxy.puts.keep(InfoHash.of(`put ${id}`), Value.plain({ id, data: 'kept' }), owner, '127.0.0.1');
    say(`done put ${id}`);
    await nextTurn();
  }
}

async function writeTurnUsers(): Promise<void> {
  for (let i = 0; ; i++) {
    const name = `user-${round}-${i}`;
    await turn.setKey(name, REALM, createHash('md5').update(name).digest());
    say(`done turn-user ${name}`);
    await nextTurn();
  }
}

async function writeNode(): Promise<void> {
  for (let i = 0; ; i++) {
    const id = BigInt(round) * 100_000n + BigInt(i) + 1n;
    node.core.storage.store(
      InfoHash.of(`value ${id}`),
      Value.plain({ id, data: 'stored' }),
      performance.now(),
      undefined,
    );
    await node.close();
    say(`done value ${id}`);
    node = await DhtNode.open(NODE);
  }
}

async function writeFiles(...files: readonly string[]): Promise<void> {
  if (hub !== undefined) await Promise.all(files.map(writeCounters));
}

async function writeCounters(name: string): Promise<void> {
  for (let counter = (await counterIn(name)) + 1; ; counter++) {
    await hub?.writeAtomically(join(folder, name), JSON.stringify({ counter, filling: 'x'.repeat(counter % 5000) }));
    say(`counter ${name} ${counter}`);
  }
}

/** Lets the other writers write. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

await Promise.all([
  writeNames(),
  writeSubscriptions(),
  writePuts(),
  writeTurnUsers(),
  writeNode(),
  writeFiles('ready.json', 'settings.json'),
]);
