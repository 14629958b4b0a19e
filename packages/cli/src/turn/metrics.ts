import type { Logger } from '@atoll/base';
import { HttpServer, Metrics, Router } from '@atoll/http';
import type { TurnStatistics } from '@atoll/turn';

/** Figures of coturn by its names, where they mean the same; what only Atoll counts begins with `atoll_turn_`. */
const COUNTERS: readonly (readonly [name: string, help: string, value: (statistics: TurnStatistics) => number])[] = [
  ['stun_binding_request', 'Incoming STUN Binding requests', ({ counters }) => counters.bindingRequests],
  ['stun_binding_response', 'Outgoing STUN Binding responses', ({ counters }) => counters.bindingResponses],
  ['stun_binding_error', 'STUN Binding errors', ({ counters }) => counters.bindingErrors],
  ...(
    [
      ['turn_traffic', 'finished sessions', ({ counters }: TurnStatistics) => counters.clients],
      ['turn_traffic_peer', 'finished sessions, peers', ({ counters }: TurnStatistics) => counters.peers],
      ['turn_total_traffic', 'all sessions', ({ traffic }: TurnStatistics) => traffic.clients],
      ['turn_total_traffic_peer', 'all sessions, peers', ({ traffic }: TurnStatistics) => traffic.peers],
    ] as const
  ).flatMap(
    ([name, what, of]) =>
      [
        [`${name}_rcvp`, `Received packets of ${what}`, (all: TurnStatistics) => of(all).receivedPackets],
        [`${name}_rcvb`, `Received bytes of ${what}`, (all: TurnStatistics) => of(all).receivedBytes],
        [`${name}_sentp`, `Sent packets of ${what}`, (all: TurnStatistics) => of(all).sentPackets],
        [`${name}_sentb`, `Sent bytes of ${what}`, (all: TurnStatistics) => of(all).sentBytes],
      ] as const,
  ),
  ['turn_unauthenticated_401_responses', '401 and 438 answers', ({ counters }) => counters.challenges],
  [
    'turn_unauthenticated_401_dropped_responses',
    'Those kept back by the limit',
    ({ counters }) => counters.challengesDropped,
  ],
  ['atoll_turn_allocations_made', 'Allocations made', ({ counters }) => counters.allocationsMade],
  ['atoll_turn_allocations_refused', 'Allocations refused', ({ counters }) => counters.allocationsRefused],
  ['atoll_turn_wrong_credentials', 'Requests with wrong credentials', ({ counters }) => counters.wrongCredentials],
  ['atoll_turn_dropped_data', 'Data without permission or channel', ({ counters }) => counters.droppedData],
  ['atoll_turn_malformed', 'Messages that could not be decoded', ({ counters }) => sum(counters.malformed.values())],
];

/** The figures of a server as text for Prometheus. */
class TurnMetrics {
  private readonly metrics = new Metrics();
  private readonly told = new Map<string, number>();

  expose(statistics: TurnStatistics): string {
    for (const [name, help, value] of COUNTERS) {
      const now = value(statistics);
      this.metrics.counter(name, help).increment(now - (this.told.get(name) ?? 0));
      this.told.set(name, now);
    }
    const open = this.metrics.gauge('turn_total_allocations', 'Open allocations by protocol', ['type']);
    for (const protocol of ['udp', 'tcp', 'tls', 'dtls']) {
      open.with(protocol.toUpperCase()).set(statistics.allocations.get(protocol) ?? 0);
    }
    return this.metrics.expose();
  }
}

/** Serves the figures at `/metrics`, asking for them each time. */
export async function serveMetrics(
  statistics: () => Promise<TurnStatistics>,
  port: number,
  logger: Logger,
): Promise<HttpServer> {
  const metrics = new TurnMetrics();
  const router = new Router();
  router.on('GET', '/metrics', async (exchange) => {
    exchange.send(200, Metrics.contentType, metrics.expose(await statistics()));
  });
  return HttpServer.open({ router, logger }, { name: 'metrics', listen: [{ port }] });
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
