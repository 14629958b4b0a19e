import { readFileSync } from 'node:fs';

/** Recorded bytes of real peers, from the vectors of a package: everything in a file that is hex under these names. */
export function recorded(file: string, ...names: readonly string[]): Buffer[] {
  const found = new Map<string, Buffer>();
  const visit = (object: unknown): void => {
    if (typeof object !== 'object' || object === null) return;
    for (const [name, value] of Object.entries(object)) {
      if (typeof value === 'string' && names.includes(name) && /^([0-9a-f]{2})+$/.test(value)) {
        found.set(value, Buffer.from(value, 'hex'));
      } else visit(value);
    }
  };
  visit(readVectors(file));
  if (found.size === 0) throw new Error(`${file} holds nothing under ${names.join(', ')}`);
  return [...found.values()];
}

/** All texts in a file of vectors that contain this. */
export function recordedTexts(file: string, part: string): string[] {
  const found = new Set<string>();
  const visit = (object: unknown): void => {
    if (typeof object === 'string' && object.includes(part)) found.add(object);
    else if (typeof object === 'object' && object !== null) Object.values(object).forEach(visit);
  };
  visit(readVectors(file));
  return [...found];
}

function readVectors(file: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../packages/dht/vectors/${file}.json`, import.meta.url), 'utf8'));
}
