import type { Clock, Family, RandomSource, Scheduler } from '@atoll/base';
import type { InfoHash } from '@atoll/identity';
import type { MessageEncoder } from '../wire/message-encoder.js';
import type { Connectivity } from './health.js';
import { NodeCache } from './node-cache.js';
import type { NodeRecord } from './node-record.js';
import type { RequestEngine } from './requests.js';
import { RoutingTable } from './routing-table.js';
import { Search } from './search.js';
import { SearchAnnounces } from './search-announces.js';
import { SearchGets } from './search-gets.js';
import { SearchIndex } from './search-index.js';
import { SearchListens } from './search-listens.js';
import type { ValueTypes } from './value-types.js';

/** Up to this estimate a network is small: a node knows practically all others. */
const SMALL_NETWORK_NODES = 64;
const MAX_SEARCHES = 1_048_576;
/** While somebody answered within this time, in ms, the network is there, whatever becomes of one search. */
const SURE_OF_NETWORK_MS = 60_000;

/** What a node knows of the network over one family of addresses. */
export interface FamilyState {
  readonly family: Family;
  readonly table: RoutingTable;
  readonly cache: NodeCache;
  readonly searches: SearchIndex;
  connectivity: Connectivity;
}

interface FamiliesComponents {
  readonly ownId: InfoHash;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly scheduler: Scheduler;
  readonly engine: RequestEngine;
  readonly encoder: MessageEncoder;
  readonly types: ValueTypes;
  readonly ping: (node: NodeRecord) => void;
  /** A node answered without a token. */
  readonly onNoToken: (node: NodeRecord) => void;
  /** Nobody that a search knew answers, nor has anybody else of the family lately. */
  readonly onOutOfReach: (family: Family) => void;
}

interface FamiliesOptions {
  readonly isPublicStable: boolean;
  /** Searches per family. */
  readonly maxSearches?: number | undefined;
}

/** The families of addresses that a node speaks, each with its table, its nodes and its searches. */
export class Families implements Iterable<FamilyState> {
  private readonly parts: FamiliesComponents;
  private readonly options: FamiliesOptions;
  private readonly states = new Map<Family, FamilyState>();

  constructor(components: FamiliesComponents, options: FamiliesOptions, families: readonly Family[]) {
    this.parts = components;
    this.options = options;
    for (const family of families) this.states.set(family, this.open(family));
  }

  get(family: Family): FamilyState | undefined {
    return this.states.get(family);
  }

  other(family: Family): FamilyState | undefined {
    return this.states.get(family === 4 ? 6 : 4);
  }

  [Symbol.iterator](): IterableIterator<FamilyState> {
    return this.states.values();
  }

  /** Nobody is known in a family while somebody is in the other one: what is done once need not look there. */
  isDeserted({ family, cache }: FamilyState): boolean {
    return cache.size === 0 && (this.other(family)?.cache.size ?? 0) > 0;
  }

  /** The search for a key in a family, begun if there is none; undefined when there are too many. */
  searchFor(state: FamilyState, key: InfoHash): Search | undefined {
    const { clock } = this.parts;
    const known = state.searches.get(key);
    if (known !== undefined) {
      if (known.isExpired && state.cache.size > 0) {
        known.isExpired = false;
        known.refill(clock.nowMs());
      }
      return known;
    }
    if (state.searches.size >= (this.options.maxSearches ?? MAX_SEARCHES)) return undefined;
    const search = this.newSearch(state, key);
    state.searches.add(search);
    search.refill(clock.nowMs());
    return search;
  }

  private newSearch(state: FamilyState, key: InfoHash): Search {
    const { clock, random, scheduler, engine, encoder, types, onNoToken, onOutOfReach } = this.parts;
    const { isPublicStable } = this.options;
    return new Search(
      key,
      {
        clock,
        random,
        scheduler,
        engine,
        encoder,
        cache: state.cache,
        isSmallNetwork: () => state.table.sizeEstimate <= SMALL_NETWORK_NODES,
        onNoToken,
        onAllExpired: () => {
          // One key with nobody around it says nothing about a node that others answer.
          if (!isPublicStable && !state.table.wasAnsweredSince(clock.nowMs() - SURE_OF_NETWORK_MS)) {
            onOutOfReach(state.family);
          }
        },
      },
      {
        gets: new SearchGets(),
        announces: new SearchAnnounces(types),
        listens: new SearchListens(isPublicStable),
      },
    );
  }

  private open(family: Family): FamilyState {
    const { ownId, random, ping } = this.parts;
    return {
      family,
      cache: new NodeCache(family, random),
      table: new RoutingTable({ family, ownId, random, ping }),
      searches: new SearchIndex(),
      connectivity: 'disconnected',
    };
  }
}
