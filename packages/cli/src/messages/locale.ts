import { en, type Messages } from './en.js';
import { fr } from './fr.js';

/** The messages for the locale that the environment asks for: French where it says so, else English. */
export function messagesFor(environment: NodeJS.ProcessEnv): Messages {
  const locale = environment.LC_ALL || environment.LC_MESSAGES || environment.LANG || '';
  return locale.toLowerCase().startsWith('fr') ? fr : en;
}
