import type { InfoHash } from '@atoll/identity';

/**
 * What a client says it is (protocol/dht-proxy.md 10). `none`: it said nothing, or something unknown; the push layer
 * decides whether a gateway may take it as iOS (trap 7) or refuses it.
 */
export type PushPlatform = 'android' | 'ios' | 'unifiedpush' | 'none';

/** Decides about a phone waking up with or without the user: only values of priority 0 are `high`. */
export type PushPriority = 'high' | 'normal';

/** Where a push goes to. Tokens are secrets of a sort: they are never logged (trap 16). */
export interface PushTarget {
  /** FCM token, APNs token in hex, or the UnifiedPush endpoint. */
  readonly token: string;
  readonly platform: PushPlatform;
  /** APNs topic, or `p256dh|auth` of a UnifiedPush client; empty: the operator's default. */
  readonly topic: string;
}

/** What names a subscription (protocol/dht-proxy.md 10). */
export interface SubscriptionName {
  /** The DHT key that is listened to. */
  readonly key: InfoHash;
  readonly token: string;
  /** Which account on the device; handed back as `to`. */
  readonly clientId: string;
}

/** One phone that wants to be woken for one key. */
export interface PushSubscription extends SubscriptionName, PushTarget {
  /** The client's session, handed back as `s`; a renewal brings the current one. */
  readonly sessionId: string;
  /** When it ends unless it is renewed, UNIX ms. */
  readonly expiresUnixMs: number;
}

/** A subscription as asked for: its end is decided by the push layer. */
export type SubscribeRequest = Omit<PushSubscription, 'expiresUnixMs'>;

/** What became of a request. */
export type SubscribeResult =
  /** It is stored: `new` if there was none of this name, else `renewed` with session, platform, topic and end anew. */
  | { readonly outcome: 'new' | 'renewed'; readonly subscription: PushSubscription }
  /** Not stored. `status` is the HTTP status of the answer (400, 403, 429, 501, 503), `reason` a sentence. */
  | { readonly outcome: 'refused'; readonly status: number; readonly reason: string };

/**
 * The flat object of a push (protocol/dht-proxy.md 14.1). All members but `t` and `pong` are strings; a member left out
 * is not sent. The three kinds: values (`key`, `t`, `exp`, `ids`, `pt`), timeout (`timeout`, `vid`), pong.
 */
export interface PushPayload {
  /** Client id. */
  readonly to: string;
  /** Session id. */
  readonly s?: string | undefined;
  /** DHT key, 40 hex digits. */
  readonly key?: string | undefined;
  /** Time of the server, UNIX ms. */
  readonly t?: number | undefined;
  /** Id of the one value that is gone. */
  readonly exp?: string | undefined;
  /** Ids of the values, decimal, separated by commas. */
  readonly ids?: string | undefined;
  /** Push types of the values, in the order of `ids`. */
  readonly pt?: string | undefined;
  /** Key whose listen or permanent put ends in two hours. */
  readonly timeout?: string | undefined;
  /** The permanent put that ends, decimal. */
  readonly vid?: string | undefined;
  readonly pong?: true | undefined;
}

/** Pushes attempted since the start. */
export interface PushCount {
  readonly high: number;
  readonly normal: number;
}

/** Numbers for `GET /node/stats` (protocol/dht-proxy.md 5). */
export interface PushStats {
  /** Distinct tokens with a subscription. */
  readonly tokens: number;
  readonly android: PushCount;
  readonly ios: PushCount;
  readonly unifiedPush: PushCount;
}

/** What the push layer tells the server. */
export interface PushEvents {
  /** A subscription is over, by time or because the push service says that the token is dead: stop listening for it. */
  onEnded(subscription: PushSubscription): void;
}

/**
 * The push half of a proxy, as the server sees it. It keeps the subscriptions over a restart, warns a client two hours
 * before its subscription ends (the timeout push of protocol/dht-proxy.md 14.1), ends it 24 hours after the latest
 * renewal, and delivers pushes: it waits, retries and gives up by its own rules. The server listens on the DHT for every
 * subscription and says when a value came or went.
 */
export interface PushService {
  /** Called once, before anything else; returns the subscriptions that survived the last stop. */
  start(events: PushEvents): Promise<readonly PushSubscription[]>;
  /**
   * Stores or renews a subscription. Endpoints and limits are checked here. Nothing is pushed by this.
   *
   * @param address What limits are counted by, the client's address or network.
   */
  subscribe(request: SubscribeRequest, address?: string): SubscribeResult | Promise<SubscribeResult>;
  /** Ends a subscription; false when there was none. `onEnded` is not called for it. */
  unsubscribe(name: SubscriptionName): boolean;
  /**
   * Whether a target would be served at all: undefined, or why not. For permanent puts, which bring a target of their
   * own, and for `pingPush`.
   */
  refusal(target: PushTarget): { readonly status: number; readonly reason: string } | undefined;
  /** Sends a push some time soon; failure is the push layer's affair. For a subscription, or the target of a put. */
  notify(target: PushTarget, payload: PushPayload, priority: PushPriority): void;
  readonly stats: PushStats;
  /** Ends what is under way, as far as a short time allows, and closes the store. */
  stop(): Promise<void>;
}
