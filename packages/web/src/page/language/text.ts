/** Languages of the page. */
export const LANGUAGES = ['en', 'fr'] as const;
export type Language = (typeof LANGUAGES)[number];

type Message = string | ((...values: never[]) => string);
type Messages = { readonly [key: string]: Message };
/** The same keys; a sentence with gaps takes the same values. */
type Translated<M extends Messages> = {
  readonly [K in keyof M]: M[K] extends (...values: infer V) => string ? (...values: V) => string : string;
};

/** The words of one part of the page in every language. The compiler refuses a missing or additional key. */
export function defineText<const M extends Messages>(
  en: M,
  fr: Translated<M>,
): Readonly<Record<Language, Translated<M>>> {
  return { en: en as Translated<M>, fr };
}

/** The form of a word for a count: `plural('fr', 2, 'nœud', 'nœuds')`. */
export function plural(language: Language, count: number, one: string, other: string): string {
  return new Intl.PluralRules(language).select(count) === 'one' ? one : other;
}
