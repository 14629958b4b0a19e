import { type Clock, type Logger, silentLogger, systemClock, systemRandom } from '@atoll/base';
import { type DhtNode, Query } from '@atoll/dht';
import { InfoHash } from '@atoll/identity';
import { KeyWatches } from '../core/key-watches.js';
import { type PermanentPut, PermanentPuts } from '../core/permanent-puts.js';
import { PushListens } from '../core/push-listens.js';
import type { PushService } from '../push/push-sender.js';
import { RealTimeScheduler } from '../real-time-scheduler.js';
import { DEFAULT_PROXY_LIMITS, LimitKeeper, type ProxyLimits, type Refusal } from './limits.js';
import { ListenStreams } from './listen-streams.js';
import { NodeHealth } from './node-health.js';
import { PermanentPutFile } from './permanent-put-file.js';

export interface DhtProxyComponents {
  /** The node of the moment; undefined while it is being started. */
  readonly node: () => DhtNode | undefined;
  /** Wakes phones; without it subscriptions are answered with 501. */
  readonly push?: PushService | undefined;
  readonly logger?: Logger | undefined;
}

export interface DhtProxyOptions {
  /** Database of the permanent puts; in memory only when left out. */
  readonly statePath?: string | undefined;
  readonly limits?: Partial<ProxyLimits> | undefined;
  /** Serve although no other node is there: right for the only node of a LAN. */
  readonly servesAlone?: boolean | undefined;
  /** Let clients sign and encrypt with the node's own identity (protocol/dht-proxy.md 12). */
  readonly isIdentityOpen?: boolean | undefined;
  /** Time between signs of life on idle listens, s. */
  readonly heartbeatSeconds?: number | undefined;
}

/** Seconds over which requests are counted for the rate. */
const RATE_SECONDS = 60;

/**
 * A DHT proxy without its sockets: what all its ports share. One listen on the DHT per key, permanent puts and
 * subscriptions that survive a restart, limits, and the health of the node.
 */
export class DhtProxy {
  readonly clock: Clock = systemClock;
  readonly logger: Logger;
  readonly health: NodeHealth;
  readonly watches: KeyWatches;
  readonly streams: ListenStreams;
  readonly puts: PermanentPuts;
  readonly pushes: PushListens | undefined;
  readonly push: PushService | undefined;
  readonly keeper: LimitKeeper;
  readonly isIdentityOpen: boolean;
  readonly heartbeatSeconds: number;
  readonly startedUnixMs: number;
  private readonly time = new RealTimeScheduler();
  private readonly putFile: PermanentPutFile;
  private readonly rate = { sinceMs: 0, requests: 0, perSecond: 0 };

  constructor(components: DhtProxyComponents, options: DhtProxyOptions = {}) {
    this.logger = components.logger ?? silentLogger;
    this.push = components.push;
    this.isIdentityOpen = options.isIdentityOpen ?? false;
    this.keeper = new LimitKeeper(this.clock, { ...DEFAULT_PROXY_LIMITS, ...options.limits });
    this.startedUnixMs = this.clock.unixMs();
    this.watches = new KeyWatches((key, callback) => this.health.node?.core.listen(key, Query.all, callback));
    this.streams = new ListenStreams(this.clock, this.keeper.limits, {
      heartbeatSeconds: options.heartbeatSeconds,
      onDead: (count) => this.logger.info(`${count} listeners are gone without a word; their listens are closed.`),
    });
    this.heartbeatSeconds = this.streams.heartbeatSeconds;
    this.putFile = new PermanentPutFile(options.statePath ?? ':memory:');
    this.puts = new PermanentPuts({
      clock: this.clock,
      scheduler: this.time.scheduler,
      store: this.putFile,
      onWarning: (put) => this.warn(put),
      onEnded: ({ key, value }) => this.health.node?.core.cancelPut(key, value.id),
    });
    this.pushes =
      components.push === undefined ? undefined : new PushListens(this.clock, this.watches, components.push);
    this.health = new NodeHealth(
      {
        clock: this.clock,
        node: components.node,
        servesAlone: options.servesAlone ?? false,
        onDead: (reason) => {
          this.logger.warn(`The DHT proxy stops to serve: ${reason}`);
          this.watches.endAll();
        },
        onAlive: (node, isOther) => this.nodeIsThere(node, isOther),
      },
      InfoHash.of(systemRandom.bytes(20)),
    );
  }

  /** Takes up what survived the last stop, and begins to look at the node. */
  async start(): Promise<void> {
    this.puts.restore();
    this.health.start();
    await this.pushes?.start();
    this.streams.start();
  }

  /** Ends every listen in order and closes the stores. */
  async stop(): Promise<void> {
    this.health.stop();
    this.streams.stop();
    for (const stream of [...this.streams.all()]) stream.finish();
    await this.push?.stop();
    this.time.close();
    this.putFile.close();
  }

  /** Counts a request, for the statistics. */
  countRequest(): void {
    this.rate.requests++;
  }

  /** Requests per second lately. */
  get requestRate(): number {
    const nowMs = this.clock.nowMs();
    const seconds = (nowMs - this.rate.sinceMs) / 1000;
    if (seconds >= RATE_SECONDS || this.rate.sinceMs === 0) {
      this.rate.perSecond = this.rate.sinceMs === 0 ? 0 : this.rate.requests / seconds;
      this.rate.requests = 0;
      this.rate.sinceMs = nowMs;
    }
    return this.rate.perSecond;
  }

  /** The node if it is of use; else the refusal of whatever needs it. */
  usableNode(): DhtNode | Refusal {
    return this.health.node ?? { status: 503, reason: this.health.reason };
  }

  private nodeIsThere(node: DhtNode, isOther: boolean): void {
    this.logger.info('The DHT proxy serves.');
    if (isOther) {
      for (const { key, value } of this.puts.all()) node.core.put(key, value, { isPermanent: true }, () => {});
    }
    this.pushes?.listenAgain();
  }

  private warn({ key, value, owner }: PermanentPut): void {
    if (this.push === undefined || this.push.refusal(owner) !== undefined) return;
    const session = owner.sessionId === '' ? {} : { s: owner.sessionId };
    const payload = { ...session, timeout: key.toString(), to: owner.clientId, vid: String(value.id) };
    this.push.notify(owner, payload, 'normal');
  }
}

/** Whether {@link DhtProxy.usableNode} gave a refusal. */
export function isRefusal(result: DhtNode | Refusal): result is Refusal {
  return 'status' in result;
}
