// docs/limits.md: every bound that it names is a constant of the file that it names.
import { existsSync, readFileSync } from 'node:fs';

const faults = [];
let rows = 0;
for (const line of readFileSync('docs/limits.md', 'utf8').split('\n')) {
  const row = /^\| `([A-Z][A-Z0-9_]+)`.*\| `([^`]+\.ts)`\s*\|/.exec(line);
  if (row === null) continue;
  rows++;
  const [, name, path] = row;
  const isThere = existsSync(path) && new RegExp(`\\bconst ${name}\\b`).test(readFileSync(path, 'utf8'));
  if (!isThere) faults.push(`docs/limits.md: ${path} has no constant ${name}`);
}
if (rows === 0) faults.push('docs/limits.md names no bound');
for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exit(1);
console.log(`${rows} limits are where their table says.`);
