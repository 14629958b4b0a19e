import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What one run of a simulation found, as it is kept in `bench/results/simulation-NAME.json`. */
export interface SimulationResult {
  readonly simulation: string;
  /** ISO date. */
  readonly date: string;
  /** The project's commit that ran. */
  readonly commit: string;
  readonly node: string;
  readonly machine: string;
  /** Time that passed, and time of the processor, in s. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly largestMemoryMb: number;
  /** One object of figures, or one for each size. */
  readonly figures: unknown;
}

const RESULTS = 'bench/results';
const [BEGIN, END] = ['<!-- simulation -->', '<!-- end simulation -->'];

/** What each simulation does and what it has to reach. */
const ABOUT: Readonly<Record<string, string>> = {
  churn:
    'Permanent puts in a network that loses packets and of whose nodes a tenth is replaced every ten minutes; gets an hour later of the values whose putters live. At least 99.9 % have to find theirs.',
  lookups:
    'Requests one after the other that lead to the node nearest to a key: they grow with the logarithm of the size.',
  islands: 'A network is cut into two halves, each of which goes on, and is healed.',
  permanence:
    'A permanent put of a value that lives ten minutes, asked for every five minutes for hours; then its end.',
  maintenance:
    'Values that live for days, put by nodes that leave; with and without those who keep them handing them on as nodes come and go.',
  attackers:
    'Strangers flood, forge, replay, invent and impersonate around the keys that are looked for. At least 99 % of honest gets have to find theirs, and memory stays bounded.',
  endurance: 'One node under load for three days: nothing grows.',
};

/** Keeps a result and makes the section of the document anew. */
export function keepResult(root: string, result: SimulationResult): void {
  mkdirSync(join(root, RESULTS), { recursive: true });
  const path = join(root, RESULTS, `simulation-${result.simulation}.json`);
  writeFileSync(path, `${JSON.stringify(result, undefined, 2)}\n`);
  renderResults(root);
}

/** Makes the section “Simulation” of docs/benchmarks.md from all results kept. */
export function renderResults(root: string): void {
  const results = readdirSync(join(root, RESULTS))
    .filter((name) => /^simulation-.*\.json$/.test(name))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(root, RESULTS, name), 'utf8')) as SimulationResult);
  const section = [BEGIN, '## Simulation', '', ABOUT_ALL, '', ...results.flatMap(sectionOf), END, ''].join('\n');
  const path = join(root, 'docs/benchmarks.md');
  const before = readFileSync(path, 'utf8');
  const [from, to] = [before.indexOf(BEGIN), before.indexOf(END)];
  const after =
    from < 0 || to < from
      ? `${before.trimEnd()}\n\n${section}`
      : before.slice(0, from) + section + before.slice(to + END.length).replace(/^\n/, '');
  writeFileSync(path, after);
}

const ABOUT_ALL =
  '`npm run simulate` runs whole networks of the DHT core on a virtual clock, in sizes that CI has no time for, and writes this section.';

function sectionOf(result: SimulationResult): string[] {
  const { simulation, date, commit, node, machine, seconds, cpuSeconds, largestMemoryMb } = result;
  const runs = (Array.isArray(result.figures) ? result.figures : [result.figures]) as Record<string, unknown>[];
  const names = Object.keys(runs[0] ?? {}).filter((name) => typeof runs[0]?.[name] !== 'object');
  // Few figures of many runs stand in columns, many figures of one run in rows.
  const table =
    runs.length > 1
      ? [
          row(names.map(words)),
          row(names.map(() => '---')),
          ...runs.map((run) => row(names.map((name) => shown(run[name])))),
        ]
      : [
          row(['figure', 'value']),
          row(['---', '--:']),
          ...names.map((name) => row([words(name), shown(runs[0]?.[name])])),
        ];
  const about = ABOUT[simulation.split('-')[0] ?? ''] ?? '';
  const how = `${date}, commit ${commit}, Node ${node}, ${machine}; ${seconds} s, ${cpuSeconds} s of CPU, up to ${largestMemoryMb} MB.`;
  return [`### ${simulation[0]?.toUpperCase()}${simulation.slice(1)}`, '', about, '', ...table, '', how, ''];
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/** `getMedianMs` becomes “get median ms”. */
function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function shown(figure: unknown): string {
  if (typeof figure !== 'number' || Number.isInteger(figure)) return String(figure);
  return String(Number(figure.toPrecision(5)));
}
