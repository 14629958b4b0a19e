import { errorCode, errorMessage, type Logger, silentLogger } from '@atoll/base';
import {
  AddressLimits,
  type Exchange,
  HttpServer,
  type HttpServerOptions,
  type ListenAddress,
  type ListeningAt,
  Metrics,
  Router,
} from '@atoll/http';
import type { NameStore } from '../store/name-store.js';
import { type NamePolicy, NameRoutes } from './name-routes.js';
import { Upstream, type UpstreamOptions } from './upstream.js';

export interface NameServerOptions extends Partial<NamePolicy> {
  readonly listen: readonly ListenAddress[];
  /** Path before the routes, such as `/names`; none when left out. */
  readonly basePath?: string;
  /** Another server, asked for names that are not known here. */
  readonly upstream?: UpstreamOptions | undefined;
  readonly rates?: Partial<NameRates>;
  /** Limits of connections and times. */
  readonly http?: Omit<HttpServerOptions, 'listen' | 'name' | 'cors'>;
}

/** What clients may ask each second, of one address and in all. Some seconds' worth may come at once. */
export interface NameRates {
  readonly lookups: number;
  readonly lookupsInAll: number;
  readonly registrations: number;
  readonly registrationsInAll: number;
}

/** Rates when nothing else is said. In all, about half of what one processor can do. */
export const DEFAULT_NAME_RATES: NameRates = {
  lookups: 100,
  lookupsInAll: 5000,
  registrations: 1,
  registrationsInAll: 100,
};

export interface NameServerComponents {
  readonly store: NameStore;
  readonly logger?: Logger;
  readonly metrics?: Metrics;
}

const DEFAULTS = {
  maxNames: 10_000_000,
  maxWaiting: 1000,
};
/** Seconds' worth that may come at once: a page of contacts; a class behind one router, which registers together. */
const LOOKUP_BURST_SECONDS = 10;
const REGISTRATION_BURST_SECONDS = 100;
/** The same of all clients together. */
const BURST_SECONDS_IN_ALL = 10;

/** A name server that listens (protocol/name-server.md). The store stays the caller's, who closes it. */
export class NameServer {
  readonly addresses: readonly ListeningAt[];
  readonly metrics: Metrics;
  private readonly server: HttpServer;
  private readonly upstream: Upstream | undefined;

  private constructor(server: HttpServer, metrics: Metrics, upstream: Upstream | undefined) {
    this.server = server;
    this.addresses = server.addresses;
    this.metrics = metrics;
    this.upstream = upstream;
  }

  /** Fails as `HttpServer.open` does. */
  static async open(components: NameServerComponents, options: NameServerOptions): Promise<NameServer> {
    const { store, logger = silentLogger, metrics = new Metrics() } = components;
    const settings = { ...DEFAULTS, ...options };
    const nowMs = (): number => performance.now();
    const upstream =
      settings.upstream === undefined
        ? undefined
        : new Upstream({ store, logger, nowMs, unixMs: Date.now }, settings.upstream);
    const rates = { ...DEFAULT_NAME_RATES, ...settings.rates };
    const limit = (perSecond: number, seconds: number): AddressLimits =>
      // Less than one at once would be none at all.
      new AddressLimits({ nowMs }, { perSecond, burst: Math.max(1, perSecond * seconds) });
    const routes = new NameRoutes(
      {
        store,
        upstream,
        metrics,
        lookups: {
          ofAddress: limit(rates.lookups, LOOKUP_BURST_SECONDS),
          inAll: limit(rates.lookupsInAll, BURST_SECONDS_IN_ALL),
        },
        registrations: {
          ofAddress: limit(rates.registrations, REGISTRATION_BURST_SECONDS),
          inAll: limit(rates.registrationsInAll, BURST_SECONDS_IN_ALL),
        },
      },
      settings,
    );
    const router = new Router();
    routes.addTo(router, (settings.basePath ?? '').replace(/\/$/, ''));
    router.on('GET', '/health', (exchange) => health(store, exchange, logger));
    router.on('GET', '/metrics', (exchange) => exchange.send(200, Metrics.contentType, metrics.expose()));
    const server = await HttpServer.open(
      { router, logger, metrics },
      {
        errorBody: (_status, _code, message) => JSON.stringify({ error: message }),
        ...settings.http,
        listen: settings.listen,
        name: 'names',
        // Nothing here depends on who asks, so pages of any origin may.
        cors: () => ['Access-Control-Allow-Origin', '*'],
      },
    );
    return new NameServer(server, metrics, upstream);
  }

  /** When a client address last had a connection, ms of `performance.now()`; Infinity while it has one. */
  heardMs(address: string): number | undefined {
    return this.server.heardMs(address);
  }

  /** Bytes of all connections since the start. */
  get traffic(): { readonly inBytes: number; readonly outBytes: number } {
    return this.server.traffic;
  }

  /** Reads certificates anew; open connections go on. */
  reloadCertificates(): Promise<void> {
    return this.server.reloadCertificates();
  }

  async close(): Promise<void> {
    await this.server.close();
    this.upstream?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function health(store: NameStore, exchange: Exchange, logger: Logger): Promise<void> {
  try {
    await store.probe();
    exchange.sendJson(200, { status: 'ok' });
  } catch (error) {
    logger.error(`The store of names does not answer: ${errorMessage(error)}`, { code: errorCode(error) });
    exchange.sendJson(503, { status: 'failed', error: 'the store of names does not answer' });
  }
}
