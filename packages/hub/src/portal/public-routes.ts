import { type Exchange, HttpError, type Router } from '@atoll/http';
import type { DoctorLanguage } from '../doctor/finding.js';
import type { Portal } from './portal.js';
import { MAX_PASSWORD_CHARACTERS } from './sessions.js';

const DAY_HOURS = 24;
const MAX_SESSION_BODY_BYTES = 8192;
const MAX_QUESTION_CHARACTERS = 64;

/** What everyone may ask. */
export function addPublicRoutes(router: Router, portal: Portal): void {
  const { parts } = portal;
  router
    .on('GET', '/api/join', (exchange) => exchange.sendJson(200, portal.join(exchange), NO_STORE))
    .on('GET', '/api/network', async (exchange) => exchange.sendJson(200, await portal.network(), NO_STORE))
    .on('GET', '/api/history', (exchange) => {
      const hours = Number(exchange.query.get('hours') ?? DAY_HOURS);
      if (!(hours > 0 && hours <= DAY_HOURS)) {
        throw new HttpError(400, 'PORTAL_HOURS_WRONG', `hours takes a number up to ${DAY_HOURS}.`);
      }
      exchange.sendJson(200, portal.history.of(hours, parts.unixMs()), NO_STORE);
    })
    .on('GET', '/api/reach', (exchange) => exchange.sendJson(200, parts.measure.reach(exchange.client), NO_STORE))
    .on('GET', '/api/why', async (exchange) => {
      const { why } = parts;
      if (why === undefined) throw notThere('finding out why two do not meet');
      const [of, to] = ['of', 'to'].map((name) => exchange.query.get(name) ?? '');
      if (!isQuestion(of) || !isQuestion(to)) {
        throw new HttpError(400, 'PORTAL_WHY_WHOM', 'of and to each take a user name or a Jami id.');
      }
      portal.limitCostly(exchange);
      exchange.sendJson(200, await why(of, to, languageOf(exchange)), NO_STORE);
    })
    .on('POST', '/api/session', async (exchange) => {
      portal.requireSecure(exchange);
      portal.limitAttempts(exchange);
      const body = await exchange.json({ maxBytes: MAX_SESSION_BODY_BYTES });
      const { password, link } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
      const { sessions } = portal;
      let opened: { token: string; endsMs: number } | undefined;
      if (typeof link === 'string') opened = sessions.openByLink(link);
      else if (typeof password === 'string' && password.length <= MAX_PASSWORD_CHARACTERS) {
        opened = await sessions.openByPassword(password);
      }
      if (opened === undefined) {
        throw new HttpError(401, 'PORTAL_REFUSED', 'The password is wrong, or the link was used before or is too old.');
      }
      const { token, endsMs } = opened;
      exchange.sendJson(200, { endsMs, needsPassword: !sessions.isPasswordSet }, [
        ...NO_STORE,
        'Set-Cookie',
        portal.cookie(exchange, token, endsMs),
      ]);
    })
    .on('DELETE', '/api/session', (exchange) => {
      portal.sessions.close(portal.tokenOf(exchange));
      exchange.sendNothing(204, ['Set-Cookie', portal.cookie(exchange, '', 0)]);
    })
    .on('GET', '/healthz', (exchange) => exchange.send(200, 'text/plain', 'ok\n', NO_STORE))
    .on('GET', '/readyz', async (exchange) => {
      const { isReady, services } = await portal.readiness();
      exchange.sendJson(isReady ? 200 : 503, { isReady, services }, NO_STORE);
    })
    .on('GET', '/metrics', async (exchange) => {
      if (!portal.mayReadMetrics(exchange)) {
        throw new HttpError(
          403,
          'PORTAL_METRICS_CLOSED',
          'Metrics are for this machine, for operators, and for addresses in the setting metrics-allow.',
        );
      }
      exchange.send(200, 'text/plain; version=0.0.4; charset=utf-8', await portal.metrics(), NO_STORE);
    });
  parts.acme?.answers.addTo(router);
  const { authority } = parts.certificate ?? {};
  if (authority === undefined) return;
  const download = (exchange: Exchange, type: string, body: string | Buffer, name: string): void =>
    exchange.send(200, type, body, ['Content-Disposition', `attachment; filename="${name}"`, ...NO_STORE]);
  router
    .on('GET', '/trust/atoll.crt', (exchange) =>
      download(exchange, 'application/x-pem-file', authority.certificate, 'atoll.crt'),
    )
    .on('GET', '/trust/atoll.der', (exchange) =>
      download(exchange, 'application/x-x509-ca-cert', authority.parsed.raw, 'atoll.der'),
    )
    .on('GET', '/trust/atoll.mobileconfig', (exchange) =>
      download(exchange, 'application/x-apple-aspen-config', authority.mobileConfiguration, 'atoll.mobileconfig'),
    );
}

export const NO_STORE = ['Cache-Control', 'no-store'] as const;

/** 501: this hub was built without that. */
export function notThere(what: string): HttpError {
  return new HttpError(501, 'PORTAL_NOT_BUILT_IN', `This hub was built without ${what}.`);
}

/** In which language the page wants sentences. */
export function languageOf({ query }: Exchange): DoctorLanguage {
  return query.get('language') === 'fr' ? 'fr' : 'en';
}

function isQuestion(text: string | undefined): text is string {
  return text !== undefined && text !== '' && text.length <= MAX_QUESTION_CHARACTERS;
}
