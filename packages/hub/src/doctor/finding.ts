import type { Finding, Findings, Severity } from '../portal/api.js';
import { en, type FindingId, type FindingText } from './messages/en.js';
import { fr } from './messages/fr.js';

/** Languages that findings are told in. */
export type DoctorLanguage = 'en' | 'fr';

const TEXTS: Record<DoctorLanguage, Record<FindingId, FindingText>> = { en, fr };

/** What a judgement came to, before it is put into words. */
export interface Verdict {
  readonly id: FindingId;
  readonly severity: Severity;
  readonly facts?: Readonly<Record<string, string | number | boolean>>;
}

export function verdict(severity: Severity, id: FindingId, facts?: Verdict['facts']): Verdict {
  return { id, severity, ...(facts === undefined ? {} : { facts }) };
}

/** A verdict in words of a language. */
export function findingOf({ id, severity, facts = {} }: Verdict, language: DoctorLanguage): Finding {
  const { sentence, remedy } = TEXTS[language][id];
  const fill = (text: string): string =>
    text.replace(/\{(\w+)\}/g, (_whole, name: string) => String(facts[name] ?? '?'));
  return {
    id,
    severity,
    sentence: fill(sentence),
    ...(remedy === undefined ? {} : { remedy: fill(remedy) }),
    ...(Object.keys(facts).length === 0 ? {} : { facts }),
  };
}

const ORDER: readonly Severity[] = ['fault', 'warning', 'unknown', 'good'];

/** Findings in words, the worst first. */
export function findingsOf(verdicts: readonly Verdict[], language: DoctorLanguage): Findings {
  const sorted = [...verdicts].sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity));
  return {
    isWell: verdicts.every(({ severity }) => severity !== 'fault'),
    findings: sorted.map((each) => findingOf(each, language)),
  };
}
