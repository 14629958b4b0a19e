import { createReadStream, createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { finished } from 'node:stream/promises';
import { AtollError, errorMessage, UsageError } from '@atoll/base';
import { isBad, keyInAnswer, type NameStore, prove, type StoredName, toAddress, toName } from '@atoll/name-server';
import { operator, type StoreOptions, withStore } from './store-options.js';

/** Records read and written at a time. */
const BATCH = 1000;
/** Clashes named one by one; the others are only counted. */
const MAX_NAMED = 20;

/** One line of an export. */
interface Line {
  readonly name: string;
  readonly addr: string;
  readonly owner: string;
  readonly publickey: string;
  readonly signature: string;
  readonly registered: string;
  readonly waiting?: true;
}

/** `atoll names export FILE`: every record as one JSON object a line; `-` writes to the output. */
export async function exportNames(file: string, options: StoreOptions): Promise<void> {
  await withStore(options, async (store) => {
    const out = file === '-' ? process.stdout : createWriteStream(file, { mode: 0o600 });
    let failure: unknown;
    out.on('error', (error) => {
      failure = error;
    });
    const write = async (line: string): Promise<void> => {
      if (failure !== undefined) throw cannot(file, 'written', failure);
      if (!out.write(line))
        await new Promise<void>((resolve) => void out.once('drain', resolve).once('error', () => resolve()));
    };
    let after = '';
    for (;;) {
      const page = await store.list({ after, limit: BATCH });
      for (const record of page) await write(`${JSON.stringify(lineOf(record))}\n`);
      after = page.at(-1)?.name ?? '';
      if (page.length < BATCH) break;
    }
    if (file === '-') return;
    out.end();
    await finished(out).catch((error: unknown) => Promise.reject(cannot(file, 'written', error)));
  });
}

export interface ImportOptions extends StoreOptions {
  readonly unsigned?: boolean;
  readonly json?: boolean;
}

/**
 * `atoll names import FILE`: records that are proven by their signature, or any with `--unsigned`. What is there stays;
 * records that clash with it are named, and the command fails then after the others are in.
 */
export async function importNames(file: string, options: ImportOptions): Promise<void> {
  await withStore(options, async (store) => {
    const tally = { imported: 0, known: 0, refused: [] as string[], refusals: 0 };
    let batch: StoredName[] = [];
    const flush = async (): Promise<void> => {
      await put(store, batch, tally);
      batch = [];
    };
    const input = file === '-' ? process.stdin : createReadStream(file, 'utf8');
    let number = 0;
    try {
      for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
        number++;
        if (line.trim() === '') continue;
        const record = readLine(line, options.unsigned ?? false);
        if (typeof record === 'string') refuse(tally, `line ${number}: ${record}`);
        else batch.push(record);
        if (batch.length >= BATCH) await flush();
      }
      await flush();
    } catch (error) {
      if (error instanceof AtollError) throw error;
      throw cannot(file, 'read', error);
    }
    const { imported, known, refusals, refused } = tally;
    if (options.json)
      process.stdout.write(`${JSON.stringify({ imported, known, refused: refusals, reasons: refused })}\n`);
    else process.stdout.write(`${imported} imported, ${known} known, ${refusals} refused\n`);
    if (refusals > 0)
      throw new AtollError('NAMES_NOT_IMPORTED', `${refusals} were not imported: ${refused.join('; ')}.`);
  });
}

interface Tally {
  imported: number;
  known: number;
  readonly refused: string[];
  refusals: number;
}

function refuse(tally: Tally, reason: string): void {
  tally.refusals++;
  if (tally.refused.length < MAX_NAMED) tally.refused.push(reason);
}

async function put(store: NameStore, batch: readonly StoredName[], tally: Tally): Promise<void> {
  if (batch.length === 0) return;
  const results = await store.import(batch, operator());
  for (const [at, result] of results.entries()) {
    const { name, isWaiting } = batch[at] ?? { name: '', isWaiting: false };
    if (result === 'registered' || (result === 'waiting' && isWaiting)) tally.imported++;
    else if (result === 'known' || result === 'waiting') tally.known++;
    else refuse(tally, `${name}: ${result === 'address-taken' ? 'its address has another name' : 'taken'}`);
  }
}

function lineOf(record: StoredName): Line {
  const { name, address, owner, publicKey, signature, isWaiting, registeredUnixMs } = record;
  return {
    name,
    addr: address,
    owner,
    publickey: publicKey.length === 0 ? '' : keyInAnswer(publicKey),
    signature: signature.toString('base64'),
    registered: new Date(registeredUnixMs).toISOString(),
    ...(isWaiting ? { waiting: true as const } : {}),
  };
}

/** The record of a line, or why it is none. */
function readLine(line: string, allowsUnsigned: boolean): StoredName | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return 'it is not JSON';
  }
  const members = (typeof value === 'object' && value !== null ? value : {}) as Partial<Record<keyof Line, unknown>>;
  const text = (member: keyof Line): string => (typeof members[member] === 'string' ? members[member] : '');
  const name = toName(text('name'), { allowsUnicode: true });
  if (name === undefined || name !== text('name')) return 'the name is none';
  const address = toAddress(text('addr'));
  if (address === undefined) return `${name}: addr is no Jami id`;
  const owner = text('owner');
  if (!/^[0-9a-zA-Z]{0,64}$/.test(owner)) return `${name}: owner is no address`;
  const registeredUnixMs = members.registered === undefined ? Date.now() : Date.parse(text('registered'));
  if (!Number.isFinite(registeredUnixMs)) return `${name}: registered is no time`;
  const kept = { isWaiting: members.waiting === true, registeredUnixMs };
  const publicKey = Buffer.from(text('publickey'), 'base64');
  const signature = Buffer.from(text('signature'), 'base64');
  if (publicKey.length === 0 || signature.length === 0) {
    const nothing = Buffer.alloc(0);
    return allowsUnsigned
      ? { name, address, owner, publicKey: nothing, signature: nothing, ...kept }
      : `${name}: it is not signed (--unsigned takes it all the same)`;
  }
  const proven = prove({ name, address, owner, publicKey, signature });
  return isBad(proven) ? `${name}: ${proven.reason}` : { ...proven, ...kept };
}

function cannot(file: string, what: string, cause: unknown): UsageError {
  return new UsageError(`${file} cannot be ${what}: ${errorMessage(cause)}`, { cause });
}
