import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InfoHash } from '@atoll/identity';
import { type DhtnodeProcess, eventually, Lan } from '@atoll/testkit';
import { type Program, startNode } from './atoll.js';

const FOO = InfoHash.key('foo').toString();
const LOOK = `ls ${InfoHash.key('bar')}`;
const EMPTY = '0123456789abcdef0123456789abcdef01234567';

/** Complaints go to the other way out, and may come before or after what is said of the key. */
const SYNTAX_OF_BAR = /(?=[\s\S]*Using h\(bar\) = \w+\n)(?=[\s\S]*Syntax: [^\n]*\n)[\s\S]*/;

/** The listener on the same node hears of the value before or after the put is done. */
const PUT_AND_HEARD = /(?=[\s\S]*Put: )(?=[\s\S]*Listen: found [^>]*heard[^\n]*\n)[\s\S]*/;

const NOTHING = /^/;

/** Commands with what shows that they are done. What dhtnode 2.4.12 dies of (`g k WHERE seq=0`, `il a`) is left out. */
const SCRIPT: readonly (readonly [string, RegExp])[] = [
  ['la', /Reported/],
  ['p foo one', /Put: [^\n]*\n/],
  ['p foo two', /Put: [^\n]*\n/],
  ['g foo WHERE id=5', /Get: completed[^\n]*\n/],
  ['q foo SELECT id', /Query: completed[^\n]*\n/],
  ['q foo', /Query: completed[^\n]*\n/],
  ['q foo select id,user_type where user_type="text/plain"', /Query: completed[^\n]*\n/],
  ['q foo SELECT id, seq', /Query: completed[^\n]*\n/],
  ['q foo SELECT *', /Query: completed[^\n]*\n/],
  ['q foo WHERE owner_pk=5', /Query: completed[^\n]*\n/],
  ['pp stay word', /Put: [^\n]*\n/],
  ['cpp stay 1234', /Using [^\n]*\n/],
  ['ll', /IPv6 stats:\n[^>]*\n\n/],
  ['lr', /IPv6 routing table:\n/],
  [`ls ${EMPTY}`, NOTHING],
  [`ld ${EMPTY}`, /empty\n\n/],
  ['l bar', /Listening, [^\n]*\n/],
  [LOOK, /\n\n/],
  [`ld ${InfoHash.key('bar')}`, /\n\n/],
  ['p bar heard', PUT_AND_HEARD],
  ['cl bar', SYNTAX_OF_BAR],
  ['cl bar zz', SYNTAX_OF_BAR],
  ['cl bar 99', /Using [^\n]*\n/],
  ['bogus', /commands\)\n/],
  ['b', /Syntax: /],
  ['p', /Syntax error/],
  ['g', /Syntax error/],
  ['l', /Syntax error/],
  ['s foo word', /identity is required/],
  [`e foo ${EMPTY} word`, /identity is required/],
  ['cc', NOTHING],
  ['', NOTHING],
];

/** No command; its answer shows that the ones before it are done. */
const MARK = 'mark';
const MARKED = /Unknown command: mark\n \(type [^\n]*\n/;

const ECHOES = new Set([...SCRIPT.map(([line]) => line.replace(/\b[0-9a-f]{40}\b/, 'ID')), MARK]);

/** What a program prints for the script, without what is never the same twice. */
async function transcript(program: Program): Promise<string[]> {
  await using lan = await Lan.create({ hosts: 2 });
  await using other = await startNode('dhtnode', lan.host(0));
  await using node = await startNode(program, lan.host(1), { args: ['-b', other.bootstrap] });
  await Promise.all([node.connected(), other.connected()]);
  await other.listen('foo');
  await node.isListenedTo(FOO);
  const printed: string[] = [];
  const isListening = async (): Promise<boolean> => (await node.command(LOOK, /\n\n>> /)).input.includes('[listening]');
  for (const [line, done] of SCRIPT) {
    if (line === LOOK) await eventually(isListening, `${program} does not listen`);
    printed.push(normal(await answerOf(node, line, done)));
  }
  await node.command('x', /Stopping node\.\.\./);
  assert.equal(await node.process.ended(), 0);
  printed.push(normal(node.process.output.slice(-'\nStopping node...\n'.length)));
  return printed;
}

/**
 * What a command prints. It is over when the next one is answered: prompts do not show it, as dhtnode prints them from
 * another thread, more of them than commands. The next one waits for what shows that this one is done, as its echo may come
 * in the middle of a word.
 */
async function answerOf(node: DhtnodeProcess, line: string, done: RegExp): Promise<string> {
  const from = node.process.output.length;
  await node.command(line, done);
  await node.command(MARK, MARKED);
  return node.process.output.slice(from).replaceAll('>> ', '').replace(MARKED, '');
}

function normal(text: string): string {
  const lines = text
    .replaceAll('>> ', '')
    .replace(/\b\d+(\.\d+)? (us|ms|s|min)\b/g, 'TIME')
    .replace(/\b[0-9a-f]{40}\b/g, 'ID')
    .replace(/\b[0-9a-f]{13,16}\b/g, 'VALUE')
    .replace(/10\.77\.\d+/g, '10.77.N')
    .replace(/(token: |Known nodes: |^\s+)\d+[^\n]*/gm, '$1…')
    .replace(/^(\d+ searches), \d+ total cached nodes/gm, 'searches')
    .replace(/^\d+ ongoing operations$/gm, 'ongoing operations')
    .replace(/updated: [^\n]*/g, 'updated')
    .replace(/last step: [^[\n]*/g, 'last step ');
  // Several nodes and values come in no order, and the echo of a command before or after what it says.
  const said = lines.split('\n').filter((each) => !ECHOES.has(each.trim()));
  return said.sort().join('\n').trim();
}

test('a script gets from atoll dhtnode what it gets from dhtnode', async () => {
  const [real, ours] = await Promise.all([transcript('dhtnode'), transcript('atoll')]);
  SCRIPT.forEach(([line], i) => {
    assert.equal(ours[i], real[i], line);
  });
  assert.equal(ours.at(-1), real.at(-1));
});
