/** Packets and bytes in both directions, as coturn counts them. */
export interface Traffic {
  receivedPackets: number;
  receivedBytes: number;
  sentPackets: number;
  sentBytes: number;
}

export function noTraffic(): Traffic {
  return { receivedPackets: 0, receivedBytes: 0, sentPackets: 0, sentBytes: 0 };
}

export function addTraffic(to: Traffic, from: Traffic): void {
  to.receivedPackets += from.receivedPackets;
  to.receivedBytes += from.receivedBytes;
  to.sentPackets += from.sentPackets;
  to.sentBytes += from.sentBytes;
}

/** What one core counted since it was made. */
export interface Counters {
  bindingRequests: number;
  bindingResponses: number;
  bindingErrors: number;
  challenges: number;
  /** Challenges that the rate limit kept back. */
  challengesDropped: number;
  wrongCredentials: number;
  allocationsMade: number;
  allocationsRefused: number;
  /** Data that no permission, no channel or no rule let through. */
  droppedData: number;
  /** Data above a session's bandwidth. */
  droppedOverBandwidth: number;
  /** Data for a stream client that does not read. */
  droppedSlowClient: number;
  /** Messages that could not be decoded, by reason. */
  readonly malformed: Map<string, number>;
  /** Traffic of ended sessions with clients and with peers. */
  readonly clients: Traffic;
  readonly peers: Traffic;
}

/** Figures of one server for metrics: what was counted since the start, and what there is now. */
export interface TurnStatistics {
  readonly counters: Readonly<Counters>;
  /** Traffic of all sessions, those that run included. */
  readonly traffic: { readonly clients: Traffic; readonly peers: Traffic };
  /** Open allocations by the protocol of their client. */
  readonly allocations: ReadonlyMap<string, number>;
}

/** Figures of several processes as those of one server. */
export function sumStatistics(all: Iterable<TurnStatistics>): TurnStatistics {
  const counters = newCounters();
  const traffic = { clients: noTraffic(), peers: noTraffic() };
  const allocations = new Map<string, number>();
  for (const statistics of all) {
    for (const [name, value] of Object.entries(statistics.counters) as [keyof Counters, unknown][]) {
      if (typeof value === 'number') (counters[name] as number) += value;
    }
    for (const [reason, count] of statistics.counters.malformed) {
      counters.malformed.set(reason, (counters.malformed.get(reason) ?? 0) + count);
    }
    for (const side of ['clients', 'peers'] as const) {
      addTraffic(counters[side], statistics.counters[side]);
      addTraffic(traffic[side], statistics.traffic[side]);
    }
    for (const [protocol, count] of statistics.allocations) {
      allocations.set(protocol, (allocations.get(protocol) ?? 0) + count);
    }
  }
  return { counters, traffic, allocations };
}

export function newCounters(): Counters {
  return {
    bindingRequests: 0,
    bindingResponses: 0,
    bindingErrors: 0,
    challenges: 0,
    challengesDropped: 0,
    wrongCredentials: 0,
    allocationsMade: 0,
    allocationsRefused: 0,
    droppedData: 0,
    droppedOverBandwidth: 0,
    droppedSlowClient: 0,
    malformed: new Map(),
    clients: noTraffic(),
    peers: noTraffic(),
  };
}

/** Counts a reason; the reasons are those of the decoder, so there are few. */
export function countMalformed(counters: Counters, reason: string): void {
  counters.malformed.set(reason, (counters.malformed.get(reason) ?? 0) + 1);
}
