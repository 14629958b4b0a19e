import type { Check } from '../check.js';
import { type Verdict, verdict } from '../finding.js';
import { askHttp, type HttpOutcome } from '../probes/ask-http.js';
import { portOf } from '../target.js';

interface NamesFacts {
  readonly url: string;
  readonly host: string;
  readonly isAssumed: boolean;
  readonly answer: HttpOutcome;
}

/** Judges a name server by its answer about a name: that nobody has it is a good answer. */
export function judgeNames({ url, host, isAssumed, answer }: NamesFacts): Verdict {
  const facts = { url, host, port: portOf(url) };
  const severity = isAssumed ? 'warning' : 'fault';
  if (answer === 'refused') return verdict(severity, 'names-closed', facts);
  if (answer === 'silent') return verdict(severity, 'names-silent', facts);
  if (answer.status === 200 || answer.status === 404) return verdict('good', 'names-good', facts);
  return verdict('fault', 'names-unwell', { ...facts, status: answer.status });
}

/** The name server, at each of its URLs. */
export const checkNames: Check = ({ host, names = [], isAssumed }, { limitMs }) =>
  Promise.all(
    names.map(async (url) => {
      const answer = await askHttp(`${url.replace(/\/$/, '')}/name/doctor`, { limitMs });
      return judgeNames({ url, host, isAssumed, answer });
    }),
  );
