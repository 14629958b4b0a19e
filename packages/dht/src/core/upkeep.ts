import type { Clock, RandomSource, Scheduler } from '@atoll/base';
import type { InfoHash } from '@atoll/identity';
import type { MessageEncoder } from '../wire/message-encoder.js';
import { Query } from '../wire/query.js';
import type { Families, FamilyState } from './families.js';
import type { RemoteListeners } from './listeners.js';
import { maintainBuckets, maintainNeighborhood } from './maintenance.js';
import type { NodeRecord } from './node-record.js';
import type { RequestEngine } from './requests.js';

const SWEEP_MS = [2 * 60_000, 6 * 60_000] as const;
const SEARCH_IDLE_MS = 62 * 60_000;

interface UpkeepComponents {
  readonly ownId: InfoHash;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly scheduler: Scheduler;
  readonly families: Families;
  readonly engine: RequestEngine;
  readonly encoder: MessageEncoder;
  readonly listeners: RemoteListeners;
  readonly ping: (node: NodeRecord) => void;
  /** A node answered without a token. */
  readonly onNoToken: (node: NodeRecord) => void;
  /** Something was swept that connectivity may depend on. */
  readonly onSwept: () => void;
}

/** Keeps the routing tables full and fresh, and forgets what nobody needs any more (protocol/dht.md 7). */
export class Upkeep {
  private readonly parts: UpkeepComponents;
  private readonly confirmJob;

  constructor(components: UpkeepComponents) {
    const { clock, random, scheduler } = components;
    this.parts = components;
    this.confirmJob = scheduler.at(clock.nowMs() + random.uniform(3000, 5000), () => this.confirmNodes());
    const sweepJob = scheduler.at(clock.nowMs() + random.uniform(...SWEEP_MS), () => {
      this.sweep();
      scheduler.move(sweepJob, clock.nowMs() + random.uniform(...SWEEP_MS));
    });
  }

  /** Everybody is asked anew, now. */
  confirmNow(): void {
    this.parts.scheduler.move(this.confirmJob, this.parts.clock.nowMs());
  }

  /** Somebody new is there: get to know them within a second. */
  confirmSoon(nowMs: number): void {
    if (this.confirmJob.dueMs <= nowMs + 1000) return;
    this.parts.scheduler.move(this.confirmJob, nowMs + this.parts.random.uniform(0, 1000));
  }

  private confirmNodes(): void {
    const { clock, random, scheduler, families, ownId } = this.parts;
    const parts = {
      clock,
      random,
      ownId,
      find: (node: NodeRecord, target: InfoHash, wantsBoth: boolean) => this.find(node, target, wantsBoth),
    };
    let sent = false;
    for (const state of families) {
      const other = families.other(state.family)?.table;
      // A walk to our own id makes us known to our neighbors and them to us.
      if (state.connectivity === 'connected' && state.searches.get(ownId) === undefined) this.walkToOurselves(state);
      const maintained = maintainBuckets(state.table, other, parts);
      sent ||= maintained || maintainNeighborhood(state.table, other, parts);
    }
    const waitMs = sent ? random.uniform(5000, 25_000) : random.uniform(60_000, 180_000);
    scheduler.move(this.confirmJob, clock.nowMs() + waitMs);
  }

  private find(node: NodeRecord, target: InfoHash, wantsBoth: boolean): void {
    const { encoder, engine, onNoToken } = this.parts;
    const tid = node.nextTid();
    const packet = Buffer.from(encoder.find(tid, target, wantsBoth));
    engine.send(node, tid, 'find', [packet], {
      onReply: (message) => {
        if (message.token === '') onNoToken(node);
      },
    });
  }

  private walkToOurselves(state: FamilyState): void {
    const search = this.parts.families.searchFor(state, this.parts.ownId);
    if (search === undefined) return;
    search.gets.add({
      query: Query.all,
      queryKey: 'walk',
      startMs: this.parts.clock.nowMs(),
      onValues: () => {},
      onFields: () => {},
      onDone: () => {},
    });
    search.stepSoon();
  }

  private sweep(): void {
    const nowMs = this.parts.clock.nowMs();
    this.parts.listeners.sweep(nowMs);
    for (const state of this.parts.families) {
      for (const candidate of state.table.removeExpired()) this.parts.ping(candidate);
      state.cache.sweep(nowMs);
      for (const search of [...state.searches]) {
        if (!search.isIdle || search.lastStepMs > nowMs - SEARCH_IDLE_MS) continue;
        search.close();
        state.searches.remove(search);
      }
    }
    this.parts.onSwept();
  }
}
