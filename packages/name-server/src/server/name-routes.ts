import type { AddressLimits, Counter, Exchange, Handler, Metrics, Router } from '@atoll/http';
import { HttpError } from '@atoll/http';
import { type NameRule, toAddress, toName } from '../core/name-rule.js';
import { foundAnswer, isBad, keyInAnswer, readRegistration } from '../core/registration.js';
import type { MaybePromise, NameStore, Registered, RegisterRules, StoredName } from '../store/name-store.js';
import { FORWARDED_HEADER, type Upstream } from './upstream.js';

/** What an operator decides about registrations. */
export interface NamePolicy extends NameRule {
  /** Registrations wait until the operator approves them. */
  readonly needsApproval?: boolean;
  /** Names that look like a registered one are refused. True when left out. */
  readonly refusesLookAlikes?: boolean;
  /** Nobody can register; what is there is found. */
  readonly isReadOnly?: boolean;
  readonly maxNames: number;
  readonly maxWaiting: number;
}

export interface NameRoutesComponents {
  readonly store: NameStore;
  readonly upstream: Upstream | undefined;
  readonly metrics: Metrics;
  readonly lookups: RequestLimits;
  readonly registrations: RequestLimits;
}

/** How much is taken of one client address, and of all together. */
export interface RequestLimits {
  readonly ofAddress: AddressLimits;
  readonly inAll: AddressLimits;
}

/** The one bucket that all clients share. */
const EVERYBODY = '';

/** Real bodies have about 1900 bytes. */
const MAX_BODY_BYTES = 16_384;
const JSON_TYPE = 'application/json';
const INVALID_NAME = '{"error":"invalid name"}';
/** Spelled as by the reference server; clients do not read it. */
const NO_NAME = '{"error":"name not registred"}';
const NO_ADDRESS = '{"error":"address not registred"}';
const NOT_KNOWN = '{"error":"not known here, and the upstream server cannot be asked"}';

/** Status and body for what became of a registration (protocol/name-server.md 5): 403 is “taken” to every client. */
const OUTCOMES: Readonly<Record<Registered, readonly [status: number, error: string]>> = {
  registered: [200, ''],
  known: [200, ''],
  // A success that is none yet: clients show an error now, and find their name at the next start once it is approved.
  waiting: [202, 'waiting for approval'],
  'name-taken': [403, 'name already registered'],
  'address-taken': [403, 'this address has a name already'],
  'look-alike': [403, 'the name looks like one that is registered'],
  reserved: [403, 'the name is reserved'],
  full: [503, 'no more names are taken'],
};

/** The routes of the protocol, for any router. */
export class NameRoutes {
  private readonly components: NameRoutesComponents;
  private readonly policy: NamePolicy;
  private readonly counters: Readonly<Record<'found' | 'notFound' | 'forwarded' | 'limited', Counter>>;
  private readonly outcomes: Counter;

  constructor(components: NameRoutesComponents, policy: NamePolicy) {
    this.components = components;
    this.policy = policy;
    const { metrics, store } = components;
    const lookups = metrics.counter('atoll_names_lookups_total', 'Look-ups by result.', ['result']);
    this.counters = {
      found: lookups.with('found'),
      notFound: lookups.with('not found'),
      forwarded: lookups.with('forwarded'),
      limited: metrics.counter('atoll_names_limited_total', 'Requests over the limit of their client.'),
    };
    this.outcomes = metrics.counter('atoll_names_registrations_total', 'Registrations by result.', ['result']);
    let names = 0;
    metrics.gauge('atoll_names', 'Names in the store, as of the last reading.', [], () => {
      const counts = store.counts();
      if (counts instanceof Promise) {
        counts.then(
          (found) => {
            names = found.names;
          },
          () => {},
        );
      } else names = counts.names;
      return names;
    });
  }

  addTo(router: Router, base: string): void {
    router
      .on('GET', `${base}/name/:name`, (exchange) => this.lookup(exchange))
      .on(
        'GET',
        `${base}/name/:name/publickey`,
        this.part((found) => ['publickey', keyInAnswer(found.publicKey)]),
      )
      .on(
        'GET',
        `${base}/name/:name/signature`,
        this.part((found) => ['signature', found.signature.toString('base64')]),
      )
      .on(
        'GET',
        `${base}/name/:name/owner`,
        this.part((found) => ['owner', found.owner]),
      )
      .on('GET', `${base}/addr/:address`, (exchange) => this.lookupAddress(exchange))
      .on('POST', `${base}/name/:name`, (exchange) => this.register(exchange));
  }

  private lookup(exchange: Exchange): MaybePromise<void> {
    this.limit(exchange, this.components.lookups);
    const name = this.nameOf(exchange);
    if (name === undefined) return exchange.send(400, JSON_TYPE, INVALID_NAME);
    return then(this.components.store.find(name), (found) => {
      if (found !== undefined) {
        this.counters.found.increment();
        return exchange.send(200, JSON_TYPE, foundAnswer(found));
      }
      const { upstream } = this.components;
      if (upstream !== undefined && !isForwarded(exchange)) return this.forward(exchange, upstream, name);
      this.counters.notFound.increment();
      return exchange.send(404, JSON_TYPE, NO_NAME);
    });
  }

  private lookupAddress(exchange: Exchange): MaybePromise<void> {
    this.limit(exchange, this.components.lookups);
    const address = toAddress(exchange.decodedParameter ?? '');
    if (address === undefined) return exchange.send(400, JSON_TYPE, '{"error":"invalid address"}');
    return then(this.components.store.nameOf(address), (name) => {
      if (name !== undefined) {
        this.counters.found.increment();
        // Only 200 is an answer here, and only the name is read (protocol/name-server.md 4).
        return exchange.send(200, JSON_TYPE, `{"name":"${name}"}`);
      }
      const { upstream } = this.components;
      if (upstream !== undefined && !isForwarded(exchange)) return this.forwardAddress(exchange, upstream, address);
      this.counters.notFound.increment();
      return exchange.send(404, JSON_TYPE, NO_ADDRESS);
    });
  }

  private async register(exchange: Exchange): Promise<void> {
    this.limit(exchange, this.components.registrations);
    const { store, upstream } = this.components;
    const refuse = (status: number, error: string): void => {
      this.outcomes.with(`status ${status}`).increment();
      exchange.sendJson(status, { success: false, error });
    };
    if (this.policy.isReadOnly === true) return refuse(403, 'this server takes no registrations');
    const body = await this.body(exchange);
    const record = readRegistration(exchange.decodedParameter ?? '', body, this.policy);
    if (isBad(record)) return refuse(record.status, record.reason);
    if (upstream !== undefined && (await store.byName(record.name)) === undefined) {
      // A name of the wider world is not given away twice, as far as can be known now.
      const known = await upstream.lookup(record.name);
      if (known.state === 'found' && known.address !== record.address) {
        return refuse(403, 'the name is registered at the upstream server');
      }
    }
    const { needsApproval = false, refusesLookAlikes = true, maxNames, maxWaiting } = this.policy;
    const by = `client ${exchange.client}`;
    const rules: RegisterRules = { needsApproval, refusesLookAlikes, maxNames, maxWaiting, by };
    const outcome = await store.register(record, rules);
    const [status, error] = OUTCOMES[outcome];
    this.outcomes.with(outcome).increment();
    if (status === 200) return exchange.send(200, JSON_TYPE, '{"success":true}');
    if (outcome !== 'name-taken') return exchange.sendJson(status, { success: false, error });
    const taken = await store.byName(record.name);
    const addr = taken === undefined || taken.isWaiting ? {} : { addr: `0x${taken.address}`, owner: taken.owner };
    exchange.sendJson(status, { success: false, error, ...addr });
  }

  /** `GET /name/<name>/<part>`, which the reference server has and clients do not use. */
  private part(read: (found: StoredName) => [member: string, value: string]): Handler {
    return async (exchange) => {
      this.limit(exchange, this.components.lookups);
      const name = this.nameOf(exchange);
      if (name === undefined) return exchange.send(400, JSON_TYPE, INVALID_NAME);
      const found = await this.components.store.byName(name);
      if (found === undefined || found.isWaiting) return exchange.send(404, JSON_TYPE, NO_NAME);
      const [member, value] = read(found);
      if (found.publicKey.length === 0 && member !== 'owner') return exchange.send(404, JSON_TYPE, NO_NAME);
      exchange.sendJson(200, { name, [member]: value });
    };
  }

  private async forward(exchange: Exchange, upstream: Upstream, name: string): Promise<void> {
    const found = await upstream.lookup(name);
    this.counters.forwarded.increment();
    if (found.state === 'found') {
      const { publicKey: publickey, signature, address: addr } = found;
      // Signed, so that clients need trust neither server; members that are not there are left out.
      exchange.sendJson(200, { name: found.name, addr: `0x${addr}`, publickey, signature });
    } else if (found.state === 'error') exchange.send(503, JSON_TYPE, NOT_KNOWN);
    else exchange.send(404, JSON_TYPE, NO_NAME);
  }

  private async forwardAddress(exchange: Exchange, upstream: Upstream, address: string): Promise<void> {
    const found = await upstream.lookupAddress(address);
    this.counters.forwarded.increment();
    if (found.state === 'error') return exchange.send(503, JSON_TYPE, NOT_KNOWN);
    // A name that leads to somebody else here must not be shown for this address.
    const own = found.state === 'found' ? await this.components.store.byName(found.name) : undefined;
    if (found.state === 'found' && own === undefined) exchange.sendJson(200, { name: found.name });
    else exchange.send(404, JSON_TYPE, NO_ADDRESS);
  }

  private nameOf(exchange: Exchange): string | undefined {
    const text = exchange.decodedParameter;
    return text === undefined ? undefined : toName(text, this.policy);
  }

  private async body(exchange: Exchange): Promise<unknown> {
    try {
      return await exchange.json({ maxBytes: MAX_BODY_BYTES });
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      const { status, message, code } = error;
      // `success` has to be there as a boolean whatever is answered (protocol/name-server.md 5).
      throw new HttpError(status, code, message, { body: JSON.stringify({ success: false, error: message }) });
    }
  }

  private limit(exchange: Exchange, { ofAddress, inAll }: RequestLimits): void {
    const { client } = exchange;
    const isOver = !ofAddress.take(client);
    if (!isOver && inAll.take(EVERYBODY)) return;
    const waitSeconds = isOver ? ofAddress.retryAfterSeconds(client) : inAll.retryAfterSeconds(EVERYBODY);
    this.counters.limited.increment();
    const body = '{"success":false,"error":"too many requests"}';
    // 429 would read as “taken” or “not found” (protocol/name-server.md 6).
    throw new HttpError(503, 'NAMES_LIMITED', 'too many requests', {
      body,
      headers: ['Retry-After', String(waitSeconds)],
    });
  }
}

function isForwarded(exchange: Exchange): boolean {
  return exchange.request.headers[FORWARDED_HEADER] !== undefined;
}

/** Goes on at once where the store answers at once. */
function then<T>(value: MaybePromise<T>, next: (value: T) => MaybePromise<void>): MaybePromise<void> {
  return value instanceof Promise ? value.then(next) : next(value);
}
