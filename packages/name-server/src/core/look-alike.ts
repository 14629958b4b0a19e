import { CONFUSABLES } from './confusables-data.js';

let table: ReadonlyMap<string, string> | undefined;

function confusables(): ReadonlyMap<string, string> {
  table ??= new Map(
    CONFUSABLES.flatMap((line) => line.split(' ')).map((entry) => {
      const [from = '', to = ''] = entry.split('=');
      const codes = to.split('+').map((code) => Number.parseInt(code, 16));
      return [String.fromCodePoint(Number.parseInt(from, 16)), String.fromCodePoint(...codes)];
    }),
  );
  return table;
}

/**
 * Equal for names that look alike, for comparison only (UTS #39 section 4, `skeleton`): `paypa1` and `paypal`, `rnary`
 * and `mary`, Cyrillic `раураl` and Latin. Besides, `_` looks like `-`.
 */
export function skeletonOf(name: string): string {
  const known = confusables();
  let skeleton = '';
  for (const character of name.normalize('NFD')) {
    skeleton += character === '_' ? '-' : (known.get(character) ?? character);
  }
  // The table leads to capitals here and there (0 to O), which names do not have.
  return skeleton.normalize('NFD').toLowerCase();
}
