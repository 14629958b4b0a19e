import type { Clock } from '@atoll/base';
import { type DhtNode, Query, Value } from '@atoll/dht';
import type { InfoHash } from '@atoll/identity';

/** A node is looked at so often, ms. */
const LOOK_MS = 1000;
/** The probe through the DHT is made so often while it succeeds, and while it fails, ms. */
const PROBE_MS = 30_000;
const PROBE_AGAIN_MS = 3000;
/** A probe without an answer by then failed, ms. */
const PROBE_LIMIT_MS = 20_000;
/** So many failed probes in a row, and the node is dead. */
const MAX_FAILED_PROBES = 2;
/** Probes are stored for one minute only (protocol/dht.md 12.1, ICE candidates). */
const SHORT_LIVED_TYPE = 5;

export interface NodeHealthParts {
  readonly clock: Clock;
  /** The node of the moment: it may be replaced by another while the proxy runs. */
  readonly node: () => DhtNode | undefined;
  /** Serve although no other node is there: on a LAN whose only machine is the hub, phones still reach each other. */
  readonly servesAlone: boolean;
  /** It cannot be used any more. */
  readonly onDead: (reason: string) => void;
  /** It can be used, for the first time or again; `isOther`: it is another node than before. */
  readonly onAlive: (node: DhtNode, isOther: boolean) => void;
}

/**
 * Whether the node behind the proxy is of use, so that nothing is promised that is not kept: known from its
 * connectivity at any moment, and proven by a put and a get through the DHT every half minute.
 */
export class NodeHealth {
  private readonly parts: NodeHealthParts;
  private readonly probeKey: InfoHash;
  private timer: NodeJS.Timeout | undefined;
  private current: DhtNode | undefined;
  private last: DhtNode | undefined;
  private fault: string | undefined = 'The DHT node is being started.';
  private failedProbes = 0;
  private nextProbeMs = 0;
  private isProbing = false;

  constructor(parts: NodeHealthParts, probeKey: InfoHash) {
    this.parts = parts;
    this.probeKey = probeKey;
  }

  start(): void {
    this.look();
    this.timer = setInterval(() => this.look(), LOOK_MS);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** The node, when it is of use now. */
  get node(): DhtNode | undefined {
    return this.fault === undefined ? this.current : undefined;
  }

  /** Why it is of no use. */
  get reason(): string {
    return this.fault ?? '';
  }

  /** No other node is there, and that is well. */
  get isAlone(): boolean {
    return this.current !== undefined && !isConnected(this.current);
  }

  /** Looks now. */
  look(): void {
    const node = this.parts.node();
    if (node !== this.current) {
      if (this.fault === undefined) this.died('The DHT node was replaced by another.');
      this.current = node;
      this.failedProbes = 0;
      this.nextProbeMs = 0;
    }
    const fault = this.faultOf(node);
    if (fault !== undefined) {
      if (this.fault === undefined) this.died(fault);
      this.fault = fault;
    } else if (this.fault !== undefined && node !== undefined) {
      this.fault = undefined;
      const isOther = this.last !== node;
      this.last = node;
      this.parts.onAlive(node, isOther);
    }
    const nowMs = this.parts.clock.nowMs();
    if (node !== undefined && !this.isProbing && isConnected(node) && nowMs >= this.nextProbeMs) void this.probe(node);
  }

  private faultOf(node: DhtNode | undefined): string | undefined {
    if (node === undefined) return 'The DHT node is not running.';
    if (isConnected(node)) {
      return this.failedProbes < MAX_FAILED_PROBES ? undefined : 'A test value did not come back from the DHT.';
    }
    this.failedProbes = 0;
    return this.parts.servesAlone ? undefined : node.health.reason;
  }

  private died(reason: string): void {
    this.fault = reason;
    this.parts.onDead(reason);
  }

  private async probe(node: DhtNode): Promise<void> {
    this.isProbing = true;
    const isWell = await this.roundTrip(node);
    this.isProbing = false;
    if (node !== this.current) return;
    this.failedProbes = isWell ? 0 : this.failedProbes + 1;
    this.nextProbeMs = this.parts.clock.nowMs() + (isWell ? PROBE_MS : PROBE_AGAIN_MS);
    this.look();
  }

  /** A value goes out, and the nodes that took it answer for it. */
  private roundTrip(node: DhtNode): Promise<boolean> {
    const { clock } = this.parts;
    const value = Value.plain({ id: 1n, type: SHORT_LIVED_TYPE, data: String(clock.unixMs()) });
    return new Promise((resolve) => {
      let cancelGet = (): void => {};
      const limit = setTimeout(() => finish(false), PROBE_LIMIT_MS);
      limit.unref();
      const finish = (isWell: boolean): void => {
        clearTimeout(limit);
        cancelGet();
        resolve(isWell);
      };
      node.core.put(this.probeKey, value, {}, (isStored) => {
        if (!isStored) {
          finish(false);
          return;
        }
        cancelGet = node.core.get(this.probeKey, Query.all, { onDone: finish });
      });
    });
  }
}

function isConnected(node: DhtNode): boolean {
  for (const state of node.connectivity.values()) if (state === 'connected') return true;
  return false;
}
