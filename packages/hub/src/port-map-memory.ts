import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AtollError, errorCode } from '@atoll/base';
import type { Mapping } from '@atoll/port-mapping';
import { writeAtomically } from './state-directory.js';

const FILE = 'port-mappings.json';
const KEY_BYTES = 32;

/** What this machine had mapped, and the secret that proves to a router that it was us. */
export class PortMapMemory {
  readonly key: Buffer;
  private readonly path: string;
  private known: readonly Mapping[];

  private constructor(path: string, key: Buffer, known: readonly Mapping[]) {
    this.path = path;
    this.key = key;
    this.known = known;
  }

  /** From the state directory, where it is made at the first use. Fails with `PORT_MAP_STATE_UNREADABLE`. */
  static async open(directory: string): Promise<PortMapMemory> {
    const path = join(directory, FILE);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (cause) {
      if (errorCode(cause) !== 'ENOENT') throw unreadable(path, errorCode(cause), cause);
      const made = new PortMapMemory(path, randomBytes(KEY_BYTES), []);
      await made.write();
      return made;
    }
    try {
      const { key, mappings } = JSON.parse(text) as { key: string; mappings: Mapping[] };
      const bytes = Buffer.from(key, 'hex');
      if (bytes.length === KEY_BYTES && Array.isArray(mappings)) return new PortMapMemory(path, bytes, mappings);
    } catch (cause) {
      throw unreadable(path, 'it is damaged', cause);
    }
    throw unreadable(path, 'it is damaged', undefined);
  }

  get mappings(): readonly Mapping[] {
    return this.known;
  }

  async remember(mappings: readonly Mapping[]): Promise<void> {
    this.known = [...this.known.filter((old) => !mappings.some((mapping) => isSame(old, mapping))), ...mappings];
    await this.write();
  }

  async forget(mappings: readonly Pick<Mapping, 'transport' | 'internalPort'>[]): Promise<void> {
    this.known = this.known.filter((old) => !mappings.some((mapping) => isSame(old, mapping)));
    await this.write();
  }

  private async write(): Promise<void> {
    const kept = { key: this.key.toString('hex'), mappings: this.known };
    await writeAtomically(this.path, `${JSON.stringify(kept, undefined, 2)}\n`);
  }
}

type Place = Pick<Mapping, 'transport' | 'internalPort'>;

function isSame(one: Place, other: Place): boolean {
  return one.transport === other.transport && one.internalPort === other.internalPort;
}

function unreadable(path: string, why: string, cause: unknown): AtollError {
  return new AtollError(
    'PORT_MAP_STATE_UNREADABLE',
    `${path} cannot be read: ${why}. Delete it, and mappings made before end by themselves.`,
    { cause },
  );
}
