import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '@atoll/base';
import { createTestNetwork, DhtNode } from '@atoll/dht';
import { generateIdentity } from '@atoll/identity';
import { DhtnodeCommands } from './commands.js';
import { parseDhtnodeOptions } from './options.js';
import { ProxyPorts } from './proxy-ports.js';
import { Ways } from './ways.js';

/** A node's commands, each run until what it prints matches. */
function consoleOf(node: DhtNode, publicKeyId: ConstructorParameters<typeof DhtnodeCommands>[0]['publicKeyId']) {
  let output = '';
  let look = (): void => {};
  const print = (text: string): void => {
    output += text;
    look();
  };
  const options = parseDhtnodeOptions([]);
  const ways = new Ways(node, options, node.identity, silentLogger);
  const proxies = new ProxyPorts(node, options, silentLogger);
  const commands = new DhtnodeCommands({
    node,
    ways,
    proxies,
    publicKeyId,
    out: print,
    error: print,
    toggleLog: () => {},
  });
  const run = (line: string, answer: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const from = output.length;
      const late = setTimeout(() => reject(new Error(`no ${answer} in ${output.slice(from)}`)), 20_000);
      look = () => {
        const match = answer.exec(output.slice(from));
        if (match === null) return;
        clearTimeout(late);
        resolve(match);
      };
      commands.run(line);
      look();
    });
  return { run, commands };
}

test('commands say what dhtnode says', async () => {
  const identity = await generateIdentity('test', Date.now(), { bits: 2048 });
  await using network = await createTestNetwork(3);
  const [node] = network.nodes;
  assert.ok(node);
  const { run, commands } = consoleOf(node, undefined);
  const took = String.raw`[\d.]+ (?:us|ms|s)`;

  await run('p word one', /^Using h\(word\) = 3cbcd90adc4b192a87a625850b7f231caddf0eb3\nPut: success/);
  const [, id] = await run('p word two', new RegExp(`Put: success, took ${took}\\. Value ID: ([0-9a-f]+)\n`));
  await run(
    'g word',
    new RegExp(`\tValue\\[id:${id} data\\(text/plain\\):"two"\\]\n(?:.*\n)*Get: completed, took ${took} \\(total 2\\)`),
  );
  await run(
    `q word SELECT id,seq WHERE id=${BigInt(`0x${id}`)}`,
    new RegExp(`\tIndex\\[Id:${id},Seq:0\\]\nQuery: completed`),
  );
  await run(
    `q word WHERE id=${BigInt(`0x${id}`)}`,
    new RegExp(`\tIndex\\[Id:${id},ValueType:0,Owner:0{40},Seq:0,UserType:text/plain\\]\n`),
  );
  await run('q word SELECT seq WHERE seq=1', /Using[^\n]*\nQuery: completed/);
  await run('l word', /Listening, token: 1\n(?:.*\n)*Listen: found 2 values \(total 2\)\n/);
  await run('ld 3cbcd90adc4b192a87a625850b7f231caddf0eb3', / 2 values \(26 bytes\)\n {3}1 local listeners\n {3}Value/);
  await run(
    'ls 3cbcd90adc4b192a87a625850b7f231caddf0eb3',
    /\nSearch IPv4 3cb[0-9a-f]+ gets: 0, last step: [^\n]*\nQueries:\n/,
  );
  await run('ld 0123456789012345678901234567890123456789', /^Storage 0123456789012345678901234567890123456789 empty\n/);
  await run('cl word', /Syntax: cl \[key\] \[token\]/);
  await run('pp other stay', new RegExp(`Put: success, took ${took}\\. Value ID: `));
  await run('ls', /Announcement: Value\[id:[0-9a-f]+ data\(text\/plain\):"stay"\] \[announced\]\n/);
  await run('ld', /\n\n\n(?:IP [^\n]*\n)*\nTotal 2 storages, 3 values \(0 \/ 65536 KB\)\n\n$/);
  await run('a service 4444', new RegExp(`Announce: success \\(took ${took}\\)`));
  await run('g service', /\tValue\[id:[0-9a-f]+ Peer: port 4444 addr [0-9.]+\]/);
  await run('s word signed', /An identity is required to perform this operation \(run with -i\)/);
  await run('bogus', /^Unknown command: bogus\n \(type 'h' or 'help' for a list of possible commands\)\n$/);
  await run('ll', /^OpenDHT node [0-9a-f]{40} running on port \d+\n\d+ ongoing operations\nStorage has 4 values/);
  await run('b', /No service provided. Syntax: b hostname:port/);
  assert.equal(commands.run('x'), false);
  commands.close();

  await using owner = await DhtNode.open({
    addresses: ['127.0.0.1'],
    port: 0,
    bootstrap: [network.bootstrap],
    identity,
  });
  await owner.connected();
  const signer = consoleOf(owner, identity.certificate.id);
  await signer.run('s word signed', new RegExp(`Put signed: success \\(took ${took}\\)\\. Value ID: `));
  await signer.run('e word 12 sealed', /Put encrypted: failure \(took /);
  await signer.run(`e word ${identity.certificate.id} sealed`, new RegExp(`Put encrypted: success \\(took ${took}\\)`));
  await signer.run('g word', /signed \(v0\) decrypted data\(text\/plain\):"sealed"\]/);
  await signer.run('ll', new RegExp(`\nPublic key ID ${identity.certificate.id}\n`));
  signer.commands.close();
});
