import type { DoctorLanguage } from '@atoll/hub';
import { en, type Messages } from './en.js';
import { fr } from './fr.js';

/** The language that the environment asks for: French where it says so, else English. */
export function languageOf(environment: NodeJS.ProcessEnv): DoctorLanguage {
  const locale = environment.LC_ALL || environment.LC_MESSAGES || environment.LANG || '';
  return locale.toLowerCase().startsWith('fr') ? 'fr' : 'en';
}

/** The messages for the locale that the environment asks for. */
export function messagesFor(environment: NodeJS.ProcessEnv): Messages {
  return languageOf(environment) === 'fr' ? fr : en;
}
