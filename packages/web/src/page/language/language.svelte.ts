import { LANGUAGES, type Language } from './text.js';

const KEY = 'atoll-language';

function isLanguage(text: string | null | undefined): text is Language {
  return (LANGUAGES as readonly (string | null | undefined)[]).includes(text);
}

function preferred(): Language {
  const kept = localStorage.getItem(KEY);
  if (isLanguage(kept)) return kept;
  return navigator.languages.map((tag) => tag.split('-')[0]).find(isLanguage) ?? 'en';
}

class ChosenLanguage {
  current = $state<Language>(preferred());

  choose(language: Language): void {
    this.current = language;
    localStorage.setItem(KEY, language);
  }
}

/** The language of the page: the browser's, until the person chooses. */
export const language = new ChosenLanguage();
