import { Metrics } from '@atoll/http';
import type { PortalComponents } from './portal.js';

/**
 * The whole hub for Prometheus, made at each reading from what runs at that moment, so that a service which was started
 * anew is never shown as it was before.
 */
export async function exposeMetrics({
  measure,
  services,
  certificate,
  startedMs,
  hubs,
}: PortalComponents): Promise<string> {
  const metrics = new Metrics();
  const gauge = (name: string, help: string, value: number): void => metrics.gauge(name, help).set(value);
  const figures = await measure.figures();
  const traffic = measure.traffic();

  gauge('atoll_start_time_seconds', 'When the hub was started, Unix time.', startedMs / 1000);
  const on = metrics.gauge('atoll_service_on', 'Whether a service is switched on.', ['service']);
  const up = metrics.gauge('atoll_service_up', 'Whether a service answered its last probe.', ['service']);
  const restarts = metrics.counter('atoll_service_restarts_total', 'Restarts after failures.', ['service']);
  for (const service of services()) {
    on.with(service.name).set(service.isOn ? 1 : 0);
    up.with(service.name).set(service.isWell ? 1 : 0);
    restarts.with(service.name).increment(service.restarts);
  }
  gauge('atoll_dht_good_nodes', 'Good nodes of the routing tables.', figures.nodes);
  gauge('atoll_dht_values', 'Values stored.', figures.values);
  gauge('atoll_dht_storage_bytes', 'Bytes of values stored.', figures.storageBytes);
  gauge('atoll_listens', 'Listens of other nodes and of proxy clients.', figures.listens);
  gauge('atoll_proxy_clients', 'Addresses that are connected to the DHT proxy.', figures.proxyClients);
  gauge('atoll_push_subscriptions', 'Devices that are woken by push.', figures.pushSubscriptions);
  gauge('atoll_names', 'Names registered.', figures.names);
  gauge('atoll_turn_allocations', 'Allocations of the TURN server.', figures.allocations);
  gauge('atoll_hubs', 'Other hubs on this network.', hubs().length);
  const bytes = metrics.counter('atoll_traffic_bytes_total', 'Bytes of all services.', ['direction']);
  bytes.with('in').increment(traffic.inBytes);
  bytes.with('out').increment(traffic.outBytes);
  const drops = metrics.counter('atoll_dht_drops_total', 'Datagrams dropped by the DHT node.', ['reason']);
  for (const [reason, count] of measure.dhtDrops()) drops.with(reason).increment(count);
  const turn = metrics.counter('atoll_turn_events_total', 'What the TURN server counted.', ['event']);
  for (const [event, count] of measure.turnEvents()) turn.with(event).increment(count);
  if (certificate !== undefined) {
    gauge(
      'atoll_certificate_expiry_seconds',
      'When the certificate ends, Unix time.',
      certificate.current().notAfterMs / 1000,
    );
  }
  gauge('process_resident_memory_bytes', 'Memory of the process.', figures.residentBytes);
  metrics
    .counter('process_cpu_seconds_total', 'Processor time of the process.')
    .increment((process.cpuUsage().user + process.cpuUsage().system) / 1e6);
  return metrics.expose();
}
