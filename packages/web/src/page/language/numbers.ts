import type { Language } from './text.js';

/** A count with the language's separators. */
export function count(language: Language, value: number): string {
  return new Intl.NumberFormat(language, { maximumFractionDigits: 0 }).format(value);
}

/** A number with one decimal at most. */
export function decimal(language: Language, value: number): string {
  return new Intl.NumberFormat(language, { maximumFractionDigits: 1 }).format(value);
}

const UNITS = ['kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;

/** Bytes in a unit that keeps the number short: `1.5 MB`, `1,5 Mo`. */
export function bytes(language: Language, value: number): string {
  // Node and browsers do not agree on how single bytes are written.
  if (value < 1000) return `${count(language, value)}\u00a0${language === 'fr' ? 'o' : 'B'}`;
  let [size, unit] = [value, 0];
  while (size >= 1000 && unit < UNITS.length) [size, unit] = [size / 1000, unit + 1];
  return new Intl.NumberFormat(language, {
    style: 'unit',
    unit: UNITS[unit - 1] ?? 'terabyte',
    unitDisplay: 'short',
    maximumFractionDigits: size < 10 ? 1 : 0,
  }).format(size);
}

const SPANS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
] as const;

/** How long ago: `5 minutes ago`, `il y a 5 minutes`. */
export function ago(language: Language, spanMs: number): string {
  const [unit, lengthMs] = SPANS.find(([, length]) => spanMs >= length) ?? ['second', 1000];
  return new Intl.RelativeTimeFormat(language, { numeric: 'auto' }).format(-Math.floor(spanMs / lengthMs), unit);
}

/** A span in its largest unit of which there are two: `26 hours`, `3 jours`. */
export function span(language: Language, spanMs: number): string {
  const [unit, lengthMs] = SPANS.find(([, length]) => spanMs >= 2 * length) ?? ['second', 1000];
  return new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'long', maximumFractionDigits: 0 }).format(
    Math.floor(spanMs / lengthMs),
  );
}

/** A day and a time of day. */
export function moment(language: Language, atMs: number): string {
  return new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' }).format(atMs);
}
