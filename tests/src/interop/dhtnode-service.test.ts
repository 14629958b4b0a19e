import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually, Lan } from '@atoll/testkit';
import { ATOLL, type Program, startNode } from './atoll.js';

const LINE = /^\[\d{6}\.\d{6}\] /;
let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atoll-service-'));
});
after(() => rm(folder, { recursive: true, force: true }));

describe('dhtnode as a service', { concurrency: 4 }, () => {
  test('the log has the lines of dhtnode, in a file and on the way out', async () => {
    await using lan = await Lan.create({ hosts: 3 });
    const connectedLine = async (program: Program, host: number, bootstrap: string): Promise<string[]> => {
      const file = join(folder, `${program}.log`);
      const args = ['-v', '-l', file, '-b', bootstrap];
      await using _node = await startNode(program, lan.host(host), { port: 4223, args });
      const lines = async (): Promise<string[]> => (await readFile(file, 'utf8')).split('\n').slice(0, -1);
      const isConnected = async (): Promise<boolean> =>
        (await lines()).some((line) => line.includes('IPv4: connected'));
      await eventually(isConnected, `${program} did not log that it is connected`);
      for (const line of await lines()) assert.match(line, LINE);
      return (await lines())
        .map((line) => line.replace(LINE, ''))
        .filter((line) => line.startsWith('Connectivity changed'));
    };
    await using first = await startNode('dhtnode', lan.host(0));
    const [real, ours] = await Promise.all([
      connectedLine('dhtnode', 2, first.bootstrap),
      connectedLine('atoll', 1, first.bootstrap),
    ]);
    assert.deepEqual(ours, real);
    await using loud = await startNode('atoll', lan.host(1), { port: 4224, args: ['-v', '-b', first.bootstrap] });
    await loud.process.waitForOutput(/(^|>> )\[\d{6}\.\d{6}\] Connectivity changed: IPv4: connected/m);
  });

  test('a service answers, and SIGTERM ends it in good order with its state saved', async () => {
    await using lan = await Lan.create({ hosts: 2 });
    const state = join(folder, 'service');
    const service = lan.host(0).spawn(process.execPath, [ATOLL, 'dhtnode', '-s', '-p', '4222', '-f', state]);
    await service.waitForOutput(/OpenDHT node [0-9a-f]{40} running on port 4222\n/);
    await using real = await startNode('dhtnode', lan.host(1), { args: ['-b', `${lan.host(0).address}:4222`] });
    await real.connected();
    assert.doesNotMatch(service.output, />> /);
    await service.stop();
    assert.equal(service.exitCode, 0);
    assert.ok((await stat(state)).size > 0);
    assert.equal(await readFile(`${state}_port.txt`, 'utf8'), '4222\n4222\n');
  });

  test('-d goes to the background and answers from there', async () => {
    await using lan = await Lan.create({ hosts: 2 });
    const [host, other] = [lan.host(0), lan.host(1)];
    const starter = host.spawn(process.execPath, [ATOLL, 'dhtnode', '-d', '-p', '4222']);
    assert.equal(await starter.ended(), 0);
    await using real = await startNode('dhtnode', other, { args: ['-b', `${host.address}:4222`] });
    await real.connected();
    const inBackground = host.pids();
    assert.equal(inBackground.length, 1);
    for (const pid of inBackground) process.kill(pid, 'SIGTERM');
    await eventually(() => host.pids().length === 0, 'the node in the background did not end');
  });

  test('a port in use and a wrong option are said in one line, with exit codes 1 and 2', async () => {
    await using lan = await Lan.create({ hosts: 1 });
    const host = lan.host(0);
    await using _taken = await startNode('dhtnode', host);
    for (const [args, code, words] of [
      [['-p', '4222'], 1, /4222/],
      [['--prot', '4222'], 2, /--prot/],
      [['-n', 'x'], 2, /-n takes a number/],
    ] as const) {
      const failed = host.spawn(process.execPath, [ATOLL, 'dhtnode', ...args]);
      assert.equal(await failed.ended(), code);
      assert.match(failed.output, /^atoll: [^\n]+\n$/);
      assert.match(failed.output, words);
    }
  });
});
