import { parseIp } from '@atoll/base';
import type { DhtService } from './dht-service.js';
import type { NamesService } from './names-service.js';
import type { Figures, NetworkFacts, ReachFacts } from './portal/api.js';
import type { ProxyService } from './proxy-service.js';
import type { TurnService } from './turn-service.js';

/** A device that was heard within this time counts as there, ms. */
const LATELY_MS = 10 * 60_000;
/** Rates are of at least so long a time, ms. */
const MIN_RATE_MS = 1000;

/** The services of the moment; their supervisors replace them. */
export interface ServicesNow {
  readonly dht?: DhtService | undefined;
  readonly proxy?: ProxyService | undefined;
  readonly names?: NamesService | undefined;
  readonly turn?: TurnService | undefined;
}

interface Bytes {
  readonly inBytes: number;
  readonly outBytes: number;
}

/** Looks at the services and says what it sees, in numbers. */
export class Measure {
  private readonly services: () => ServicesNow;
  private readonly nowMs: () => number;
  private last: Bytes & { readonly atMs: number };
  private rate: Bytes = { inBytes: 0, outBytes: 0 };

  constructor(services: () => ServicesNow, nowMs: () => number) {
    this.services = services;
    this.nowMs = nowMs;
    this.last = { inBytes: 0, outBytes: 0, atMs: nowMs() };
  }

  async figures(): Promise<Figures> {
    const { dht, proxy, names, turn } = this.services();
    const core = dht?.node?.core;
    const nowMs = this.nowMs();
    let nodes = 0;
    for (const family of [4, 6] as const) nodes += core?.table(family)?.count(nowMs).good ?? 0;
    const counts = proxy?.counts;
    this.updateRate(nowMs);
    return {
      nodes,
      values: core?.storage.valueCount ?? 0,
      storageBytes: core?.storage.totals.bytes ?? 0,
      listens: (core?.sizes.remoteListeners ?? 0) + (counts?.listens ?? 0),
      proxyClients: counts?.clients ?? 0,
      pushSubscriptions: counts?.pushSubscriptions ?? 0,
      names: (await names?.store?.counts())?.names ?? 0,
      allocations: turn?.server?.allocations ?? 0,
      inBytesPerSecond: this.rate.inBytes,
      outBytesPerSecond: this.rate.outBytes,
      residentBytes: process.memoryUsage.rss(),
    };
  }

  /** Bytes since the services started. */
  traffic(): Bytes {
    const { dht, proxy, names, turn } = this.services();
    const sum = { inBytes: 0, outBytes: 0 };
    for (const part of [dht?.node?.traffic, proxy?.server?.traffic, names?.traffic]) {
      sum.inBytes += part?.inBytes ?? 0;
      sum.outBytes += part?.outBytes ?? 0;
    }
    const { clients, peers } = turn?.server?.statistics().traffic ?? {};
    sum.inBytes += (clients?.receivedBytes ?? 0) + (peers?.receivedBytes ?? 0);
    sum.outBytes += (clients?.sentBytes ?? 0) + (peers?.sentBytes ?? 0);
    return sum;
  }

  /** Datagrams that the DHT node dropped, by reason. */
  dhtDrops(): Iterable<readonly [string, number]> {
    return this.services().dht?.node?.core.drops ?? [];
  }

  /** What the TURN server counted, by name. */
  turnEvents(): readonly (readonly [string, number])[] {
    const counters = this.services().turn?.server?.statistics().counters ?? {};
    return Object.entries(counters).flatMap(([name, count]) =>
      typeof count === 'number'
        ? [[name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), count] as const]
        : [],
    );
  }

  /** The routing table on the key space. */
  keySpace(): NetworkFacts['keySpace'] {
    const node = this.services().dht?.node;
    const nowMs = this.nowMs();
    const nodes: { id: string; isGood: boolean; address: string }[] = [];
    for (const family of [4, 6] as const) {
      for (const bucket of node?.core.table(family)?.buckets ?? []) {
        for (const known of bucket.nodes) {
          nodes.push({ id: known.id.toString(), isGood: known.isGood(nowMs), address: known.endpoint.toString() });
        }
      }
    }
    return { self: node?.id.toString() ?? '0'.repeat(40), nodes };
  }

  /** What was heard of a device lately. */
  reach(address: string): ReachFacts {
    const { dht, proxy, names, turn } = this.services();
    const isLately = (heardMs: number | undefined): boolean =>
      heardMs !== undefined && heardMs > this.nowMs() - LATELY_MS;
    const ip = parseIp(address);
    return {
      address,
      isDhtSeen: ip !== undefined && isLately(dht?.node?.core.heardMs(ip)),
      isTurnSeen: isLately(turn?.server?.heardMs(address)),
      isProxySeen: isLately(proxy?.server?.heardMs(address)),
      isNameServerSeen: isLately(names?.heardMs(address)),
    };
  }

  private updateRate(nowMs: number): void {
    const passedMs = nowMs - this.last.atMs;
    if (passedMs < MIN_RATE_MS) return;
    const traffic = this.traffic();
    const perSecond = (key: keyof Bytes): number =>
      // A service that was started anew counts from nothing.
      Math.max(0, Math.round(((traffic[key] - this.last[key]) * 1000) / passedMs));
    this.rate = { inBytes: perSecond('inBytes'), outBytes: perSecond('outBytes') };
    this.last = { ...traffic, atMs: nowMs };
  }
}
