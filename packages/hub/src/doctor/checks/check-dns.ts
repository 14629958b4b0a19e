import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { errorCode, splitHostPort, systemRandom } from '@atoll/base';
import type { Check } from '../check.js';
import { type Verdict, verdict } from '../finding.js';

const UNNEEDED_MS = 1500;

/** What DNS says about a name: addresses, that there is no such name, or nothing. */
type DnsOutcome = readonly string[] | 'unknown' | 'silent';

export interface DnsFacts {
  /** First server that was asked. */
  readonly server: string;
  /** Names that the set-up needs, with what DNS says. */
  readonly names: ReadonlyMap<string, DnsOutcome>;
  /** What DNS says about a name that cannot exist. */
  readonly madeUp: DnsOutcome;
  /** The hub's name among them, and addresses that the hub says are its own. */
  readonly hub: string | undefined;
  readonly expected: readonly string[];
}

/** Judges DNS by what the network needs of it, which may be nothing. */
export function judgeDns({ server, names, madeUp, hub, expected }: DnsFacts): readonly Verdict[] {
  if (typeof madeUp !== 'string') return [verdict('fault', 'dns-answers-everything', { addresses: madeUp.join(', ') })];
  const found: Verdict[] = [];
  for (const [name, outcome] of names) {
    if (outcome === 'silent') found.push(verdict('fault', 'dns-broken', { server, name }));
    else if (outcome === 'unknown') found.push(verdict('fault', 'dns-unknown-name', { name }));
    else if (name === hub && expected.length > 0 && !outcome.some((address) => expected.includes(address))) {
      const facts = { name, addresses: outcome.join(', '), expected: expected.join(', ') };
      found.push(verdict('fault', 'dns-wrong-address', facts));
    }
  }
  if (found.length > 0) return found;
  return [verdict('good', madeUp === 'silent' ? 'dns-unneeded' : 'dns-good')];
}

/** DNS of this machine: the names that are needed, and one that cannot exist (RFC 6761: `.invalid`). */
export const checkDns: Check = async ({ name, addresses, bootstrap }, { limitMs: longestMs }) => {
  const needed = [...(name === undefined ? [] : [name]), ...bootstrap.map((text) => splitHostPort(text).host)];
  const wanted = [...new Set(needed.filter((each) => isIP(each) === 0))];
  // Where no name is needed, often no server is there: that is not waited for.
  const limitMs = wanted.length > 0 ? longestMs : Math.min(longestMs, UNNEEDED_MS);
  // The second try waits twice as long as the first.
  const resolver = new Resolver({ timeout: Math.ceil(limitMs / 3), tries: 2 });
  const ask = async (which: string): Promise<DnsOutcome> => {
    const late = new Promise<never>((_resolve, reject) => setTimeout(() => reject({ code: 'ETIMEOUT' }), limitMs));
    try {
      return await Promise.race([resolver.resolve4(which), late]);
    } catch (error) {
      return ['ENOTFOUND', 'ENODATA'].includes(errorCode(error)) ? 'unknown' : 'silent';
    }
  };
  const [madeUp, ...outcomes] = await Promise.all([
    ask(`atoll-${systemRandom.bytes(8).toString('hex')}.invalid`),
    ...wanted.map(ask),
  ]);
  return judgeDns({
    server: resolver.getServers()[0] ?? '-',
    names: new Map(wanted.map((each, index) => [each, outcomes[index] ?? 'silent'])),
    madeUp: madeUp ?? 'silent',
    hub: name,
    expected: addresses,
  });
};
