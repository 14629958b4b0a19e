// npm run simulate [-- NAME …]: the simulations of the DHT in their full sizes; figures go to bench/results and to
// docs/benchmarks.md. With --render nothing runs: the document is made anew from the figures that are kept.
import { execFileSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ALL_ATTACKS, simulateAttack } from './attackers.js';
import { simulateChurn } from './churn.js';
import { simulateEndurance } from './endurance.js';
import { keepResult, renderResults, type SimulationResult } from './figures.js';
import { simulateIslands } from './islands.js';
import { simulateLookups } from './lookups.js';
import { simulateMaintenance, simulatePermanence } from './permanence.js';

const MINUTE = 60_000;
const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');

const simulations: Record<string, () => unknown> = {
  lookups: () => [100, 1000, 5000, 10_000].map((nodes) => show(simulateLookups({ nodes, lookups: 400 }))),
  churn: () =>
    show(
      simulateChurn({
        nodes: 5000,
        loss: 0.2,
        values: 2000,
        getsPerValue: 10,
        warmUpMs: 4 * MINUTE,
        waitMs: 60 * MINUTE,
        share: 0.1,
        onProgress: (minutes, datagrams) =>
          console.log(`${Math.round(minutes)} virtual minutes, ${(datagrams / 1e6).toFixed(1)} million datagrams`),
      }),
    ),
  islands: () => show(simulateIslands({ nodes: 1000, valuesPerSide: 100, apartMs: 30 * MINUTE, loss: 0.05 })),
  permanence: () => show(simulatePermanence({ nodes: 200, hours: 6, loss: 0.2 })),
  maintenance: () =>
    [true, false].map((maintainsStorage) =>
      show({
        maintainsStorage,
        ...simulateMaintenance({ nodes: 200, hours: 4, values: 300, loss: 0.1, maintainsStorage }),
      }),
    ),
  attackers: () =>
    [
      ...ALL_ATTACKS.map((attack) => ({ attacks: [attack], addresses: 4 })),
      { attacks: ALL_ATTACKS, addresses: 4 },
      { attacks: ALL_ATTACKS, addresses: 7 },
    ].map((chosen) =>
      show({
        attacks: chosen.attacks.join(', '),
        ...simulateAttack({ nodes: 300, values: 60, minutes: 10, ...chosen }),
      }),
    ),
  endurance: () => show(simulateEndurance({ hours: 72, peers: 16 })),
};

const names = process.argv.slice(2);
if (names[0] === '--render') {
  renderResults(root);
  process.exit();
}
const unknown = names.find((name) => simulations[name] === undefined);
if (unknown !== undefined) {
  console.error(`There is no simulation “${unknown}”; there are ${Object.keys(simulations).join(', ')}.`);
  process.exit(2);
}
for (const [name, simulate] of Object.entries(simulations)) {
  if (names.length > 0 && !names.includes(name)) continue;
  console.log(`\n━━ ${name}`);
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim();
  const before = process.cpuUsage();
  const startedMs = performance.now();
  const figures = simulate();
  const { user, system } = process.cpuUsage(before);
  const result: SimulationResult = {
    simulation: name,
    date: new Date().toISOString().slice(0, 10),
    commit,
    node: process.version,
    machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    seconds: Math.round((performance.now() - startedMs) / 1000),
    cpuSeconds: Math.round((user + system) / 1e6),
    largestMemoryMb: Math.round(process.resourceUsage().maxRSS / 1024),
    figures,
  };
  keepResult(root, result);
  console.log(`${result.seconds} s, ${result.cpuSeconds} s of CPU, up to ${result.largestMemoryMb} MB`);
}

function show<T extends object>(figures: T): T {
  console.table(
    Object.fromEntries(Object.entries(figures).filter(([, figure]) => typeof figure !== 'object')) as object,
  );
  return figures;
}
