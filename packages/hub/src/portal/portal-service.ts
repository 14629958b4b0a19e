import { AtollError, errorMessage, type Logger } from '@atoll/base';
import { type Exchange, HttpError, HttpServer, Router } from '@atoll/http';
import type { HubConfiguration } from '../configuration.js';
import type { HubService } from '../supervisor.js';
import { admit, hostOf } from './gate.js';
import { FINE_STEP_MS, type FigureHistory } from './history.js';
import { bracketed } from './join.js';
import { addOperatorRoutes } from './operator-routes.js';
import { Portal, type PortalComponents } from './portal.js';
import { addPublicRoutes } from './public-routes.js';
import { addQualityRoutes } from './quality-routes.js';
import type { Sessions } from './sessions.js';
import { StaticFiles } from './static-files.js';

/** Pages that are there without HTTPS: for joining, for coming to trust the hub, and one that says nothing private. */
const PLAIN_PAGES = new Set(['/', '/join', '/trust', '/quality']);
const SAVE_EVERY_MS = 5 * 60_000;
const REQUEST_MS = 10 * 60_000;
const PROBE_LIMIT_MS = 10_000;
/** A page and its files are few requests; a person has few tabs. */
const MAX_CONNECTIONS = 2048;
const MAX_CONNECTIONS_PER_ADDRESS = 256;

export interface PortalServiceComponents {
  readonly portal: PortalComponents;
  readonly sessions: Sessions;
  readonly history: FigureHistory;
  readonly logger: Logger;
}

/** The hub's portal: the page for people, and what it asks. */
export class PortalService implements HubService {
  readonly name = 'portal';
  readonly failed: Promise<never> = new Promise(() => {});
  private readonly components: PortalServiceComponents;
  private readonly configuration: HubConfiguration;
  private readonly folder: string | undefined;
  private server: HttpServer | undefined;
  private unsubscribe: (() => void) | undefined;
  private timers: NodeJS.Timeout[] = [];

  /** `folder`: the files of the page. */
  constructor(components: PortalServiceComponents, configuration: HubConfiguration, folder: string | undefined) {
    this.components = components;
    this.configuration = configuration;
    this.folder = folder;
  }

  async start(): Promise<Readonly<Record<string, unknown>>> {
    const { portal: parts, sessions, history, logger } = this.components;
    const { host, portalPort, portalTlsPort, metricsAllow } = this.configuration;
    const { certificate } = parts;
    const portal = new Portal(parts, sessions, history, { metricsAllow });
    const files = await StaticFiles.read(this.folder);
    const router = new Router();
    addPublicRoutes(router, portal);
    addQualityRoutes(router, portal);
    addOperatorRoutes(router, portal);
    const secure =
      certificate === undefined ? [] : [{ hosts: host, port: portalTlsPort, certificate: certificate.current() }];
    const server = await HttpServer.open(
      { router, logger },
      {
        name: 'portal',
        listen: [{ hosts: host, port: portalPort }, ...secure],
        maxConnections: MAX_CONNECTIONS,
        // The largest request is a backup, over a slow network.
        requestMs: REQUEST_MS,
        maxConnectionsPerAddress: MAX_CONNECTIONS_PER_ADDRESS,
        admit: (exchange) => admit(exchange, this.names(), (host) => certificate?.hostFor(host) ?? host),
        notFound: (exchange, allowed) => this.sendPage(exchange, files, allowed),
      },
    );
    this.server = server;
    this.unsubscribe = certificate?.onChange(() => void server.reloadCertificates());
    this.timers = [
      setInterval(() => void this.sample(), FINE_STEP_MS),
      setInterval(() => void history.save().catch((error) => logger.warn(errorMessage(error))), SAVE_EVERY_MS),
    ];
    for (const timer of this.timers) timer.unref();
    const address = bracketed(parts.join.addresses()[0] ?? '127.0.0.1');
    const tlsPort = server.port(true);
    return {
      url: `http://${address}:${server.port()}/`,
      ...(tlsPort === undefined ? {} : { urlTls: `https://${address}:${tlsPort}/` }),
    };
  }

  /** It says that it is alive, over its own port. */
  async probe(): Promise<void> {
    const listening = this.server?.addresses.find(({ isSecure }) => !isSecure);
    if (listening === undefined) throw new AtollError('PORTAL_NOT_RUNNING', 'The portal is not running.');
    const host = listening.host === '::' || listening.host === '0.0.0.0' ? '127.0.0.1' : listening.host;
    const url = `http://${bracketed(host)}:${listening.port}/healthz`;
    const answer = await fetch(url, { signal: AbortSignal.timeout(PROBE_LIMIT_MS) });
    await answer.text();
    if (answer.status !== 200) throw new AtollError('PORTAL_NOT_WELL', `The portal answers ${answer.status}.`);
  }

  async stop(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer);
    this.unsubscribe?.();
    if (this.server === undefined) return;
    await this.server.close();
    this.server = undefined;
    await this.components.history.save();
  }

  private async sample(): Promise<void> {
    const { portal, history, logger } = this.components;
    try {
      history.add(portal.unixMs(), await portal.measure.figures());
    } catch (error) {
      logger.warn(`The figures could not be taken: ${errorMessage(error)}`);
    }
  }

  /** Names under which the hub may be asked. */
  private names(): ReadonlySet<string> {
    const { join, certificate } = this.components.portal;
    return new Set(['localhost', ...join.names(), ...(certificate?.current().names ?? [])]);
  }

  /** Files of the page; paths of the page itself lead to its one document. */
  private sendPage(exchange: Exchange, files: StaticFiles, allowed: readonly string[]): void {
    const { path, method } = exchange;
    const isRead = method === 'GET' || method === 'HEAD';
    if (allowed.length > 0 || !isRead) {
      const methods = allowed.length > 0 ? allowed : ['GET', 'HEAD'];
      throw new HttpError(405, 'HTTP_METHOD_NOT_ALLOWED', `This path takes ${methods.join(', ')}.`, {
        headers: ['Allow', methods.join(', ')],
      });
    }
    if (files.has(path) && path !== '/index.html') {
      files.send(exchange, path);
      return;
    }
    const isPage = !path.startsWith('/api/') && !/\.\w+$/.test(path);
    if (!isPage && path !== '/index.html') throw new HttpError(404, 'HTTP_NOT_FOUND', 'There is nothing at this path.');
    const tlsPort = this.server?.port(true);
    if (exchange.isSecure || tlsPort === undefined || PLAIN_PAGES.has(path)) {
      files.send(exchange, '/index.html');
      return;
    }
    const asked = hostOf(exchange.request.headers.host ?? '') ?? exchange.local;
    const host = this.components.portal.certificate?.hostFor(asked) ?? asked;
    const url = exchange.request.url?.startsWith('/') ? exchange.request.url : path;
    exchange.sendNothing(307, ['Location', `https://${bracketed(host)}:${tlsPort}${url}`]);
  }
}
