import { readFileSync } from 'node:fs';
import { AtollError, type Clock, errorMessage, type Job, type Logger, type RandomSource, Scheduler } from '@atoll/base';
import { AllowList } from './allow-list.js';
import { ApnsRoute, readApnsKey } from './apns.js';
import { EndpointGuard, type GuardComponents } from './endpoint-guard.js';
import { FcmRoute, readServiceAccount } from './fcm.js';
import { GatewayRoute, parseGateway } from './gateway.js';
import type { PostLimits } from './guarded-post.js';
import { machineNames } from './name-resolver.js';
import { PUSH_QUEUE_LIMITS, PushQueue, type QueuedPush } from './push-queue.js';
import type { PushRefusal, PushRoute } from './push-route.js';
import type {
  PushEvents,
  PushPayload,
  PushPriority,
  PushService,
  PushStats,
  PushSubscription,
  PushTarget,
  SubscribeRequest,
  SubscribeResult,
  SubscriptionName,
} from './push-sender.js';
import type { PushServiceSettings } from './push-settings.js';
import { SUBSCRIPTION_LIMITS, SubscriptionStore } from './subscription-store.js';
import { UnifiedPushRoute } from './unified-push.js';
import { VapidKey } from './vapid.js';

/** Life of a subscription after the latest request, ms (protocol/dht-proxy.md 15). */
const SUBSCRIPTION_MS = 24 * 3600_000;
/** The warning comes so long before the end, ms. */
const WARNING_MS = 2 * 3600_000;
/** Subscriptions handled at one go when their time has come, so that the rest of the program gets its turn. */
const AT_ONCE = 500;
/** Looks at the wall clock at least so often, ms: it may have jumped. */
const LOOK_MS = 60_000;
/** Sends under way get so long at a stop, ms. */
const STOP_MS = 2000;
/** Longest client id, session id and topic, bytes. */
const MOST_MEMBER_BYTES = 512;
/** A registration token of Firebase: an instance id, a colon, and a long rest. */
const LOOKS_LIKE_FCM = /^[\w-]{8,64}:[\w-]{64,}$/;

export interface DirectPushComponents {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  /** Ports of the hub's own services, which no endpoint may lead to. */
  readonly ownPorts: () => readonly number[];
}

/** For tests: other places than the vendors', and ways to look like another machine. */
export interface DirectPushOverrides {
  readonly fcmUrl?: string;
  readonly apnsUrl?: string;
  readonly apnsAuthorities?: readonly string[];
  readonly loopbackPorts?: readonly number[];
  readonly names?: GuardComponents;
  readonly postLimits?: PostLimits;
}

/** A route with the queue before it. */
interface Way {
  readonly route: PushRoute;
  readonly queue: PushQueue;
}

/**
 * Push without a gateway process: straight to the distributors of phones, to Firebase and to Apple with the operator's
 * credentials, and for what is left to a gateway if there is one. Keeps the subscriptions in a database.
 */
export class DirectPushService implements PushService {
  private readonly clock: Clock;
  private readonly random: RandomSource;
  private readonly logger: Logger;
  private readonly store: SubscriptionStore;
  private readonly vapidKey: VapidKey;
  private readonly unifiedPush: Way | undefined;
  private readonly fcm: Way | undefined;
  private readonly apns: Way | undefined;
  private readonly gateway: Way | undefined;
  private readonly scheduler = new Scheduler((dueMs) => this.arm(dueMs));
  private readonly attempted = { android: [0, 0], ios: [0, 0], unifiedPush: [0, 0] };
  private readonly whenIdle = new Set<() => void>();
  private events: PushEvents | undefined;
  private nextLook: Job | undefined;
  private timer: NodeJS.Timeout | undefined;
  private timerMs = Number.POSITIVE_INFINITY;
  private isStopped = false;

  /** Reads keys and credentials. Throws what is wrong with the settings, before anything is served. */
  constructor(components: DirectPushComponents, settings: PushServiceSettings, overrides: DirectPushOverrides = {}) {
    const { clock, random, logger } = components;
    this.clock = clock;
    this.random = random;
    this.logger = logger;
    const { fcm, apns, gateway, unifiedPush } = settings;
    const fcmRoute =
      fcm && new FcmRoute(clock, { account: readServiceAccount(fcm.serviceAccountPath), url: overrides.fcmUrl });
    const apnsRoute =
      apns &&
      new ApnsRoute(clock, {
        ...apns,
        key: readApnsKey(apns.keyPath, apns.keyId, apns.teamId),
        url: overrides.apnsUrl,
        authorities: overrides.apnsAuthorities,
      });
    const gatewayRoute = gateway && new GatewayRoute(clock, { ...gateway, url: parseGateway(gateway.server) });
    const allow = new AllowList(unifiedPush.allow);
    const authorities =
      unifiedPush.authorityPath === undefined ? undefined : [readAuthority(unifiedPush.authorityPath)];
    const guard = new EndpointGuard(overrides.names ?? machineNames, {
      allow,
      ownPorts: components.ownPorts,
      isHttpAllowed: unifiedPush.isHttpAllowed,
      loopbackPorts: overrides.loopbackPorts,
    });
    this.vapidKey = VapidKey.loadOrCreate(settings.vapidKeyPath);
    this.store = new SubscriptionStore(settings.databasePath, { ...SUBSCRIPTION_LIMITS, ...settings.limits });
    this.fcm = fcmRoute && this.way(fcmRoute);
    this.apns = apnsRoute && this.way(apnsRoute);
    this.gateway = gatewayRoute && this.way(gatewayRoute);
    if (unifiedPush.isEnabled) {
      const parts = { guard, clock, random, vapidKey: this.vapidKey };
      const options = { contact: settings.contact, authorities, limits: overrides.postLimits };
      this.unifiedPush = this.way(new UnifiedPushRoute(parts, options));
    }
  }

  /** What an app registers with at its distributor, so that only this proxy may push: 65 bytes, base64url (RFC 8292). */
  get vapidPublicKey(): string {
    return this.vapidKey.publicKey;
  }

  /** What became of pushes since the start, by word. */
  get counts(): ReadonlyMap<string, number> {
    const sum = new Map<string, number>();
    for (const { queue } of this.ways()) {
      for (const [word, count] of queue.counts) sum.set(word, (sum.get(word) ?? 0) + count);
    }
    return sum;
  }

  get stats(): PushStats {
    const countOf = ([high = 0, normal = 0]: readonly number[]) => ({ high, normal });
    return {
      tokens: this.store.tokens,
      android: countOf(this.attempted.android),
      ios: countOf(this.attempted.ios),
      unifiedPush: countOf(this.attempted.unifiedPush),
    };
  }

  async start(events: PushEvents): Promise<readonly PushSubscription[]> {
    // Nobody listens for these yet, so nobody is told.
    while (this.store.removeExpired(this.clock.unixMs(), AT_ONCE).length > 0);
    this.events = events;
    this.look();
    return this.store.all();
  }

  subscribe(request: SubscribeRequest, address = ''): SubscribeResult {
    const refused = this.refusal(request);
    if (refused !== undefined) return { outcome: 'refused', ...refused };
    const members = [request.clientId, request.sessionId, request.topic];
    if (members.some((member) => Buffer.byteLength(member) > MOST_MEMBER_BYTES)) {
      return { outcome: 'refused', status: 400, reason: 'a member of the subscription is too long' };
    }
    const expiresUnixMs = this.clock.unixMs() + SUBSCRIPTION_MS;
    const outcome = this.store.put(request, Buffer.from(address).toString('hex'), expiresUnixMs);
    if (typeof outcome === 'object') return { outcome: 'refused', status: 429, reason: outcome.full };
    this.scheduleLook();
    return { outcome, subscription: { ...request, expiresUnixMs } };
  }

  unsubscribe(name: SubscriptionName): boolean {
    return this.store.remove(name);
  }

  refusal(target: PushTarget): PushRefusal | undefined {
    const way = this.wayOf(target);
    if (way === undefined) {
      const what = target.platform === 'none' ? 'phones that do not say what they are' : `“${target.platform}” phones`;
      return { status: 501, reason: `this proxy has no push for ${what}` };
    }
    return way.route.refusal(target);
  }

  notify(target: PushTarget, payload: PushPayload, priority: PushPriority): void {
    const way = this.wayOf(target);
    if (way === undefined || way.route.refusal(target) !== undefined) return;
    const isAndroid = target.platform === 'android' || way === this.fcm;
    const kind = way === this.unifiedPush ? 'unifiedPush' : isAndroid ? 'android' : 'ios';
    const attempted = this.attempted[kind];
    const at = priority === 'high' ? 0 : 1;
    attempted[at] = (attempted[at] ?? 0) + 1;
    way.queue.offer({ target, payload, priority }, way.route.laneOf(target));
  }

  async stop(): Promise<void> {
    if (this.isStopped) return;
    this.isStopped = true;
    clearTimeout(this.timer);
    for (const { queue } of this.ways()) queue.stop();
    if (this.ways().some(({ queue }) => queue.underWay > 0)) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, STOP_MS);
        this.whenIdle.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    for (const { route } of this.ways()) route.close();
    this.store.close();
  }

  /** Which way a target goes: directly where there are credentials, else through the gateway. */
  private wayOf({ platform, token }: PushTarget): Way | undefined {
    switch (platform) {
      case 'unifiedpush':
        return this.unifiedPush;
      case 'android':
        return this.fcm ?? this.gateway;
      case 'ios':
        return this.apns ?? this.gateway;
      case 'none':
        // Jami 13.7 names no platform (trap 7). Tokens that look like what they are go there; what is left is taken as
        // iOS, as the reference does.
        if (/^https?:\/\//i.test(token)) return this.unifiedPush;
        if (this.fcm !== undefined && LOOKS_LIKE_FCM.test(token)) return this.fcm;
        return this.apns ?? this.gateway;
    }
  }

  private way(route: PushRoute): Way {
    const { clock, random, scheduler } = this;
    const start = (push: QueuedPush): void => {
      void route.send(push.message).then((outcome) => {
        queue.finish(push, outcome);
        if (this.ways().every((way) => way.queue.underWay === 0)) for (const done of this.whenIdle) done();
      });
    };
    const queue: PushQueue = new PushQueue(
      { clock, random, scheduler, start, onGone: (token) => this.tokenIsGone(token) },
      { ...PUSH_QUEUE_LIMITS, sendsPerLane: route.sendsPerLane },
    );
    return { route, queue };
  }

  private ways(): Way[] {
    return [this.unifiedPush, this.fcm, this.apns, this.gateway].filter((way) => way !== undefined);
  }

  private tokenIsGone(token: string): void {
    if (this.isStopped || !this.store.has(token)) return;
    const over = this.store.removeToken(token);
    this.logger.info(`A push service does not know a phone any more; ${over.length} subscriptions of it ended.`);
    for (const subscription of over) this.events?.onEnded(subscription);
  }

  /** Ends what is over and warns of what soon is. */
  private look(): void {
    if (this.isStopped) return;
    const now = this.clock.unixMs();
    try {
      for (const subscription of this.store.removeExpired(now, AT_ONCE)) this.events?.onEnded(subscription);
      for (const subscription of this.store.markEnding(now + WARNING_MS, AT_ONCE)) {
        const { key, sessionId, clientId } = subscription;
        this.notify(subscription, { timeout: key.toString(), s: sessionId, to: clientId }, 'normal');
      }
    } catch (error) {
      this.logger.error(`The push subscriptions cannot be kept: ${errorMessage(error)}`);
    }
    this.scheduleLook();
  }

  private scheduleLook(): void {
    if (this.isStopped) return;
    const { endUnixMs, unsaidEndUnixMs } = this.store.next();
    const inMs = Math.min(endUnixMs, unsaidEndUnixMs - WARNING_MS) - this.clock.unixMs();
    const dueMs = this.clock.nowMs() + Math.max(0, Math.min(inMs, LOOK_MS));
    if (this.nextLook === undefined) this.nextLook = this.scheduler.at(dueMs, () => this.look());
    else this.scheduler.move(this.nextLook, dueMs);
  }

  private arm(dueMs: number): void {
    if (this.isStopped || dueMs >= this.timerMs || dueMs === Number.POSITIVE_INFINITY) return;
    this.timerMs = dueMs;
    clearTimeout(this.timer);
    this.timer = setTimeout(
      () => {
        this.timerMs = Number.POSITIVE_INFINITY;
        this.scheduler.runDue(this.clock.nowMs());
        this.arm(this.scheduler.nextDueMs);
      },
      Math.max(0, Math.min(dueMs - this.clock.nowMs(), 0x7fff_ffff)),
    );
    // Whoever serves HTTP keeps the process alive, not this.
    this.timer.unref();
  }
}

function readAuthority(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new AtollError(
      'PUSH_CREDENTIALS_UNUSABLE',
      `The file of authorities ${path} cannot be read: ${errorMessage(cause)}.`,
      {
        cause,
      },
    );
  }
}
