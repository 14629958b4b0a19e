import { HttpServer, type ListenAddress, type Metrics } from '@atoll/http';
import { answerNoRoute, refusalBody } from './answer.js';
import type { DhtProxy } from './dht-proxy.js';
import { routesOf } from './routes.js';

/** Connections beyond the listens: those of gets and puts. */
const CONNECTIONS_BESIDE_LISTENS = 4096;

export interface ProxyServerOptions {
  /** Ports, plain and TLS. */
  readonly listen: readonly ListenAddress[];
  readonly metrics?: Metrics | undefined;
  /** Reverse proxies that tell who the client is. */
  readonly trustedProxies?: readonly string[] | undefined;
  /** An idle connection without a request is closed after this time, ms. */
  readonly keepAliveMs?: number | undefined;
}

/** Opens the ports of a proxy; all of them share its listens, puts and subscriptions. Fails like {@link HttpServer.open}. */
export function openProxyServer(proxy: DhtProxy, options: ProxyServerOptions): Promise<HttpServer> {
  const { listens, listensPerAddress } = proxy.keeper.limits;
  const { metrics } = options;
  metrics?.gauge('atoll_proxy_listens', 'Open listens.', [], () => proxy.keeper.listens.total);
  metrics?.gauge('atoll_proxy_permanent_puts', 'Permanent puts.', [], () => proxy.puts.size);
  return HttpServer.open(
    { router: routesOf(proxy), logger: proxy.logger, ...(metrics === undefined ? {} : { metrics }) },
    {
      name: 'proxy',
      listen: options.listen,
      maxConnections: listens + CONNECTIONS_BESIDE_LISTENS,
      maxConnectionsPerAddress: listensPerAddress + CONNECTIONS_BESIDE_LISTENS,
      ...(options.keepAliveMs === undefined ? {} : { keepAliveMs: options.keepAliveMs }),
      ...(options.trustedProxies === undefined ? {} : { trustedProxies: options.trustedProxies }),
      errorBody: (_status, _code, message) => refusalBody(message),
      notFound: (exchange) => answerNoRoute(exchange),
    },
  );
}
