import type { Clock } from '@atoll/base';
import type { InfoHash } from '@atoll/identity';
import type {
  PushEvents,
  PushPayload,
  PushService,
  PushSubscription,
  SubscribeRequest,
  SubscribeResult,
  SubscriptionName,
} from '../push/push-sender.js';
import type { KeyWatches, WatchEvent, Watcher } from './key-watches.js';

interface PushListen extends Watcher {
  subscription: PushSubscription;
}

/** The subscriptions of phones, each listening on the DHT and pushing what happens (protocol/dht-proxy.md 10, 14.1). */
export class PushListens implements PushEvents {
  private readonly clock: Clock;
  private readonly watches: KeyWatches;
  private readonly push: PushService;
  private readonly listens = new Map<string, PushListen>();

  constructor(clock: Clock, watches: KeyWatches, push: PushService) {
    this.clock = clock;
    this.watches = watches;
    this.push = push;
  }

  get size(): number {
    return this.listens.size;
  }

  /** Takes up the subscriptions that survived the last stop; each hears at once of what is there. */
  async start(): Promise<void> {
    for (const subscription of await this.push.start(this)) this.add(subscription);
  }

  /** Stores or renews; a new one starts to listen. */
  async subscribe(request: SubscribeRequest, address: string): Promise<SubscribeResult> {
    const result = await this.push.subscribe(request, address);
    if (result.outcome === 'refused') return result;
    const known = this.listens.get(nameOf(result.subscription));
    if (known === undefined) this.add(result.subscription);
    else known.subscription = result.subscription;
    return result;
  }

  unsubscribe(name: SubscriptionName): void {
    this.push.unsubscribe(name);
    this.drop(name);
  }

  /** The push layer says that a subscription is over. */
  onEnded(subscription: PushSubscription): void {
    this.drop(subscription);
  }

  /** The node came back after it was gone: everybody listens anew. */
  listenAgain(): void {
    for (const listen of this.listens.values()) this.watches.watch(listen.subscription.key, listen);
  }

  private add(subscription: PushSubscription): void {
    const listen: PushListen = {
      subscription,
      changed: (event) => this.tell(listen.subscription, event),
      // It stays in the list: see listenAgain.
      ended: () => {},
    };
    this.listens.set(nameOf(subscription), listen);
    this.watches.watch(subscription.key, listen);
  }

  private drop(name: SubscriptionName): void {
    const listen = this.listens.get(nameOf(name));
    if (listen === undefined) return;
    this.listens.delete(nameOf(name));
    this.watches.unwatch(name.key, listen);
  }

  private tell(subscription: PushSubscription, event: WatchEvent): void {
    const isUrgent = !event.isExpired && event.values.some((value) => value.priority === 0);
    this.push.notify(
      subscription,
      valuesPayload(subscription.key, subscription, event, this.clock.unixMs()),
      isUrgent ? 'high' : 'normal',
    );
  }
}

/** Token, key and client id name a subscription; lengths keep them apart. */
function nameOf({ key, token, clientId }: SubscriptionName): string {
  return `${key.binary}${token.length}:${token}${clientId}`;
}

/** What a push says about values that came or went (protocol/dht-proxy.md 14.1). */
function valuesPayload(
  key: InfoHash,
  to: { readonly clientId: string; readonly sessionId: string },
  event: WatchEvent,
  nowUnixMs: number,
): PushPayload {
  const [first, ...more] = event.values;
  const isOneGone = event.isExpired && more.length === 0 && first !== undefined;
  return {
    ...(isOneGone ? { exp: String(first.id) } : {}),
    ids: event.values.map((value) => value.id).join(','),
    key: key.toString(),
    pt: event.values.map((value) => value.pushType).join(','),
    s: to.sessionId,
    t: Math.floor(nowUnixMs),
    to: to.clientId,
  };
}
