/** Languages of the page. */
export const LANGUAGES = ['en', 'fr'] as const;
export type Language = (typeof LANGUAGES)[number];

type Messages = { readonly [key: string]: string | ((...values: never[]) => string) };
/** The same keys; a sentence with gaps takes the same values. */
type Translated<M> = {
  readonly [K in keyof M]: M[K] extends (...values: infer V) => string ? (...values: V) => string : string;
};

/** The words of one part of the page in every language. The compiler refuses a missing or additional key. */
export function defineText<M extends Messages>(
  en: M,
  fr: Translated<M>,
): { readonly en: M; readonly fr: Translated<M> } {
  return { en, fr };
}

/** The form of a word for a count: `plural('fr', 2, 'nœud', 'nœuds')`. */
export function plural(language: Language, count: number, one: string, other: string): string {
  return new Intl.PluralRules(language).select(count) === 'one' ? one : other;
}
