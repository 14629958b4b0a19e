import { createHash, randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type NameRecord, openNameStore } from '@atoll/name-server';
import { type Bench, type BenchContext, type Row, row } from '../bench.js';
import { ATOLL, MeasuredProcess } from '../measured-process.js';
import { askNames } from './name-load.js';

const NAMES = 1_000_000;
const BATCH = 20_000;
const CONNECTIONS = 32;
const AT_ONCE = 32;
const UNLIMITED = ['--lookup-rate', '1000000000', '--lookup-rate-in-all', '1000000000'];
const START_MS = 30_000;
/** As long as the key of an account (RSA-4096), and with a length that says so. */
const KEY = Buffer.concat([Buffer.from('30820222', 'hex'), randomBytes(546)]);
const SIGNATURE_BYTES = 512;

/** Look-ups and registrations of the name server. */
export const bench: Bench = {
  name: 'names',
  title: 'Name server: look-ups per CPU-second, registrations per second',
  other: 'the disk',
  packages: [],
  how:
    'A server (`atoll names serve`) on the loopback interface with a million names in SQLite is asked for names at ' +
    'random over 32 connections, which stay open or, as the Jami daemon does it, are new for each request. Processor ' +
    'time is that of all threads of the server, from `/proc/PID/stat`. Registrations go straight into the store, one ' +
    'after the other and 32 at once, without the proof of the signature; beside them, how often the same disk writes ' +
    'and synchronizes 4096 bytes.',
  run,
};

async function run({ rounds, seconds, say }: BenchContext): Promise<readonly Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-names-bench-'));
  try {
    await fill(join(folder, 'names.db'), say);
    const random = (): string => nameOf(Math.floor(Math.random() * NAMES));
    const cases = [
      { what: 'name, connections stay open', path: () => `/name/${random()}` },
      { what: 'address, connections stay open', path: () => `/addr/${addressOf(random())}` },
      { what: 'name, a connection for each', closes: true, path: () => `/name/${random()}` },
    ];
    const figures = cases.map((): number[] => []);
    const alone: number[] = [];
    const together: number[] = [];
    const disk: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      const { process, port } = await startServer(folder);
      try {
        await askNames(port, { connections: CONNECTIONS, seconds: 2, path: () => `/name/${random()}` });
        for (const [at, { what, ...load }] of cases.entries()) {
          const before = process.cpuSeconds();
          const answers = await askNames(port, { connections: CONNECTIONS, seconds, ...load });
          const perSecond = answers / (process.cpuSeconds() - before);
          say(`round ${round}: ${what}: ${Math.round(perSecond)} a CPU-second`);
          figures[at]?.push(perSecond);
        }
      } finally {
        await process.stop();
      }
      disk.push(synchronizations(folder, seconds));
      alone.push(await registrations(join(folder, `registrations-${round}.db`), 1, seconds));
      together.push(await registrations(join(folder, `together-${round}.db`), AT_ONCE, seconds));
      say(
        `round ${round}: registrations ${Math.round(alone.at(-1) ?? 0)}, ${AT_ONCE} at once ${Math.round(together.at(-1) ?? 0)} a second`,
      );
    }
    const target = { of: 'atoll', is: 'at least', limit: 15_000 } as const;
    return [
      ...cases.map(({ what, closes }, at) =>
        row(what, 'look-ups/CPU-s', figures[at] ?? [], undefined, closes === true ? undefined : target),
      ),
      row('registrations, one after the other', 'each s', alone, disk),
      row(`registrations, ${AT_ONCE} at once`, 'each s', together, disk),
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function nameOf(number: number): string {
  return `name-${number.toString(36)}`;
}

function addressOf(name: string): string {
  return createHash('sha1').update(name).digest('hex');
}

function record(name: string): NameRecord {
  return {
    name,
    address: addressOf(name),
    owner: addressOf(`owner ${name}`),
    publicKey: KEY,
    signature: randomBytes(SIGNATURE_BYTES),
  };
}

async function fill(path: string, say: (line: string) => void): Promise<void> {
  const store = await openNameStore(path);
  const kept = { isWaiting: false, registeredUnixMs: Date.now() };
  for (let from = 0; from < NAMES; from += BATCH) {
    await store.import(
      Array.from({ length: BATCH }, (_, at) => ({ ...record(nameOf(from + at)), ...kept })),
      'bench',
    );
  }
  await store.close();
  say(`${NAMES} names are in the store`);
}

async function startServer(folder: string): Promise<{ process: MeasuredProcess; port: number }> {
  const readyFile = join(folder, 'ready.json');
  const where = ['--host', '127.0.0.1', '--port', '0', '--store', join(folder, 'names.db'), '--ready-file', readyFile];
  const process = new MeasuredProcess([...ATOLL, 'names', 'serve', ...where, ...UNLIMITED]);
  const end = performance.now() + START_MS;
  while (!existsSync(readyFile)) {
    if (performance.now() > end) throw new Error('the name server did not start');
    await wait(50);
  }
  const { names } = JSON.parse(readFileSync(readyFile, 'utf8')) as { names: { url: string } };
  return { process, port: Number(new URL(names.url).port) };
}

async function registrations(path: string, atOnce: number, seconds: number): Promise<number> {
  const store = await openNameStore(path);
  const rules = { needsApproval: false, refusesLookAlikes: true, maxNames: 1e9, maxWaiting: 0, by: 'bench' };
  const started = performance.now();
  let done = 0;
  while (performance.now() - started < seconds * 1000) {
    const from = done;
    // Letters that look like no others, so that every name is taken.
    const name = (number: number): string =>
      number.toString(8).replace(/\d/g, (digit) => 'abcdefgh'.charAt(Number(digit)));
    await Promise.all(
      Array.from({ length: atOnce }, (_, at) => store.register(record(`reg-${name(from + at)}`), rules)),
    );
    done += atOnce;
  }
  const perSecond = done / ((performance.now() - started) / 1000);
  await store.close();
  return perSecond;
}

/** How often each second the disk takes a page and says that it is safe. */
function synchronizations(folder: string, seconds: number): number {
  const file = openSync(join(folder, 'probe'), 'w');
  const page = randomBytes(4096);
  const started = performance.now();
  let done = 0;
  for (; performance.now() - started < seconds * 1000; done++) {
    writeSync(file, page);
    fsyncSync(file);
  }
  closeSync(file);
  return done / ((performance.now() - started) / 1000);
}
