import type { Clock, Job, RandomSource, Scheduler } from '@atoll/base';
import type { Connectivity, Health } from '@atoll/dht';
import type { NodeInfo } from '../wire/node-info.js';
import { RetryWait } from './retry-wait.js';

/** What asking a proxy for its node info gave: the info, or a sentence saying why there is none. */
export type InfoAnswer = NodeInfo | string;

export interface ProxyLinkComponents {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: RandomSource;
  /** Asks one proxy `GET /`; never rejects. */
  readonly ask: (proxy: string) => Promise<InfoAnswer>;
  /** The status, the proxy, or both changed. */
  readonly onChange?: ((now: Connectivity, before: Connectivity) => void) | undefined;
  /** A proxy is of use that was not before: put and listen again. */
  readonly onConnected: () => void;
  /** The proxy in use was given up: streams to it are of no use. */
  readonly onLost: () => void;
}

export interface ProxyLinkOptions {
  /** Proxies in the order of preference. */
  readonly proxies: readonly string[];
  /** A proxy that works is asked again so often, ms. */
  readonly checkMs: number;
}

/** A proxy that still looks for its network is asked again so soon, ms. */
const CONNECTING_CHECK_MS = 5000;

/**
 * Which of several proxies is used, and whether it is of use (protocol/dht-proxy.md 16.2, 16.6). Unlike the reference
 * client it asks again in every state, and it leaves a proxy whose node is alone for the next one.
 */
export class ProxyLink {
  private readonly parts: ProxyLinkComponents;
  private readonly options: ProxyLinkOptions;
  private readonly job: Job;
  private readonly wait: RetryWait;
  private index = 0;
  /** Proxies that failed one after the other. */
  private failedInTurn = 0;
  private isAsking = false;
  private isStopped = false;
  private lastFault = 'No proxy has answered yet.';
  private current: Connectivity = 'connecting';
  private answer: NodeInfo | undefined;

  constructor(parts: ProxyLinkComponents, options: ProxyLinkOptions) {
    this.parts = parts;
    this.options = options;
    this.wait = new RetryWait(parts.random);
    this.job = parts.scheduler.at(Number.POSITIVE_INFINITY, () => void this.check());
  }

  /** The proxy in use. */
  get proxy(): string {
    return this.options.proxies[this.index] ?? '';
  }

  get status(): Connectivity {
    return this.current;
  }

  /** The latest answer of the proxy in use. */
  get info(): NodeInfo | undefined {
    return this.answer;
  }

  get health(): Health {
    const { answer } = this;
    if (this.current === 'connected' && answer !== undefined) {
      const good = answer.ipv4.good + answer.ipv6.good;
      return { state: 'online', reason: `The proxy ${this.proxy} answers and knows ${good} good nodes.` };
    }
    return { state: 'offline', reason: this.lastFault };
  }

  /** Asks now: at the start, or because the network changed. */
  checkSoon(): void {
    if (!this.isStopped) this.parts.scheduler.move(this.job, this.parts.clock.nowMs());
  }

  /** A request to `proxy` found no answer at all, or one saying that its node is dead: on to the next proxy. */
  failed(proxy: string, fault: string): void {
    if (proxy !== this.proxy || this.isStopped) return;
    this.lost(fault);
  }

  stop(): void {
    this.isStopped = true;
    this.parts.scheduler.cancel(this.job);
  }

  private async check(): Promise<void> {
    if (this.isAsking || this.isStopped) return;
    this.isAsking = true;
    const { proxy } = this;
    const answer = await this.parts.ask(proxy);
    this.isAsking = false;
    if (this.isStopped) return;
    if (proxy !== this.proxy) {
      // Given up while it was asked.
      this.checkSoon();
      return;
    }
    if (typeof answer === 'string') this.lost(answer);
    else this.answered(answer);
  }

  private answered(answer: NodeInfo): void {
    this.answer = answer;
    const good = answer.ipv4.good + answer.ipv6.good;
    const dubious = answer.ipv4.dubious + answer.ipv6.dubious;
    if (good > 0) {
      this.failedInTurn = 0;
      this.wait.reset();
      const isNew = this.current !== 'connected';
      this.change('connected');
      this.again(this.options.checkMs);
      if (isNew) this.parts.onConnected();
    } else if (dubious > 0 && this.failedInTurn < this.options.proxies.length) {
      this.lastFault = `The proxy ${this.proxy} answers, but its node only looks for its network.`;
      this.change('connecting');
      this.again(CONNECTING_CHECK_MS);
    } else this.lost(`The proxy ${this.proxy} answers, but its node knows no other node.`);
  }

  private lost(fault: string): void {
    this.lastFault = fault;
    this.answer = undefined;
    this.failedInTurn++;
    this.index = (this.index + 1) % this.options.proxies.length;
    // All were tried: wait before the next round.
    const isRoundOver = this.failedInTurn % this.options.proxies.length === 0;
    const wasUp = this.current === 'connected';
    this.change('disconnected');
    this.again(isRoundOver && !(wasUp && this.failedInTurn === 1) ? this.wait.next() : 0);
    this.parts.onLost();
  }

  private again(ms: number): void {
    this.parts.scheduler.move(this.job, this.parts.clock.nowMs() + ms);
  }

  private change(now: Connectivity): void {
    const before = this.current;
    this.current = now;
    if (now !== before) this.parts.onChange?.(now, before);
  }
}
