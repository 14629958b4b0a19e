// npm run soak [-- --minutes N] [--allocations N]: a TURN server for a long time with clients that come and go. Thirty
// minutes and more are kept in bench/results and docs/benchmarks.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type SoakFigures, soakTurn } from './turn-soak.js';

const FULL_MINUTES = 30;
const [BEGIN, END] = ['<!-- soak -->', '<!-- end soak -->'];

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: String(FULL_MINUTES) },
    allocations: { type: 'string', default: '2000' },
  },
});
const [minutes, allocations] = [Number(values.minutes), Number(values.allocations)];
if (!(minutes > 0) || !(allocations >= 1)) {
  console.error('Usage: npm run soak [-- --minutes N --allocations N]');
  process.exit(2);
}
const figures = await soakTurn(minutes, allocations, (line) => console.log(line));
console.table(figures);
if (minutes >= FULL_MINUTES) keep(figures);
process.exit(0);

function keep(found: SoakFigures): void {
  const root = new URL('../../../', import.meta.url);
  const date = new Date().toISOString().slice(0, 10);
  const machine = `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`;
  writeFileSync(
    fileURLToPath(new URL('bench/results/soak-turn.json', root)),
    `${JSON.stringify({ date, machine, ...found }, undefined, 2)}\n`,
  );
  const rows = Object.entries(found).map(
    ([name, figure]) => `| ${name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)} | ${figure} |`,
  );
  const text = [
    BEGIN,
    '## Soak: a TURN server for a long time',
    '',
    '`npm run soak`: clients over UDP, TCP and TLS come, talk through their relays, and leave, a third of them without a word; their allocations end after 30 s then. Nothing of those who left is kept: the resident memory does not grow, and in the end there are as many descriptors as before.',
    '',
    '| figure | value |',
    '| --- | --: |',
    ...rows,
    '',
    `${date}, ${machine}.`,
    END,
    '',
  ].join('\n');
  const path = fileURLToPath(new URL('docs/benchmarks.md', root));
  const before = readFileSync(path, 'utf8');
  const [from, to] = [before.indexOf(BEGIN), before.indexOf(END)];
  writeFileSync(
    path,
    from < 0 || to < from
      ? `${before.trimEnd()}\n\n${text}`
      : before.slice(0, from) + text + before.slice(to + END.length).replace(/^\n/, ''),
  );
}
