import { AddressLimits, type Exchange, HttpError, type Router } from '@atoll/http';
import type { QualityMessages, QualitySeat } from './api.js';
import { MAX_MESSAGES_PER_MEMBER, MeetingPlace, type MeetingRefusal } from './meeting-place.js';
import type { Portal } from './portal.js';
import { NO_STORE } from './public-routes.js';

/** Messages said and asked for, of one address: each of a few devices behind it asks about once a second. */
const TALK = { perSecond: 20, burst: 100 };
/** A message as JSON in JSON: each of its characters may take several bytes. */
const MAX_TALK_BODY_BYTES = 65_536;

const REFUSALS: Readonly<Record<MeetingRefusal, readonly [status: number, code: string, message: string]>> = {
  full: [503, 'PORTAL_QUALITY_FULL', 'Too many measurements are being made; try again in ten minutes.'],
  unknown: [404, 'PORTAL_QUALITY_UNKNOWN', 'There is no measurement with this code; codes last ten minutes.'],
  taken: [409, 'PORTAL_QUALITY_TAKEN', 'Two devices already use this code; begin a new measurement.'],
  tooMuch: [
    413,
    'PORTAL_QUALITY_TOO_MUCH',
    'That is more than devices have to tell each other; begin a new measurement.',
  ],
};

/** How two browsers that measure the way between them find each other. */
export function addQualityRoutes(router: Router, portal: Portal): void {
  const place = new MeetingPlace(portal.parts);
  const talk = new AddressLimits(portal.parts, TALK);
  router
    .on('POST', '/api/quality', (exchange) => {
      portal.limitCostly(exchange);
      exchange.sendJson(200, granted(place.open(exchange.client)) satisfies QualitySeat, NO_STORE);
    })
    .on('POST', '/api/quality/:code', (exchange) => {
      // Codes are short: they must not be tried for ever.
      portal.limitCostly(exchange);
      const { parameter: code } = exchange;
      exchange.sendJson(200, { code, ...granted(place.enter(code)) } satisfies QualitySeat, NO_STORE);
    })
    .on('POST', '/api/quality/:code/messages', async (exchange) => {
      portal.limit(talk, exchange.client);
      const body = await exchange.json({ maxBytes: MAX_TALK_BODY_BYTES });
      const { seat, message } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
      if (typeof seat !== 'string' || typeof message !== 'string') {
        throw new HttpError(400, 'PORTAL_QUALITY_WHAT', 'seat and message are strings.');
      }
      granted(place.say(exchange.parameter, seat, message));
      exchange.sendNothing(204);
    })
    .on('GET', '/api/quality/:code/messages', (exchange) => {
      portal.limit(talk, exchange.client);
      const messages = granted(place.hear(exchange.parameter, exchange.query.get('seat') ?? '', afterOf(exchange)));
      exchange.sendJson(200, { messages } satisfies QualityMessages, NO_STORE);
    });
}

function granted<T extends object | undefined>(answer: T | MeetingRefusal): T {
  if (typeof answer !== 'string') return answer;
  const [status, code, message] = REFUSALS[answer];
  throw new HttpError(status, code, message);
}

function afterOf({ query }: Exchange): number {
  const after = Number(query.get('after') ?? 0);
  if (Number.isInteger(after) && after >= 0 && after <= MAX_MESSAGES_PER_MEMBER) return after;
  throw new HttpError(400, 'PORTAL_QUALITY_WHAT', `after takes a number up to ${MAX_MESSAGES_PER_MEMBER}.`);
}
