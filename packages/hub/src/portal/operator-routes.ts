import { AtollError, UsageError } from '@atoll/base';
import { type Exchange, type Handler, HttpError, type Router } from '@atoll/http';
import type { NameStore } from '@atoll/name-server';
import type { ServiceName } from './api.js';
import type { Portal } from './portal.js';
import { languageOf, NO_STORE, notThere } from './public-routes.js';
import { MAX_PASSWORD_CHARACTERS, MIN_PASSWORD_CHARACTERS } from './sessions.js';

const MAX_BODY_BYTES = 64 * 1024;
const MAX_CERTIFICATE_BYTES = 256 * 1024;
/** A backup is held in memory while it is checked: a million names have 200 MB. */
const MAX_BACKUP_BYTES = 512 * 1024 * 1024;
const MAX_BACKUP_MS = 10 * 60_000;
const NAMES_PER_PAGE = 100;
const USER_NAME = /^[\w.@+-]{1,64}$/;
const BY = 'operator portal';

/** What only the operator may do. */
export function addOperatorRoutes(router: Router, portal: Portal): void {
  const { parts } = portal;
  const on = (method: string, path: string, handler: Handler): void => {
    router.on(method, path, async (exchange) => {
      portal.requireSecure(exchange);
      if (!portal.isOperator(exchange)) {
        throw new HttpError(401, 'PORTAL_NO_SESSION', 'This is for the operator; sign in first.');
      }
      try {
        await handler(exchange);
      } catch (error) {
        throw refusalOf(error);
      }
    });
  };

  on('GET', '/api/operator', async (exchange) => exchange.sendJson(200, await portal.operator(), NO_STORE));
  on('POST', '/api/operator/services/:name', async (exchange) => {
    const { isOn } = await objectOf(exchange);
    if (typeof isOn !== 'boolean') throw wrong('isOn takes true or false');
    exchange.sendJson(200, await parts.switchService(exchange.parameter as ServiceName, isOn), NO_STORE);
  });
  on('POST', '/api/operator/password', async (exchange) => {
    const { password } = await objectOf(exchange);
    if (
      typeof password !== 'string' ||
      password.length < MIN_PASSWORD_CHARACTERS ||
      password.length > MAX_PASSWORD_CHARACTERS
    ) {
      throw wrong(`a password has ${MIN_PASSWORD_CHARACTERS} characters at least`);
    }
    await portal.sessions.setPassword(password, portal.tokenOf(exchange));
    exchange.sendNothing(204);
  });

  const sendUsers = (exchange: Exchange): void => {
    const users = parts.turnUsers.all().map(({ name }) => ({ name, isOwn: false }));
    exchange.sendJson(200, [{ name: parts.ownTurnUser, isOwn: true }, ...users], NO_STORE);
  };
  on('GET', '/api/operator/turn-users', sendUsers);
  on('POST', '/api/operator/turn-users', async (exchange) => {
    const { name, password } = await objectOf(exchange);
    if (typeof name !== 'string' || !USER_NAME.test(name) || name === parts.ownTurnUser) {
      throw wrong('a TURN user has a name of up to 64 letters, digits and . _ - @ +, other than the hub’s own');
    }
    if (typeof password !== 'string' || password.length < MIN_PASSWORD_CHARACTERS || password.length > 256) {
      throw wrong(`a password has ${MIN_PASSWORD_CHARACTERS} to 256 characters`);
    }
    await parts.turnUsers.add({ name, password });
    sendUsers(exchange);
  });
  on('DELETE', '/api/operator/turn-users/:name', async (exchange) => {
    if (!(await parts.turnUsers.remove(exchange.decodedParameter ?? ''))) throw unknownOne('TURN user');
    sendUsers(exchange);
  });

  const names = (): NameStore => {
    const store = parts.names();
    if (store === undefined) throw new HttpError(503, 'PORTAL_NAMES_OFF', 'The name server does not run.');
    return store;
  };
  const sendNames = async (exchange: Exchange): Promise<void> => {
    const after = exchange.query.get('after');
    const found = await names().list({ limit: NAMES_PER_PAGE + 1, ...(after === null ? {} : { after }) });
    const shown = found.slice(0, NAMES_PER_PAGE);
    const next = found.length > NAMES_PER_PAGE ? shown.at(-1)?.name : undefined;
    exchange.sendJson(
      200,
      {
        names: shown.map(({ name, address, registeredUnixMs }) => ({ name, address, registeredMs: registeredUnixMs })),
        ...(next === undefined ? {} : { next }),
      },
      NO_STORE,
    );
  };
  on('GET', '/api/operator/names', sendNames);
  on('DELETE', '/api/operator/names/:name', async (exchange) => {
    if (!(await names().remove(exchange.decodedParameter ?? '', 'delete', BY))) throw unknownOne('name');
    await sendNames(exchange);
  });
  const sendReserved = async (exchange: Exchange): Promise<void> =>
    exchange.sendJson(
      200,
      (await names().reserved()).map(({ name }) => name),
      NO_STORE,
    );
  on('GET', '/api/operator/reserved-names', sendReserved);
  on('POST', '/api/operator/reserved-names', async (exchange) => {
    const { name } = await objectOf(exchange);
    const reserved = typeof name === 'string' ? parts.toName(name) : undefined;
    if (reserved === undefined) throw wrong('that is no name that anybody could register');
    await names().reserve(reserved, '', BY);
    await sendReserved(exchange);
  });
  on('DELETE', '/api/operator/reserved-names/:name', async (exchange) => {
    if (!(await names().unreserve(exchange.decodedParameter ?? '', BY))) throw unknownOne('reserved name');
    await sendReserved(exchange);
  });

  on('GET', '/api/operator/settings', (exchange) => exchange.sendJson(200, parts.settings.all(), NO_STORE));
  on('PATCH', '/api/operator/settings', async (exchange) => {
    await parts.settings.change(await objectOf(exchange));
    exchange.sendJson(200, parts.settings.all(), NO_STORE);
  });

  on('GET', '/api/operator/backup', async (exchange) => {
    const { backup } = parts;
    if (backup === undefined) throw notThere('backups');
    const name = `atoll-${new Date(parts.unixMs()).toISOString().slice(0, 10)}.backup`;
    const disposition = ['Content-Disposition', `attachment; filename="${name}"`];
    exchange.send(200, 'application/octet-stream', await backup(), [...disposition, ...NO_STORE]);
  });
  on('POST', '/api/operator/restore', async (exchange) => {
    const { restore } = parts;
    if (restore === undefined) throw notThere('restoring backups');
    await restore(await exchange.body({ maxBytes: MAX_BACKUP_BYTES, maxMs: MAX_BACKUP_MS }));
    exchange.sendNothing(204);
  });

  on('POST', '/api/operator/certificate', async (exchange) => {
    const { certificate, key } = await objectOf(exchange, MAX_CERTIFICATE_BYTES);
    if (typeof certificate !== 'string' || typeof key !== 'string') throw wrong('certificate and key are PEM texts');
    if (parts.certificate === undefined) throw notThere('HTTPS');
    await parts.certificate.install(certificate, key);
    exchange.sendJson(200, portal.certificateFacts(), NO_STORE);
  });
  on('GET', '/api/operator/log', (exchange) => {
    const after = Number(exchange.query.get('after') ?? 0);
    exchange.sendJson(200, parts.log.after(Number.isSafeInteger(after) ? after : 0), NO_STORE);
  });
  on('GET', '/api/operator/doctor', async (exchange) => {
    const { doctor } = parts;
    if (doctor === undefined) throw notThere('a doctor');
    exchange.sendJson(200, await doctor(languageOf(exchange)), NO_STORE);
  });
}

async function objectOf(exchange: Exchange, maxBytes = MAX_BODY_BYTES): Promise<Record<string, unknown>> {
  const body = await exchange.json({ maxBytes });
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw wrong('the body is a JSON object');
  return body as Record<string, unknown>;
}

function wrong(what: string): HttpError {
  return new HttpError(400, 'PORTAL_REQUEST_WRONG', `${what.charAt(0).toUpperCase()}${what.slice(1)}.`);
}

function unknownOne(what: string): HttpError {
  return new HttpError(404, 'PORTAL_UNKNOWN', `There is no such ${what}.`);
}

/** The operator is told what went wrong; a stranger would only hear that something did. */
function refusalOf(error: unknown): unknown {
  if (error instanceof HttpError || !(error instanceof AtollError)) return error;
  return new HttpError(error instanceof UsageError ? 400 : 409, error.code, error.message, { cause: error });
}
