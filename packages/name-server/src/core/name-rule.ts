/** Least and most characters of a name (protocol/name-server.md 2). */
const LEAST_CHARACTERS = 3;
const MOST_CHARACTERS = 32;
/** No longer text is looked at: 32 characters of 4 bytes, three signs each when percent-encoded, with room for marks. */
const MOST_TEXT = 512;

const ASCII_NAME = /^[a-z0-9_-]{3,32}$/;

/**
 * Scripts that a name may be written in, one for each name (UAX #31 table 5, recommended scripts). Digits, `-` and `_`
 * go with all of them, Latin letters with none of the others.
 */
const SCRIPTS = [
  ['Latin'],
  ['Greek'],
  ['Cyrillic'],
  ['Armenian'],
  ['Hebrew'],
  ['Arabic'],
  ['Thaana'],
  ['Devanagari'],
  ['Bengali'],
  ['Gurmukhi'],
  ['Gujarati'],
  ['Oriya'],
  ['Tamil'],
  ['Telugu'],
  ['Kannada'],
  ['Malayalam'],
  ['Sinhala'],
  ['Thai'],
  ['Lao'],
  ['Tibetan'],
  ['Myanmar'],
  ['Georgian'],
  ['Hangul'],
  ['Ethiopic'],
  ['Khmer'],
  ['Han', 'Hiragana', 'Katakana'],
];
const ONE_SCRIPT = SCRIPTS.map((names) => {
  const letters = names.map((name) => `\\p{scx=${name}}`).join('');
  return new RegExp(`^(?:(?=[\\p{L}\\p{M}])[${letters}]|[0-9_-])+$`, 'u');
});

export interface NameRule {
  /**
   * Names of any one script beside plain ASCII. Off when left out: apps before 2025 know only `[a-z0-9_-]`.
   */
  readonly allowsUnicode?: boolean;
}

/** ASCII letters lowered, others left as they are: what clients do before they sign (protocol/name-server.md 2). */
export function lowerAscii(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : text;
}

/** The name that a text stands for, in the one spelling it is kept in; undefined when no name can be like that. */
export function toName(text: string, rule: NameRule = {}): string | undefined {
  if (text.length > MOST_TEXT) return undefined;
  const lowered = lowerAscii(text);
  if (ASCII_NAME.test(lowered)) return lowered;
  if (rule.allowsUnicode !== true || /\p{Cs}/u.test(text)) return undefined;
  // Folding case may undo a normalization, so it is done between two.
  const name = lowered.normalize('NFKC').toLowerCase().normalize('NFKC');
  const length = [...name].length;
  if (length < LEAST_CHARACTERS || length > MOST_CHARACTERS) return undefined;
  if (/^[\p{M}]/u.test(name) || !ONE_SCRIPT.some((script) => script.test(name))) return undefined;
  // Some foldings are not stable; a name has to be what it is looked up as.
  return name.toLowerCase().normalize('NFKC') === name ? name : undefined;
}

/**
 * The Jami id that a text stands for, as 40 lower-case hex digits; `0x`, `ring:` and `jami:` before it are dropped.
 * Undefined when it is none, or all zero (protocol/name-server.md 6).
 */
export function toAddress(text: string): string | undefined {
  const matched = /^(?:0x|ring:|jami:)?([0-9a-f]{40})$/i.exec(text);
  const address = matched?.[1]?.toLowerCase();
  return address === undefined || /^0+$/.test(address) ? undefined : address;
}
