import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Bench, isReached, type Row, type Target } from './bench.js';
import type { Machine } from './machine.js';
import { plot } from './plot.js';

/** What one run of a bench found, as it is kept in `bench/results/NAME.json`. */
export interface BenchResult {
  readonly name: string;
  /** ISO date. */
  readonly date: string;
  readonly rounds: number;
  readonly machine: Machine;
  readonly rows: readonly Row[];
}

const root = new URL('../../', import.meta.url);
const pathOf = (name: string): string => fileURLToPath(new URL(name, root));
const DOCUMENT = 'docs/benchmarks.md';
const HEAD = `# Benchmarks

\`npm run bench\` measures Atoll beside the programs it replaces, in one run on one machine, and writes this page and
\`bench/results/\`. A ratio is Atoll's figure divided by the other's. Machines differ and are busy with other things;
ratios of medians over alternating rounds are what to look at.
`;

/** Keeps a result: the figures as JSON, the plot, and the bench's section of the document. */
export function writeResult(bench: Bench, result: BenchResult): void {
  mkdirSync(pathOf('bench/results'), { recursive: true });
  mkdirSync(pathOf('docs/benchmarks'), { recursive: true });
  writeFileSync(pathOf(`bench/results/${bench.name}.json`), `${JSON.stringify(result, undefined, 2)}\n`);
  writeFileSync(pathOf(`docs/benchmarks/${bench.name}.svg`), plot(bench.title, bench.other, result.rows));
  const path = pathOf(DOCUMENT);
  const before = existsSync(path) ? readFileSync(path, 'utf8') : HEAD;
  writeFileSync(path, withSection(before, bench.name, section(bench, result)));
}

/** Makes plot and section anew from the figures that are kept; false when there are none. */
export function renderResult(bench: Bench): boolean {
  const path = pathOf(`bench/results/${bench.name}.json`);
  if (!existsSync(path)) return false;
  writeResult(bench, JSON.parse(readFileSync(path, 'utf8')) as BenchResult);
  return true;
}

/** The document with the part between a bench's marks replaced, or added at the end. */
function withSection(document: string, name: string, text: string): string {
  const [begin, end] = [`<!-- bench ${name} -->`, `<!-- end ${name} -->`];
  const marked = `${begin}\n${text}${end}\n`;
  const from = document.indexOf(begin);
  const to = document.indexOf(end);
  if (from < 0 || to < from) return `${document.trimEnd()}\n\n${marked}`;
  return document.slice(0, from) + marked + document.slice(to + end.length).replace(/^\n/, '');
}

function section(bench: Bench, { date, rounds, machine, rows }: BenchResult): string {
  const lines = rows.map((line) => {
    const reached = isReached(line);
    const cells = [
      line.what,
      figure(line.atoll),
      line.other === undefined ? '' : figure(line.other),
      line.unit,
      line.ratio === undefined ? '' : figure(line.ratio),
      line.target === undefined ? '' : `${targetText(line.target, line.unit)}${reached ? '' : ' (not reached)'}`,
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const versions = Object.entries(machine.packages).map(([name, version]) => `${name} ${version}`);
  return [
    `## ${bench.title}`,
    '',
    bench.how,
    '',
    `| what | Atoll | ${bench.other} | unit | ratio | target |`,
    '|---|--:|--:|---|--:|---|',
    ...lines,
    '',
    `![${bench.title}](benchmarks/${bench.name}.svg)`,
    '',
    `${date}, ${rounds} rounds; ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB; Linux ${machine.kernel}; ` +
      `${[`Node ${machine.node}`, ...versions].join(', ')}.`,
    '',
  ].join('\n');
}

function targetText({ of, is, limit }: Target, unit: string): string {
  const sign = is === 'at least' ? '≥' : '≤';
  return of === 'ratio' ? `ratio ${sign} ${limit}` : `${sign} ${limit} ${unit}`;
}

/** Three significant digits, or all of a whole number above a thousand in groups. */
export function figure(number: number): string {
  if (Math.abs(number) >= 1000) return Math.round(number).toLocaleString('en-US');
  return String(Number(number.toPrecision(3)));
}
