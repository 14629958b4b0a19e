import { lookup } from 'node:dns/promises';
import { parseBootstrap } from '@atoll/dht';
import type { Check } from '../check.js';
import { type Verdict, verdict } from '../finding.js';
import type { UdpOutcome } from '../probes/connected-udp.js';
import { pingDht } from './check-dht.js';

/** Judges one bootstrap node. */
export function judgeBootstrap(address: string, outcome: UdpOutcome | 'unresolved'): Verdict {
  if (outcome === 'answered') return verdict('good', 'bootstrap-good', { address });
  return verdict('fault', outcome === 'unresolved' ? 'bootstrap-unresolved' : 'bootstrap-silent', { address });
}

/** The other nodes that the hub was told of answer. */
export const checkBootstrap: Check = ({ bootstrap, dht }, { limitMs }) =>
  Promise.all(
    bootstrap.map(async (address) => {
      const { host, port } = parseBootstrap(address);
      const late = new Promise<undefined>((resolve) => setTimeout(resolve, limitMs, undefined));
      const found = await Promise.race([lookup(host).catch(() => undefined), late]);
      if (found === undefined) return judgeBootstrap(address, 'unresolved');
      return judgeBootstrap(address, await pingDht(found.address, port, dht?.network ?? 0, limitMs));
    }),
  );
