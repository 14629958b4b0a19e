import type { Clock, Job, RandomSource, Scheduler } from '@atoll/base';
import type { PushMessage, PushOutcome } from './push-route.js';

/** Bounds of a queue; see docs/limits.md. */
export interface PushQueueLimits {
  /** Sends under way in all. */
  readonly sends: number;
  /** Sends under way of one lane, once it has shown that it works; before that one. */
  readonly sendsPerLane: number;
  /** Pushes that wait, in all, of one lane, of one token. */
  readonly waiting: number;
  readonly waitingPerLane: number;
  readonly waitingPerToken: number;
  /** Failures remembered without anything waiting. */
  readonly remembered: number;
}

export const PUSH_QUEUE_LIMITS: Omit<PushQueueLimits, 'sendsPerLane'> = {
  sends: 256,
  waiting: 20_000,
  waitingPerLane: 5000,
  waitingPerToken: 32,
  remembered: 10_000,
};

/** Attempts of one push. */
const MOST_ATTEMPTS = 6;
/** A push is given up when it is so old, ms: the phone has been woken by then, or is beyond reach. */
const MOST_AGE_MS = 3600_000;
/** Wait after the first failure, ms; it doubles with each further one up to the most. */
const FIRST_WAIT_MS = 5000;
const MOST_WAIT_MS = 10 * 60_000;
/** The most that a push service may make us wait, ms. */
const MOST_ASKED_WAIT_MS = 3600_000;
/** A failure is forgotten after, ms, counted from the end of its wait. */
const FORGET_MS = 15 * 60_000;

/** One push in the queue. */
export interface QueuedPush {
  readonly message: PushMessage;
  readonly lane: string;
  readonly madeMs: number;
  attempts: number;
}

export interface PushQueueComponents {
  readonly clock: Clock;
  readonly random: RandomSource;
  /** The owner runs it when its time comes. */
  readonly scheduler: Scheduler;
  /** Begins an attempt. Whoever makes it tells {@link PushQueue.finish} what became of it. */
  start(push: QueuedPush): void;
  /** The push service does not know a token any more. */
  onGone(token: string): void;
}

/** What failed and waits: a token, or all that goes to one host. */
interface BackOff {
  failures: number;
  notBeforeMs: number;
}

interface TokenQueue extends BackOff {
  readonly token: string;
  readonly lane: Lane;
  readonly waiting: QueuedPush[];
  isUnderWay: boolean;
  isReady: boolean;
  job: Job | undefined;
}

interface Lane extends BackOff {
  readonly name: string;
  /** Tokens with a push that could go now, in the order of their turn. */
  readonly ready: TokenQueue[];
  readonly tokens: Map<string, TokenQueue>;
  waiting: number;
  underWay: number;
  /** Whether a push ever passed. A host that has not shown that it works gets one send at a time. */
  hasWorked: boolean;
  job: Job | undefined;
}

/**
 * Pushes on their way to one kind of push service: which one goes next, and when one that failed is tried again.
 *
 * Lanes (hosts) take turns, so that a slow one delays nobody else; within a lane tokens take turns; of one token one
 * push is under way at a time, so that a phone gets them in order. A failure of a token makes that token wait, a failure
 * of the host everything that goes there. Everything is bounded; where a token has too many waiting, its oldest
 * of normal priority is dropped, else its oldest, since the newest says the most.
 */
export class PushQueue {
  /** What happened, by word. */
  readonly counts = new Map<string, number>();
  private readonly components: PushQueueComponents;
  private readonly limits: PushQueueLimits;
  private readonly lanes = new Map<string, Lane>();
  /** Lanes that could send right now, in the order of their turn. */
  private readonly turns = new Set<Lane>();
  /** Tokens without work whose failure is remembered, the oldest first. */
  private readonly idle = new Set<TokenQueue>();
  private waiting = 0;
  private underWayCount = 0;
  private isStopped = false;

  constructor(components: PushQueueComponents, limits: PushQueueLimits) {
    this.components = components;
    this.limits = limits;
  }

  /** Sends under way. */
  get underWay(): number {
    return this.underWayCount;
  }

  /** Pushes that wait. */
  get size(): number {
    return this.waiting;
  }

  /** Takes a push; undefined, or why not. */
  offer(message: PushMessage, laneName: string): string | undefined {
    if (this.isStopped) return this.drop('stopped');
    const lane = this.laneOf(laneName);
    const queue = this.tokenOf(lane, message.target.token);
    if (queue.waiting.length >= this.limits.waitingPerToken) {
      const normal = queue.waiting.findIndex((push) => push.message.priority === 'normal');
      queue.waiting.splice(Math.max(0, normal), 1);
      this.add(lane, -1);
      this.drop('too many of a token');
    }
    if (lane.waiting >= this.limits.waitingPerLane || this.waiting >= this.limits.waiting) {
      this.settle(queue);
      return this.drop(lane.waiting >= this.limits.waitingPerLane ? 'too many of a host' : 'too many');
    }
    queue.waiting.push({ message, lane: laneName, madeMs: this.components.clock.nowMs(), attempts: 0 });
    this.add(lane, 1);
    if (this.idle.delete(queue)) this.components.scheduler.cancel(queue.job);
    this.makeReady(queue);
    this.pump();
    return undefined;
  }

  /** Tells what became of an attempt. */
  finish(push: QueuedPush, outcome: PushOutcome): void {
    const lane = this.laneOf(push.lane);
    const queue = this.tokenOf(lane, push.message.target.token);
    queue.isUnderWay = false;
    lane.underWay--;
    this.underWayCount--;
    this.count(outcome.kind === 'sent' ? 'sent' : `${outcome.kind}: ${outcome.reason}`);
    switch (outcome.kind) {
      case 'sent':
        queue.failures = 0;
        lane.failures = 0;
        lane.hasWorked = true;
        break;
      case 'gone':
        this.add(lane, -queue.waiting.length);
        queue.waiting.length = 0;
        queue.failures = 0;
        this.components.onGone(queue.token);
        break;
      case 'refused':
        this.backOff(queue, undefined);
        break;
      case 'later':
        this.backOff(outcome.scope === 'lane' ? lane : queue, outcome.afterMs);
        if (!this.isStopped && push.attempts < MOST_ATTEMPTS && !this.isTooOld(push)) {
          queue.waiting.unshift(push);
          this.add(lane, 1);
        } else this.drop('given up');
    }
    this.makeReady(queue);
    this.settle(queue);
    this.consider(lane);
    this.pump();
  }

  /** Starts nothing more and forgets what waits. */
  stop(): void {
    this.isStopped = true;
    this.turns.clear();
    this.components.scheduler.clear();
    for (const lane of this.lanes.values()) {
      lane.ready.length = 0;
      for (const queue of lane.tokens.values()) queue.waiting.length = 0;
      lane.waiting = 0;
    }
    this.waiting = 0;
  }

  private pump(): void {
    while (!this.isStopped && this.underWayCount < this.limits.sends) {
      const lane = this.turns.values().next().value;
      if (lane === undefined) return;
      // To the end of the row: turns are taken by single sends.
      this.turns.delete(lane);
      this.startNext(lane);
      this.consider(lane);
    }
  }

  /** Puts a lane into the row of those that could send, or takes it out. */
  private consider(lane: Lane): void {
    const most = lane.hasWorked ? this.limits.sendsPerLane : 1;
    const isWaiting = lane.notBeforeMs > this.components.clock.nowMs();
    if (lane.ready.length > 0 && lane.underWay < most && !isWaiting) this.turns.add(lane);
    else this.turns.delete(lane);
  }

  private startNext(lane: Lane): void {
    const queue = lane.ready.shift();
    if (queue === undefined) return;
    queue.isReady = false;
    let push = queue.waiting.shift();
    while (push !== undefined && this.isTooOld(push)) {
      this.add(lane, -1);
      this.drop('given up');
      push = queue.waiting.shift();
    }
    if (push === undefined) {
      this.settle(queue);
      return;
    }
    this.add(lane, -1);
    queue.isUnderWay = true;
    lane.underWay++;
    this.underWayCount++;
    push.attempts++;
    this.components.start(push);
  }

  private makeReady(queue: TokenQueue): void {
    const { scheduler, clock } = this.components;
    if (queue.isReady || queue.isUnderWay || queue.waiting.length === 0 || this.isStopped) return;
    if (queue.notBeforeMs > clock.nowMs()) {
      scheduler.cancel(queue.job);
      queue.job = scheduler.at(queue.notBeforeMs, () => {
        this.makeReady(queue);
        this.pump();
      });
      return;
    }
    queue.isReady = true;
    queue.lane.ready.push(queue);
    this.consider(queue.lane);
  }

  private backOff(what: TokenQueue | Lane, askedMs: number | undefined): void {
    const { clock, random, scheduler } = this.components;
    what.failures++;
    const own = Math.min(MOST_WAIT_MS, FIRST_WAIT_MS * 2 ** (what.failures - 1)) * random.uniform(0.5, 1);
    const waitMs = Math.max(own, Math.min(askedMs ?? 0, MOST_ASKED_WAIT_MS));
    what.notBeforeMs = Math.max(what.notBeforeMs, clock.nowMs() + waitMs);
    if (!('ready' in what)) return;
    scheduler.cancel(what.job);
    what.job = scheduler.at(what.notBeforeMs, () => {
      this.consider(what);
      this.pump();
    });
  }

  /** A token without work is forgotten, at once when it is in order, else when its failure is old enough. */
  private settle(queue: TokenQueue): void {
    if (queue.isUnderWay || queue.waiting.length > 0) return;
    const { scheduler, clock } = this.components;
    scheduler.cancel(queue.job);
    if (Math.max(queue.failures, queue.lane.failures) === 0 || this.isStopped) {
      this.forget(queue);
      return;
    }
    this.idle.add(queue);
    const until = Math.max(queue.notBeforeMs, queue.lane.notBeforeMs, clock.nowMs()) + FORGET_MS;
    queue.job = scheduler.at(until, () => this.forget(queue));
    const oldest = this.idle.values().next().value;
    if (this.idle.size > this.limits.remembered && oldest !== undefined) this.forget(oldest);
  }

  private forget(queue: TokenQueue): void {
    const { lane } = queue;
    this.components.scheduler.cancel(queue.job);
    this.idle.delete(queue);
    if (queue.isReady) lane.ready.splice(lane.ready.indexOf(queue), 1);
    queue.isReady = false;
    lane.tokens.delete(queue.token);
    if (lane.tokens.size > 0) return;
    this.components.scheduler.cancel(lane.job);
    this.turns.delete(lane);
    this.lanes.delete(lane.name);
  }

  private laneOf(name: string): Lane {
    let lane = this.lanes.get(name);
    if (lane === undefined) {
      lane = {
        name,
        ready: [],
        tokens: new Map(),
        waiting: 0,
        underWay: 0,
        hasWorked: false,
        failures: 0,
        notBeforeMs: Number.NEGATIVE_INFINITY,
        job: undefined,
      };
      this.lanes.set(name, lane);
    }
    return lane;
  }

  private tokenOf(lane: Lane, token: string): TokenQueue {
    let queue = lane.tokens.get(token);
    if (queue === undefined) {
      queue = {
        token,
        lane,
        waiting: [],
        isUnderWay: false,
        isReady: false,
        failures: 0,
        notBeforeMs: Number.NEGATIVE_INFINITY,
        job: undefined,
      };
      lane.tokens.set(token, queue);
    }
    return queue;
  }

  private add(lane: Lane, change: number): void {
    lane.waiting += change;
    this.waiting += change;
  }

  private isTooOld(push: QueuedPush): boolean {
    return this.components.clock.nowMs() - push.madeMs > MOST_AGE_MS;
  }

  private drop(reason: string): string {
    this.count(`dropped: ${reason}`);
    return reason;
  }

  private count(word: string): void {
    this.counts.set(word, (this.counts.get(word) ?? 0) + 1);
  }
}
