import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type DhtnodeProcess, eventually, Lan } from '@atoll/testkit';
import { type Program, startNode } from './atoll.js';

const UNKNOWN_ID = '0123456789abcdef0123456789abcdef01234567';
let folder = '';
/** Where an identity made by one program lies, for the other to load. */
const madeBy = (program: Program): string => join(folder, program);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atoll-identities-'));
  await using lan = await Lan.create({ hosts: 2 });
  const make = async (program: Program, host: number): Promise<void> => {
    const node = await startNode(program, lan.host(host), { args: ['-i', '--save-identity', madeBy(program)] });
    await node.stop();
  };
  await Promise.all([make('dhtnode', 0), make('atoll', 1)]);
});

after(() => rm(folder, { recursive: true, force: true }));

/** The options of a node with an identity that a program made. */
function identityOf(program: Program): string[] {
  return ['--certificate', `${madeBy(program)}.crt`, '--privkey', `${madeBy(program)}.pem`];
}

// They wait for dead nodes and timers more than they work.
describe('signed and sealed values', { concurrency: 2 }, () => {
  for (const program of ['dhtnode', 'atoll'] as const) {
    test(`signed and sealed values and certificates go between dhtnode and atoll over ${program}`, async () => {
      await using lan = await Lan.create({ hosts: 4 });
      await using keeper = await startNode(program, lan.host(0));
      lan.separate(lan.host(1), lan.host(2));
      const start = (who: Program, host: number, identity: string[]): Promise<DhtnodeProcess> =>
        startNode(who, lan.host(host), { args: ['-b', keeper.bootstrap, ...identity] });
      // Each with the identity that the other program wrote.
      await using alice = await start('dhtnode', 1, identityOf('atoll'));
      await using bob = await start('atoll', 2, identityOf('dhtnode'));
      await using carol = await start(program, 3, ['-i']);
      await Promise.all([alice.connected(), bob.connected(), carol.connected()]);

      for (const [from, to, name] of [
        [alice, bob, 'alice'],
        [bob, alice, 'bob'],
      ] as const) {
        const recipient = await to.publicKeyId();
        const isPublished = async (): Promise<boolean> => (await keeper.storedValues(recipient)) > 0;
        await eventually(isPublished, `the certificate for ${name} to find is not on ${program}`);

        await to.listen(`signed-by-${name}`);
        assert.ok(await from.putSigned(`signed-by-${name}`, 'letter'));
        await to.heard('signed (v0) data(text/plain):"letter"');
        for (const reader of [to, carol, keeper]) {
          const values = await reader.get(`signed-by-${name}`);
          assert.equal(values.length, 1);
          assert.match(values[0] ?? '', /signed \(v0\) data\(text\/plain\):"letter"\]$/);
        }

        await to.listen(`sealed-by-${name}`);
        assert.ok(await from.putEncrypted(`sealed-by-${name}`, recipient, 'secret'));
        await to.heard('decrypted data(text/plain):"secret"');
        const [sealed = ''] = await to.get(`sealed-by-${name}`);
        assert.match(sealed, /signed \(v0\) decrypted data\(text\/plain\):"secret"\]$/);
        for (const other of [carol, keeper]) assert.deepEqual(await other.get(`sealed-by-${name}`), []);

        assert.equal(await from.putEncrypted(`sealed-by-${name}`, UNKNOWN_ID, 'secret'), false);
        await assert.rejects(
          keeper.command('s key word', /Put signed: /, 2000),
          'a node without identity signs nothing',
        );
      }
    });
  }
});
