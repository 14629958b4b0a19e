// Documents: links lead somewhere, commands marked “sh test” work, the list of dependencies is true.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { errorTable } from './error-codes.mjs';

const faults = [];

function documents(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (['node_modules', '.git', 'dist', 'vectors'].includes(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return documents(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

for (const path of documents('.')) {
  const text = readFileSync(path, 'utf8');
  for (const [, link] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^(https?:|mailto:|#)/.test(link)) continue;
    if (!existsSync(resolve(dirname(path), link.split('#')[0]))) faults.push(`${path}: the link ${link} leads nowhere`);
  }
  for (const [, commands] of text.matchAll(/```sh test\n([\s\S]*?)```/g)) {
    const home = mkdtempSync(join(tmpdir(), 'atoll-docs-'));
    const done = spawnSync('bash', ['-euo', 'pipefail', '-c', commands], {
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...process.env, HOME: home, XDG_STATE_HOME: join(home, 'state') },
    });
    if (done.status !== 0) faults.push(`${path}: a command fails:\n${commands}${done.stdout}${done.stderr}`);
    rmSync(home, { recursive: true, force: true });
  }
}

const listed = new Set(
  [...readFileSync('docs/dependencies.md', 'utf8').matchAll(/^\| `([^`]+)` \| [\d^]/gm)].map(([, name]) => name),
);
const used = new Set();
for (const folder of [
  '.',
  ...readdirSync('packages').map((name) => join('packages', name)),
  'tests',
  'bench',
  'fuzz',
]) {
  const file = join(folder, 'package.json');
  if (!existsSync(file)) continue;
  const described = JSON.parse(readFileSync(file, 'utf8'));
  for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies']) {
    for (const name of Object.keys(described[kind] ?? {})) if (!name.startsWith('@atoll/')) used.add(name);
  }
}
for (const name of used) if (!listed.has(name)) faults.push(`docs/dependencies.md does not list ${name}`);
for (const name of listed) if (!used.has(name)) faults.push(`docs/dependencies.md lists ${name}, which nothing uses`);

const { SETTINGS } = await import('../packages/hub/dist/index.js');
for (const page of ['docs/en/hub.md', 'docs/fr/hub.md']) {
  const text = readFileSync(page, 'utf8');
  for (const { flag } of Object.values(SETTINGS)) {
    if (!text.includes(`| \`--${flag} `)) faults.push(`${page} does not list the setting --${flag}`);
  }
}

const { table, faults: codeFaults } = errorTable();
faults.push(...codeFaults);
if (readFileSync('docs/errors.md', 'utf8') !== table) {
  faults.push('docs/errors.md is not true any more: run node scripts/error-codes.mjs');
}

for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exit(1);
console.log('Documents are true.');
