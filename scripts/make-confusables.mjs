// node scripts/make-confusables.mjs confusables.txt: makes the name server's table of look-alikes from the data file of
// Unicode Technical Standard #39 (https://www.unicode.org/Public/security/). Run by hand for a new version of Unicode.
import { readFileSync, writeFileSync } from 'node:fs';

const [, , file] = process.argv;
if (file === undefined) {
  console.error('Usage: node scripts/make-confusables.mjs confusables.txt');
  process.exit(2);
}
const text = readFileSync(file, 'utf8');
const version = /^# Version: (\S+)/m.exec(text)?.[1];
const characters = (codes) =>
  codes
    .trim()
    .split(' ')
    .map((code) => String.fromCodePoint(Number.parseInt(code, 16)))
    .join('');

const entries = [];
for (const [, from, to] of text.matchAll(/^([0-9A-F]+)\s*;\s*([0-9A-F ]+?)\s*;/gm)) {
  const source = characters(from);
  // Only what can stand in a name after normalization is looked up.
  const isOfNames = /^[\p{L}\p{M}\p{N}_-]$/u.test(source);
  if (!isOfNames || source.normalize('NFKC').normalize('NFD') !== source || source.toLowerCase() !== source) continue;
  entries.push(`${from.toLowerCase()}=${to.toLowerCase().replaceAll(' ', '+')}`);
}
const lines = [];
let line = '';
for (const entry of entries) {
  if (line.length + entry.length + 1 > 108) {
    lines.push(line);
    line = '';
  }
  line += line === '' ? entry : ` ${entry}`;
}
lines.push(line);
writeFileSync(
  new URL('../packages/name-server/src/core/confusables-data.ts', import.meta.url),
  `// Made by scripts/make-confusables.mjs; not changed by hand.

/**
 * Look-alikes of Unicode ${version} as \`code=codes\` in hexadecimal. Derived from confusables.txt, copyright 1991-2025
 * Unicode, Inc., used under the Unicode License v3 (https://www.unicode.org/license.txt).
 */
export const CONFUSABLES: readonly string[] = [
${lines.map((each) => `  '${each}',`).join('\n')}
];
`,
);
console.log(`${entries.length} look-alikes of Unicode ${version}.`);
