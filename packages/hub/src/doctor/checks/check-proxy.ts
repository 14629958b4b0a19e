import { systemRandom } from '@atoll/base';
import type { Check } from '../check.js';
import { type Verdict, verdict } from '../finding.js';
import { askHttp, type HttpOutcome } from '../probes/ask-http.js';
import { portOf } from '../target.js';

/** A probe's value is stored for one minute only (protocol/dht.md 12.1). */
const SHORT_LIVED_TYPE = 5;
/** A put waits for the DHT behind the proxy. */
const PUT_LIMITS = 4;

interface ProxyFacts {
  readonly url: string;
  readonly host: string;
  readonly isAssumed: boolean;
  readonly put: HttpOutcome;
  readonly givesBack: boolean;
}

/** Judges a DHT proxy: one that answers is not yet one that works. */
export function judgeProxy({ url, host, isAssumed, put, givesBack }: ProxyFacts): Verdict {
  const facts = { url, host, port: portOf(url) };
  const severity = isAssumed ? 'warning' : 'fault';
  if (put === 'refused') return verdict(severity, 'proxy-closed', facts);
  if (put === 'silent') return verdict(severity, 'proxy-silent', facts);
  if (givesBack) return verdict('good', 'proxy-good', facts);
  return verdict('fault', 'proxy-zombie', { ...facts, status: put.status });
}

/** The DHT proxy, at each of its URLs: a value goes in and comes out again. */
export const checkProxy: Check = ({ host, proxy = [], isAssumed }, { limitMs }) =>
  Promise.all(
    proxy.map(async (url) => {
      const place = `${url.replace(/\/$/, '')}/key/${systemRandom.bytes(20).toString('hex')}`;
      const data = systemRandom.bytes(9).toString('base64');
      const alive = await askHttp(url, { limitMs });
      if (typeof alive === 'string') return judgeProxy({ url, host, isAssumed, put: alive, givesBack: false });
      const body = JSON.stringify({ id: '1', type: SHORT_LIVED_TYPE, data });
      const put = await askHttp(place, { method: 'POST', body, limitMs: PUT_LIMITS * limitMs });
      const isStored = typeof put !== 'string' && put.status === 200;
      const got = isStored ? await askHttp(place, { limitMs: PUT_LIMITS * limitMs }) : 'silent';
      const givesBack = typeof got !== 'string' && got.body.includes(data);
      // It answered a moment ago, so one that is silent about a put waits for its DHT.
      return judgeProxy({ url, host, isAssumed, put: typeof put === 'string' ? alive : put, givesBack });
    }),
  );
