import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Bench, isReached } from './bench.js';
import { machine } from './machine.js';
import { figure, renderResult, writeResult } from './results.js';

const USAGE = `Usage: npm run bench [-- [NAME…] [--rounds N] [--seconds S] [--dry]]

Measures Atoll beside the programs it replaces and writes bench/results/NAME.json and docs/benchmarks.md.
  --rounds N   alternating rounds, medians are taken (5)
  --seconds S  length of one measurement (3)
  --dry        print only, write nothing
  --render     measure nothing, write the document anew from bench/results
`;

/** Every bench there is: the files below this folder whose name ends with `.bench.js`. */
async function findBenches(): Promise<Bench[]> {
  const files = readdirSync(fileURLToPath(new URL('.', import.meta.url)), { recursive: true, encoding: 'utf8' });
  const benches: Bench[] = [];
  for (const file of files.filter((name) => name.endsWith('.bench.js')).sort()) {
    const loaded = (await import(new URL(file, import.meta.url).href)) as { bench: Bench };
    benches.push(loaded.bench);
  }
  return benches;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    dry: { type: 'boolean', default: false },
    render: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const benches = await findBenches();
const unknown = positionals.find((name) => !benches.some((bench) => bench.name === name));
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
if (values.help) process.stdout.write(USAGE);
else if (unknown !== undefined || !(rounds >= 1) || !(seconds > 0)) {
  const names = benches.map((bench) => bench.name).join(', ');
  process.stderr.write(unknown === undefined ? USAGE : `There is no bench “${unknown}”; there are ${names}.\n`);
  process.exitCode = 2;
} else {
  for (const bench of benches) {
    if (positionals.length > 0 && !positionals.includes(bench.name)) continue;
    if (values.render) {
      renderResult(bench);
      continue;
    }
    console.log(`\n━━ ${bench.title}`);
    const rows = await bench.run({ rounds, seconds, say: (line) => console.log(`  ${line}`) });
    for (const line of rows) {
      const other =
        line.other === undefined ? '' : `, ${bench.other} ${figure(line.other)}, ratio ${figure(line.ratio ?? 0)}`;
      const reached = isReached(line);
      const verdict = reached === undefined ? '' : reached ? ' (reached)' : ' (NOT REACHED)';
      console.log(`${line.what}: ${figure(line.atoll)} ${line.unit}${other}${verdict}`);
    }
    if (values.dry) continue;
    const date = new Date().toISOString().slice(0, 10);
    writeResult(bench, { name: bench.name, date, rounds, machine: machine(bench.packages), rows });
  }
}
