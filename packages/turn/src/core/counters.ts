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
